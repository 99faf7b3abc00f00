"""Lists stay right if many items have equal contents: "Unknown product", or the same placeholder picture.

`make trials` uses 6,000 items in five orders. With TRIAL_MODELS, a model repository, it uses its space instead of the
tiny one. The tiny space's words are as hard for graphs as those of real models; random vectors are not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.fusion.history import PURCHASE, Interaction
from itemlens_server.services import ItemInput, QueryRequest, RecommendOptions
from itemlens_server.services.recommender import Recommender
from support import spaces
from support.live import Live, contents
from support.sizes import size
from support.spaces import Tiny

COUNT, ORDERS = size(1200, 6000), size(2, 5)
QUERIES = size(40, 100)
# Few enough to search the graphs: for a third of the items, the index would scan.
DEPTH = size(100, 400)
PLACEHOLDER = spaces.picture("fund", "white", 1)
USES = (
    "hiking",
    "children",
    "winter",
    "the kitchen",
    "the office",
    "dogs",
    "a gift",
    "summer",
    "sale",
    "travel",
)


@pytest.fixture(scope="module")
def shop(repository: ModelRepository, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A catalogue whose store keeps vectors by content, so each text is encoded once for all collections."""
    data = tmp_path_factory.mktemp("equal") / "data"
    folder = os.environ.get("TRIAL_MODELS")
    models = spaces.open_repository(Path(folder)) if folder else repository
    space = models.load("").space_id if folder else tiny.plain
    live = Live(models, data, space, segment_rows=500, candidates_per_channel=DEPTH)
    yield live
    live.close()
    if folder:
        models.close()


def texts() -> list[str]:
    """Different titles, as in a shop."""
    rng = np.random.default_rng(1)
    themes = [[w for w in theme if w.isascii()] for theme in spaces.THEMES.values()]
    chosen: dict[str, None] = {}
    while len(chosen) < COUNT:
        theme = themes[rng.integers(len(themes))]
        first, second = rng.permutation(theme)[:2]
        colours = rng.permutation(list(spaces.COLOURS))[:2]
        chosen[f"{colours[0]} {first} with {colours[1]} {second} for {USES[rng.integers(len(USES))]}"] = None
    return list(chosen)


def filled(shop: Live, items: Sequence[ItemInput], name: str) -> list[str]:
    """Put the items into a collection of this name and build its graphs. Return the ids."""
    shop.catalogue.create(name, "")
    for n in range(0, len(items), 500):
        outcomes, _, _ = shop.catalogue.upsert(name, items[n : n + 500], False, CallContext())
        assert all(o.error is None for o in outcomes)
    while shop.catalogue.maintain():
        pass
    return [item.item_id for item in items]


def recalls(recommender: Recommender, name: str, requests: Sequence[QueryRequest]) -> list[float]:
    """For each list, the share of items with at least the last score of a scan. Equal items are interchangeable."""
    found = []
    for request in requests:
        served, scan = (
            recommender.recommend(name, request, RecommendOptions(k=10, exact=exact), CallContext()).items
            for exact in (False, True)
        )
        least = scan[-1].score - 1e-5
        found.append(sum(item.score >= least for item in served) / len(scan))
    return found


def assert_right(shop: Live, name: str, equal: Sequence[str], others: Sequence[str]) -> None:
    colours = list(spaces.COLOURS)
    words = [w for theme in spaces.THEMES.values() for w in theme if w.isascii()]
    by_words = [
        QueryRequest(content=contents(f"{colours[n % 5]} {words[n % len(words)]}")) for n in range(QUERIES)
    ]
    by_history = [
        QueryRequest(history=[Interaction(i, PURCHASE)]) for i in [*others[: QUERIES - 5], *equal[:5]]
    ]
    for asked in (by_words, by_history):
        found = recalls(shop.use_cases.recommender, name, asked)
        assert np.mean(found) >= 0.99 and min(found) >= 0.5


@pytest.mark.parametrize("order", range(ORDERS))
@pytest.mark.parametrize("share", [10, 25, 50, 90])
def test_of_texts(shop: Live, share: int, order: int) -> None:
    rng = np.random.default_rng(order)
    equal = set(rng.permutation(COUNT)[: COUNT * share // 100].tolist())
    own = texts()
    items = [
        ItemInput(f"i{n}", contents("Unknown product" if n in equal else own[n]), {}, ())
        for n in rng.permutation(COUNT).tolist()
    ]
    ids = filled(shop, items, f"texts-{share}-{order}")
    assert_right(
        shop, f"texts-{share}-{order}", [i for i in ids if int(i[1:]) in equal],
        [i for i in ids if int(i[1:]) not in equal],
    )  # fmt: skip


@pytest.mark.parametrize("share", [90])
def test_of_pictures(shop: Live, share: int) -> None:
    rng = np.random.default_rng(0)
    equal = set(rng.permutation(COUNT)[: COUNT * share // 100].tolist())
    own, themes, colours = texts(), list(spaces.THEMES), list(spaces.COLOURS)
    items = [
        ItemInput(
            f"i{n}",
            contents(
                own[n], [PLACEHOLDER if n in equal else spaces.picture(themes[n % 6], colours[n % 5], n)]
            ),
            {},
            (),
        )
        for n in rng.permutation(COUNT).tolist()
    ]
    ids = filled(shop, items, f"pictures-{share}")
    assert_right(
        shop, f"pictures-{share}", [i for i in ids if int(i[1:]) in equal],
        [i for i in ids if int(i[1:]) not in equal],
    )  # fmt: skip
