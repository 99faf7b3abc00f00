"""Draws the pictures of the bundled catalogue: `PYTHONPATH=tools python -m catalogue_pictures.draw`.

Every picture is our own, drawn from the motifs in this package, and comes out the same each time.
"""

from collections.abc import Callable
from functools import partial
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from PIL import Image

from . import motifs_finance as finance
from . import motifs_food as food
from . import motifs_home as home
from . import motifs_journeys as journeys
from . import motifs_kitchen as kitchen
from . import motifs_nature as nature
from . import motifs_outdoor as outdoor
from . import motifs_places as places
from . import motifs_play as play
from . import motifs_studio as studio
from .canvas import Canvas
from .motifs_nature import DAWN, DAY, DUSK, NIGHT

_RAIN = ("#5f7f9a", "#a9c0cc")
_BALLOONS = (("#d9433f", "#f2c14e"), ("#3f8fb8", "#ffffff"), ("#7a4fa8", "#f4a0b0"), ("#3f9a5a", "#fff0b8"))
_CABINS = ("#f2c14e", "#3fb0a8", "#e86a9a", "#5a8ad0")

PICTURES: dict[str, Callable[[], Canvas]] = {
    # coffee and tea
    "shop-espresso-machine": partial(kitchen.espresso_machine, "#b9bcc6", "#7fb3b0"),
    "shop-gooseneck-kettle": partial(kitchen.kettle, "#c9764a", "#8fb59a"),
    "shop-moka-pot": partial(kitchen.moka_pot, "#b9bec9", "#e0a26a"),
    "shop-beans-ethiopia": partial(kitchen.coffee_bag, "#e8d2a4", "#fff6e4", "#9ab7a0"),
    "shop-beans-napoli": partial(kitchen.coffee_bag, "#6b2f2a", "#f2d9b0", "#c9b08a"),
    "shop-cups-cappuccino": partial(kitchen.cup, "#1f8a8a", "#f0c48a"),
    "travel-vienna-coffeehouses": partial(kitchen.cup, "#f4f0e8", "#a8606a", "#c9a03f"),
    "education-barista-basics": partial(kitchen.latte, "#3f6f9a", "#8a5a3a", False),
    "education-latte-art": partial(kitchen.latte, "#f4f0e8", "#a9764a", True),
    "education-cupping-zh": partial(kitchen.cup, "#8a5a3a", "#b8c8a0", "#ecd09a"),
    "shop-gaiwan-zh": partial(kitchen.teaset, "#8fc0a4", "#a9764a", "#e8d9b8"),
    "education-tea-ceremony-zh": partial(kitchen.teaset, "#d9dfe8", "#6a3f2c", "#b8c49a"),
    "travel-hangzhou-tea-zh": partial(journeys.tea_hills, "#5fa03f", DAWN, "#e8c87a"),
    # kitchen
    "shop-chef-knife": partial(kitchen.knife, "#b9c0cc", "#2f2a2c", "#d9a86a", "#7a8a92"),
    "shop-santoku-knife": partial(kitchen.knife, "#8f9ab0", "#f2e0ba", "#b8804a", "#5a5048", True),
    "education-knife-skills": partial(kitchen.knife, "#c4c8d0", "#b8323a", "#e6c48f", "#4f7a80", True),
    "shop-cast-iron-pan": partial(kitchen.pan, "#3a3a42", "#b98a5a", "egg"),
    "shop-wok-zh": partial(kitchen.pan, "#5a5f6c", "#8a6a4a", "wok"),
    "education-sichuan-cooking-zh": partial(kitchen.pan, "#3c302e", "#c9966a", "wok"),
    "shop-stand-mixer": partial(food.mixer, "#c9352f", "#a9cbd0"),
    "shop-bento-box": partial(food.bento, "#3f7fb0", "#c9a070"),
    "shop-ramen-bowls": partial(food.ramen, "#2f4a8a", "#ffffff", "#e8b48a"),
    "education-ramen-workshop": partial(food.ramen, "#a8322c", "#f2c14e", "#a9bcae"),
    "education-sushi-course": partial(food.sushi, "#3a4450", "#b98a5a"),
    "travel-tokyo-food": partial(food.sushi, "#9a3a34", "#5a5f66"),
    "education-dumpling-zh": partial(food.dumplings, "#d9b06a", "#8f6a4a"),
    "education-sourdough": partial(food.loaf, "#b9743a", "#a9764a", "#9fb4c0"),
    "education-croissant-class": partial(food.croissant, "#d9963f", "#dfe8ee", "#7a94a6"),
    # outdoors and sport
    "shop-tent-two": partial(outdoor.tent, "#e8833a", DUSK, "#4f7f5a"),
    "shop-tent-family": partial(outdoor.tent, "#3f8f8a", DAY, "#6fa35a", True),
    "travel-lake-campsite": partial(outdoor.tent, "#c9483f", DAY, "#6fa35a", False, "#3f8fb8"),
    "travel-scotland-islands": partial(outdoor.tent, "#d9b23f", DAWN, "#c9b98a", False, "#2f9ab0"),
    "shop-hiking-boots": partial(outdoor.boots, "#8a5a34", "#d9433f", DAY),
    "shop-backpack-45": partial(outdoor.backpack, "#e8833a", "#3a2a24", "#a9cbd0", "#3f6f9a"),
    "shop-campus-backpack": partial(outdoor.backpack, "#2f4570", "#f2c14e", "#e8d0b0"),
    "shop-skis-allmountain": partial(outdoor.skis, "#2f6fc0", "#f2c14e", DAY),
    "shop-skis-kids": partial(outdoor.skis, "#e86a9a", "#ffffff", DAY, True),
    "finance-winter-sports": partial(outdoor.skis, "#c9352b", "#ffffff", DUSK),
    "shop-snowboard-zh": partial(outdoor.snowboard, "#7a4fa8", "#f7b25a", DUSK),
    "finance-winter-sports-zh": partial(outdoor.snowboard, "#2f8f9a", "#ffe08a", DAY),
    "shop-ski-goggles": partial(outdoor.goggles, ("#ffb347", "#c9356a"), "#2f4570", DAY),
    "shop-road-shoes": partial(outdoor.running_shoe, "#f07a5a", "#f4efe2", "#2f4570", "#b8d8d0"),
    "shop-trail-shoes": partial(outdoor.running_shoe, "#5f9a4a", "#3a3a42", "#f2c14e", "#d8c8b0"),
    "education-couch-to-5k": partial(outdoor.running_shoe, "#5a8ad0", "#f4efe2", "#f07a5a", "#f0dca0"),
    "shop-gps-watch": partial(outdoor.watch, "#3a3a46", "#2c2a33", "#d0c4e0"),
    "shop-surfboard": partial(outdoor.surfboard, "#f2c94e", "#d9433f", DAY, "#ecd09a"),
    "travel-ericeira-surf": partial(outdoor.surfboard, "#4fb8a8", "#ffffff", DAWN, "#e0b88a"),
    "shop-beach-set": partial(outdoor.bucket, "#d9433f", "#3f8fb8", "#ecd09a"),
    # photography and music
    "shop-camera-mirrorless": partial(studio.camera, "#3a3a42", "#24242a", "#e0b890"),
    "education-photo-basics": partial(studio.camera, "#b9bcc6", "#6b4a34", "#9ab8b8"),
    "shop-camera-instant": partial(studio.instant_camera, "#9adbc4", "#f4a98a", "#f2d0c4"),
    "shop-lens-35": partial(studio.lens, "#34343c", "#d9433f", "#b8c8d8", False),
    "shop-lens-macro": partial(studio.lens, "#34343c", "#5fd06a", "#c8d8b8", True),
    "shop-tripod-travel": partial(studio.tripod, "#4a4a55", "#3a3a42", DAWN, "#8aa05f"),
    "education-landscape-photo": partial(studio.tripod, "#8a5a34", "#55555f", DUSK, "#5f8f7a"),
    "shop-drone": partial(studio.drone, "#e4e6ea", DAY, "#5f9a6a"),
    "shop-acoustic-guitar": partial(studio.guitar, "#d9963f", "#5a3a24", "#a9c4b8"),
    "education-guitar-beginner": partial(studio.guitar, "#9a4f2c", "#3a2418", "#e8cfa0"),
    "travel-seville-guitar": partial(studio.guitar, "#f0c070", "#6b3f22", "#d9705a"),
    "shop-ukulele": partial(studio.guitar, "#3fb8b0", "#8a5a34", "#f4d8a0", 4),
    "education-ukulele-kids": partial(studio.guitar, "#f07aa0", "#a9764a", "#b8d8e8", 4),
    "shop-electric-guitar": partial(studio.electric_guitar, "#b8232f", "#f4efe2", "#b0a8c8"),
    "education-blues-guitar": partial(studio.electric_guitar, "#2f5fa8", "#f4efe2", "#e0c8a0"),
    "shop-digital-piano": partial(studio.piano, "#2c2a33", "#d8b8a0"),
    "education-piano-adults": partial(studio.piano, "#6b3f22", "#a9c0c8", True),
    "shop-headphones": partial(studio.headphones, "#efe4d0", "#8a6a4a", "#8fb0c0"),
    "shop-turntable": partial(studio.turntable, "#9a6a40", "#e2533c", "#6a7a82"),
    "shop-metronome": partial(studio.metronome, "#8a4a2a", "#c8d0b0"),
    # home, study and children
    "shop-desk-lamp": partial(home.lamp, "#f2c14e", "#8fb0c0"),
    "shop-armchair": partial(home.armchair, "#5f7f4a", "#e8a05a", "#e0cdb0"),
    "shop-monstera": partial(home.plant, "#3f8f5a", "#c9743f", "#e8d9c8"),
    "shop-kyoto-guide": partial(home.book, "#f4e6d0", "#d9433f", "#8fb0a8", "torii"),
    "shop-novel": partial(home.book, "#2f4f7f", "#d9433f", "#d8b890", "light"),
    "shop-home-bread-book": partial(home.book, "#8a4a2a", "#e0a052", "#c8d0b0", "bread"),
    "shop-picture-book-zh": partial(home.book, "#3a3f7f", "#ffe08a", "#e8c0a8", "moon"),
    "shop-laptop-13": partial(home.laptop, "#c9ccd4", "#a9c0d8", "#1e2233", "picture"),
    "education-python-start": partial(home.laptop, "#c9ccd4", "#b8d0b0", "#1e2233", "code"),
    "education-python-zh": partial(home.laptop, "#e0b8b0", "#b0b8d8", "#2a2440", "code"),
    "education-web-frontend": partial(home.laptop, "#55555f", "#e0c0a0", "#fbf8ef", "page"),
    "education-data-analysis": partial(home.laptop, "#8a8fa8", "#d0b8d8", "#1e2a3a", "chart"),
    "shop-chess-set": partial(play.chess, "#ecd09a", "#6b3f22", "#a9bcc8"),
    "education-chess-club": partial(play.chess, "#f4f0e8", "#33343f", "#d8b8a0"),
    "shop-go-set-zh": partial(play.go_board, "#e0b062", "#6a4a3a"),
    "education-calligraphy-zh": partial(home.brush, "#f4ead2", "#7a4a34"),
    "education-japanese-a1": partial(home.speech, "#e8833a", "#3f7fb0", "#e8dcc0", True),
    "education-french-b1": partial(home.speech, "#5f9a6a", "#7a4fa8", "#d8e0e8", False),
    "shop-stroller": partial(play.pram, "#2f9a9a", "#55555f", "#f0d8c0"),
    "shop-blocks": partial(play.blocks, "#d9433f", "#f2c14e", "#3f8fb8", "#d0e0c8"),
    "shop-wooden-train": partial(play.toy_train, "#d9433f", "#3f7fb0", "#bfe0e8"),
    # journeys
    "travel-kyoto-temples": partial(places.pagoda, "#b8483a", "#3a4a5a", DAWN, "#f4a8c0"),
    "travel-suzhou-gardens-zh": partial(places.pagoda, "#d9c8a8", "#3f4a4a", DAY, "#e8833a", 4),
    "travel-naoshima-art-zh": partial(places.torii, "#d9483a", DAWN, "#4f8fb8", "#5f8f7a"),
    "travel-fuji-sunrise": partial(nature.volcano, DAWN, "#5a6a9a", "#f7b8cc"),
    "travel-great-wall-zh": partial(places.great_wall, "#c9ad84", DAY, "#8a8f4a"),
    "travel-shanghai-night": partial(places.skyline, NIGHT, "#2a3566", "#ffe08a", "pearl"),
    "travel-new-york-jazz": partial(places.skyline, ("#2a1f56", "#c9658a"), "#33264f", "#ffd07a", "stepped"),
    "travel-paris-bakeries": partial(places.iron_tower, "#7a5a4a", DAWN),
    "travel-lisbon-trams": partial(journeys.tram, "#f2b82e", DAY, "#3f6fb0"),
    "travel-cappadocia-balloons": partial(journeys.balloons, _BALLOONS, DAWN, "#d9a884"),
    "travel-castle-quest": partial(places.castle, "#c9bda8", "#4a5a8a", DAY),
    "travel-theme-park": partial(journeys.big_wheel, "#d9433f", DUSK, _CABINS),
    "travel-lighthouse-coast": partial(places.lighthouse, "#d9433f", DUSK, "#7a706c"),
    "travel-rail-pass": partial(journeys.train, "#f0f2f6", "#2f6fb0", DAWN, "#7aa860", False),
    "travel-swiss-panorama": partial(journeys.train, "#c9352b", "#ffffff", DAY, "#7aa860", True),
    "travel-dolomites-huts": partial(nature.mountains, "#c9a098", "#fff4f0", DUSK, "#4f7f5a"),
    "travel-patagonia-trek": partial(nature.mountains, "#6a7a9a", "#ffffff", DAY, "#9a9a5a", "#5fb0c8"),
    "travel-nepal-teahouse": partial(nature.mountains, "#7a8098", "#ffffff", DAWN, "#8a9a5a", None, True),
    "travel-tyrol-ski": partial(nature.piste, DAY, "#d9433f", "#2f4570"),
    "travel-family-ski-week": partial(nature.piste, DAY, "#f2c14e", "#e86a9a", True, False, True),
    "travel-jilin-ski-zh": partial(nature.piste, DAWN, "#7a4fa8", "#2c2a33", False, True),
    "travel-hokkaido-powder": partial(nature.piste, DUSK, "#3fa08a", "#f4efe2", False, True),
    "travel-algarve-family": partial(nature.beach, DAY, "#2f9ac0", "#f0d8a0", "parasol"),
    "travel-sanya-family-zh": partial(nature.beach, DUSK, "#3f7fa8", "#e8c090", "palms"),
    "travel-maldives-overwater": partial(nature.beach, DAY, "#2fb8b8", "#f8ecc8", "huts", "#c99a4a"),
    "travel-zanzibar-spice": partial(nature.beach, DAWN, "#3f9fb0", "#ecd09a", "dhow"),
    "travel-iceland-light": partial(nature.aurora, "#5ff0a8"),
    "travel-lofoten-cabins": partial(nature.aurora, "#a07af0", "#c9352b"),
    "travel-dalmatia-sail": partial(nature.sailboat, "#d9643f", "#2f4570", DAY, "#2f86b0"),
    # money
    "finance-card-travel": partial(finance.card, "#1f8a8a", "#ffffff", "#e8d0b0", "plane"),
    "finance-card-gold": partial(finance.card, "#d9a93f", "#fff6d8", "#a9b8c8", "star"),
    "finance-card-cashback": partial(finance.card, "#e8705a", "#f2c14e", "#b8d8d0"),
    "finance-card-green": partial(finance.card, "#c99a5f", "#3f8f4a", "#c8d8b8", "leaf", True),
    "finance-student-card": partial(finance.card, "#3f6fc0", "#ffffff", "#f0dca0", "cap"),
    "finance-card-travel-zh": partial(finance.card, "#b8232f", "#ffe08a", "#d0d4e0", "plane"),
    "finance-business-card": partial(finance.card, "#33343f", "#8a8fa8", "#d8c0b0"),
    "finance-kids-saver": partial(finance.piggy, "#f4a0b0", "#f2c14e", "#a9d0d8"),
    "finance-kids-saver-zh": partial(finance.piggy, "#f0c03f", "#f4a03f", "#d9605a"),
    "finance-savings-fixed": partial(finance.coins, "#d9b04a", "#a9c8b8", (2, 4, 6, 8), "#4f9a3f"),
    "finance-gold-plan": partial(finance.coins, "#e0a83a", "#8a9ab8", (7, 10, 8)),
    "finance-travel-single": partial(finance.umbrella, "#d9433f", "#f4efe2", _RAIN, "suitcase"),
    "finance-travel-annual-zh": partial(finance.umbrella, "#3fa0a0", "#f2d08a", DUSK, "suitcase"),
    "finance-home-contents": partial(finance.umbrella, "#2f6fc0", "#f2c14e", _RAIN, "house"),
    "finance-camera-cover": partial(finance.umbrella, "#7a4fa8", "#d8c8e8", ("#4f6a7a", "#9ab0b8"), "camera"),
    "finance-instrument-cover": partial(
        finance.umbrella, "#3f9a6a", "#e8f0d8", ("#6a7a9a", "#b8c0cc"), "guitar"
    ),
    "finance-etf-world": partial(finance.chart, "#3f8fb8", "#c8d8e0", (30, 48, 42, 70, 92, 118)),
    "finance-tech-fund": partial(finance.chart, "#d9603f", "#c8c0d8", (60, 96, 50, 30, 84, 124), "star"),
    "finance-japan-fund": partial(finance.chart, "#8a5ab8", "#e8d8c0", (40, 32, 60, 84, 104), "sun"),
    "finance-etf-zh": partial(finance.chart, "#c9352b", "#e0cfa8", (36, 50, 46, 62, 58, 80, 108)),
    "finance-home-buildings": partial(finance.house, "#f4e0b8", "#c9564a", DAY, "shield"),
    "finance-mortgage-fixed": partial(finance.house, "#d8e4ea", "#4a5a7a", DAWN, "key"),
    "finance-green-loan": partial(finance.house, "#f0d0b8", "#6a4a3a", DAY, "solar"),
    "finance-student-account": partial(home.cap, "#2c2a4a", "#f2c14e", "#e0d0b0"),
    "finance-student-account-zh": partial(home.cap, "#8a2a34", "#f4e0a0", "#b0c8d0"),
}
"""Item id -> the motif that shows the item, with its colours."""


def render(item_id: str) -> Image.Image:
    """Draw the picture of one item."""
    return PICTURES[item_id]().finish()


def encode(picture: Image.Image) -> bytes:
    """The picture as a WebP file."""
    file = BytesIO()
    picture.save(file, "WEBP", quality=85, method=6)
    return file.getvalue()


def main() -> None:
    """Draw every picture into the folder of the bundled catalogue."""
    folder = Path(str(files("itemlens_datasets.bundled"))) / "pictures"
    folder.mkdir(exist_ok=True)
    for item_id in PICTURES:
        (folder / f"{item_id}.webp").write_bytes(encode(render(item_id)))


if __name__ == "__main__":
    main()
