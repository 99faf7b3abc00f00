"""A made-up shop as CSV files: 829 products in four languages, variants, stock, prices, duplicates, returns.

It has what real exports have: numbers with a decimal comma, empty cells, a key that another file calls differently,
products without a row of stock, and rows of stock without a product.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

PRODUCTS, USERS = 829, 149
OUT_OF_STOCK = 0.27
BRANDS = ("Alto", "Kaya", "Norden", "Brisa", "Tandem", "Umi")
COLOURS = {
    "en": ("black", "red", "blue", "green"),
    "de": ("schwarz", "rot", "blau", "grün"),
    "fr": ("noir", "rouge", "bleu", "vert"),
    "zh": ("黑色", "红色", "蓝色", "绿色"),
}
# By category: what it is called in each language, and a price.
CATEGORIES = {
    "kettle": (("electric kettle", "Wasserkocher", "bouilloire électrique", "电热水壶"), 40),
    "backpack": (("hiking backpack", "Wanderrucksack", "sac à dos de randonnée", "登山背包"), 90),
    "shoe": (("running shoe", "Laufschuh", "chaussure de course", "跑步鞋"), 110),
    "lamp": (("desk lamp", "Schreibtischlampe", "lampe de bureau", "台灯"), 55),
    "jacket": (("rain jacket", "Regenjacke", "veste de pluie", "雨衣"), 130),
    "mug": (("ceramic mug", "Keramikbecher", "tasse en céramique", "陶瓷杯"), 12),
}
LINES = {
    "en": "Made by {brand} for every day: a {what} that lasts, in {colour}, with a guarantee of two years.",
    "de": "Von {brand} für jeden Tag gemacht: {what}, langlebig, in {colour}, mit zwei Jahren Garantie.",
    "fr": "Fabriqué par {brand} pour tous les jours : {what} qui dure, en {colour}, garantie deux ans.",
    "zh": "{brand}出品，日常使用的{what}，{colour}，耐用，保修两年。",
}


def write(folder: Path, products: int = PRODUCTS) -> None:
    """Write products.csv, stock.csv, prices.csv and events.csv, always the same."""
    rng = np.random.default_rng(829)
    rows: list[list[Any]] = []
    model = 0
    while len(rows) < products:
        model += 1
        category = list(CATEGORIES)[model % len(CATEGORIES)]
        names, price = CATEGORIES[category]
        place = model % len(LINES)
        language, what, brand = list(LINES)[place], names[place], BRANDS[model % 7 % len(BRANDS)]
        for n in range(min(1 + int(rng.integers(5)), products - len(rows))):
            colour = COLOURS[language][n % 4]
            title = f"{brand} {what} {model}, {colour}"
            about = LINES[language].format(brand=brand, what=what, colour=colour)
            cost = price * (0.6 + 0.8 * rng.random())
            rows.append(
                [f"SKU-{len(rows):04}", f"M-{model:03}", title, about, brand, category, language, cost]
            )
    for n in range(40, products, 50):  # duplicates: the same product under two numbers
        rows[n][1:4] = rows[n - 1][1:4]
    names_ = ("sku", "parent_sku", "name", "description", "brand", "category", "language")
    _write(
        folder / "products.csv",
        names_,
        ([*row[:3], row[3] if n % 23 else "", *row[4:7]] for n, row in enumerate(rows)),
    )
    stock = [(row[0], 0 if rng.random() < OUT_OF_STOCK else int(rng.integers(1, 40))) for row in rows]
    gone = [("SKU-9998", 3), ("SKU-9999", 0)]
    _write(folder / "stock.csv", ("article", "quantity"), [*stock[:-2], *gone])
    prices = ((row[0], f"{row[7]:.2f}".replace(".", ",")) for row in rows)
    _write(folder / "prices.csv", ("sku", "price"), prices, delimiter=";")
    _write(folder / "events.csv", ("event", "user", "sku", "what", "when"), _events(rng, products))


def _events(rng: np.random.Generator, products: int) -> Iterable[Sequence[object]]:
    start, number = datetime(2026, 1, 1, tzinfo=UTC), 0
    for user in range(USERS):
        for n in range(int(rng.integers(3, 12))):
            sku, when = f"SKU-{int(products * rng.random() ** 2):04}", start + timedelta(hours=7 * n + user)
            for what in ("click", *(("purchase",) if n % 2 else ()), *(("return",) if n % 6 == 5 else ())):
                number += 1
                yield (
                    f"e{number:05}",
                    f"user-{user:03}",
                    sku,
                    what,
                    (when + timedelta(minutes=number % 9)).isoformat(),
                )


def _write(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]], delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([names, *rows])
