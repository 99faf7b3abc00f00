"""A small kitchen shop in four languages: a word of one language asks for kettles in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from itemlens import Item, Lexical

from .ask import Asking
from .collections import ensure
from .rows import ReportRow

WITH, WITHOUT = "kitchen", "kitchen-without"
K = 10
KETTLE = "kettle"
# By kind: the product in English, German, French and Chinese.
PRODUCTS: Mapping[str, tuple[str, str, str, str]] = {
    KETTLE: ("electric kettle", "Wasserkocher", "bouilloire électrique", "电热水壶"),
    "toaster": ("toaster", "Toaster", "grille-pain", "烤面包机"),
    "coffee": ("coffee machine", "Kaffeemaschine", "machine à café", "咖啡机"),
    "blender": ("blender", "Standmixer", "mixeur", "搅拌机"),
    "iron": ("steam iron", "Bügeleisen", "fer à repasser", "电熨斗"),
    "vacuum": ("vacuum cleaner", "Staubsauger", "aspirateur", "吸尘器"),
    "dryer": ("hair dryer", "Haartrockner", "sèche-cheveux", "吹风机"),
    "pan": ("frying pan", "Bratpfanne", "poêle", "煎锅"),
    "pot": ("cooking pot", "Kochtopf", "casserole", "汤锅"),
    "knife": ("kitchen knife", "Küchenmesser", "couteau de cuisine", "菜刀"),
    "lamp": ("desk lamp", "Schreibtischlampe", "lampe de bureau", "台灯"),
    "fan": ("table fan", "Tischventilator", "ventilateur", "电风扇"),
    "heater": ("fan heater", "Heizlüfter", "radiateur soufflant", "暖风机"),
    "filter": ("water filter", "Wasserfilter", "filtre à eau", "净水器"),
    "bottle": ("thermos bottle", "Thermosflasche", "bouteille isotherme", "保温杯"),
    "rice": ("rice cooker", "Reiskocher", "cuiseur à riz", "电饭煲"),
}
DETAILS: tuple[tuple[str, str, str, str], ...] = (
    ("{} in stainless steel", "{} aus Edelstahl", "{} en acier inoxydable", "不锈钢{}"),
    ("black {}, compact", "{}, schwarz, kompakt", "{} noir, compact", "黑色小型{}"),
    ("{} with two years of warranty", "{} mit zwei Jahren Garantie", "{}, garantie deux ans", "{}，两年保修"),
    ("quiet {} for the family", "leiser {} für die Familie", "{} silencieux pour la famille", "家用静音{}"),
)


def items() -> Iterator[Item]:
    """The shop: each product in each language, in several makes."""
    for kind, names in PRODUCTS.items():
        for n, details in enumerate(DETAILS):
            for language, name, detail in zip(("en", "de", "fr", "zh"), names, details, strict=True):
                yield Item(f"{kind}-{language}-{n}", text=detail.format(name))


def rows(asking: Asking) -> list[ReportRow]:
    """How many of the first ten are kettles, asked in German, and in how many languages."""
    asking.client.create_collection(WITH, allow_existing=True, lexical=Lexical())
    shop = list(items())
    found = []
    for name in (WITH, WITHOUT):
        ensure(asking, name, shop)
        listed = asking.client.recommend(text="Wasserkocher", k=K, collection=name)
        found.append([i.item_id.split("-") for i in listed if i.item_id.startswith(KETTLE)])
    ours, dense = found
    beside = f"in {len({language for _, language, _ in ours})} languages; without {len(dense)}"
    return [
        ReportRow(f"“Wasserkocher”: kettles among the first {K}", len(ours), 1, least=8, yardstick=beside)
    ]
