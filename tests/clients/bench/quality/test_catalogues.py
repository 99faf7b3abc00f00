"""Measurements that prepare catalogues of a real server with the tiny space: raw vectors, resamples, spaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from itemlens import Item, NotFound
from itemlens_bench.quality import resamples
from itemlens_bench.quality.ask import Asking, similar
from itemlens_bench.quality.collections import ensure, unfit
from itemlens_bench.quality.searches import PICTURE_WEIGHTS, K, RawHits, RawVectors, Searches
from support import spaces
from support.measuring import asking_of
from support.spaces import Tiny


@pytest.fixture
def asking(tiny: Tiny, tmp_path: Path) -> Iterator[Asking]:
    """Asks a separate server, whose default space is not fitted."""
    with asking_of(tiny.models, tmp_path / "data", tiny.plain) as asking:
        yield asking


@pytest.fixture(scope="module")
def items() -> list[Item]:
    """Items with a title of several words and one picture."""
    sample = [i for i in spaces.sample_items(120) if i.pictures and len(i.text.split()) > 1]
    return [Item(i.item_id, texts={"text": i.text}, pictures={"image": list(i.pictures[:1])}) for i in sample]


def test_an_unfitted_collection_holds_the_raw_vectors(asking: Asking, items: list[Item]) -> None:
    ensure(asking, "shop", items)
    encoded = RawVectors.of(asking, items)
    stored = RawVectors.stored(asking, encoded.item_ids, "shop", batch=7)
    np.testing.assert_allclose(stored.texts, encoded.texts, atol=1e-5)
    np.testing.assert_allclose(stored.pictures, encoded.pictures, atol=1e-5)


def test_the_best_blend_is_never_worse_than_another_weight(asking: Asking, items: list[Item]) -> None:
    searches, raw = Searches.of(items, 3, 20), RawVectors.of(asking, items)
    assert [question.target for question in searches.both] == searches.targets
    found = RawHits.of(asking, searches, raw)
    assert {kind: len(hits) for kind, hits in found.hits.items()} == dict.fromkeys(searches.kinds, 20)
    words = asking.encode_texts("words", [question.side.text or "" for question in searches.words])
    crops = asking.encode_pictures("crops", [question.side.picture or b"" for question in searches.picture])
    targets = [raw.rows[target] for target in searches.targets]
    means = [similar(np.hstack([words, crops]), raw.blend(w), targets, K).mean() for w in PICTURE_WEIGHTS]
    assert found.hits["words + picture"].mean() == max(means)
    assert found.weight == PICTURE_WEIGHTS[int(np.argmax(means))]


def test_a_collection_goes_back_to_the_default_space(asking: Asking, items: list[Item], tiny: Tiny) -> None:
    ensure(asking, "shop", items[:3])
    asking.client.update_collection("shop", space=tiny.fitted)
    unfit(asking, ["shop"])
    assert asking.client.get_collection("shop").space_id == tiny.plain


def test_a_fit_that_moves_nothing_changes_no_resample(
    asking: Asking, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resamples, "RESAMPLES", 2)
    monkeypatch.setattr(resamples, "FASHION_ITEMS", 15)
    photos = [
        Item(f"p-{n}", pictures=i.pictures, attributes={"product": i.item_id}) for n, i in enumerate(items)
    ]
    fitted: list[str] = []
    rows = resamples.measure(
        asking, products=items, photos=photos, fashion=items, fit=fitted.append, seed=1, queries=3000
    )
    assert len(fitted) == 3  # the products once, and each draw of fashion
    differences = [row for row in rows if row.what == "the same minus not fitted"]
    assert [row.figure for row in differences] == [0.0, 0.0]
    # Each photo is asked once; the halves are of the same answers.
    assert [row.queries for row in differences] == [len(items), 2 * 15]
    assert differences[0].yardstick.startswith(
        "one fit, not taken; 2 random halves of the photos: mean 0.0000"
    )
    assert differences[1].yardstick.startswith("0 of 2 fits taken")
    with pytest.raises(NotFound):
        asking.client.get_collection(resamples.SCRATCH)


def test_fits_that_are_taken_are_counted(
    asking: Asking, items: list[Item], tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resamples, "RESAMPLES", 2)
    monkeypatch.setattr(resamples, "FASHION_ITEMS", 15)
    photos = [Item("p", pictures=items[0].pictures, attributes={"product": items[0].item_id})] * 9

    def fit(name: str) -> None:
        asking.client.update_collection(name, space=tiny.fitted)

    rows = resamples.measure(asking, products=items, photos=photos, fashion=items, fit=fit, seed=1, queries=5)
    grocery, fashion = [row for row in rows if row.what == "the same minus not fitted"]
    assert grocery.yardstick.startswith("one fit, taken;") and grocery.queries == 5
    assert fashion.yardstick.startswith("2 of 2 fits taken")


def test_what_changes_with_the_fit_shows_in_the_difference(
    asking: Asking, items: list[Item], tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resamples, "RESAMPLES", 2)
    monkeypatch.setattr(resamples, "FASHION_ITEMS", 15)
    photos = [Item("p", pictures=items[0].pictures, attributes={"product": items[1].item_id})] * 4

    def fit(name: str) -> None:
        """Leaves only the product that all photos are said to show."""
        others = [item.item_id for item in items if item.item_id != items[1].item_id]
        asking.client.delete_items(others, collection=name)

    rows = resamples.measure(
        asking, products=items, photos=photos, fashion=items, fit=fit, seed=1, queries=3000
    )
    grocery, fashion = [row.figure for row in rows if row.what == "the same minus not fitted"]
    assert rows[0].figure == 1.0 and grocery == 1.0 - float(rows[0].yardstick.split()[-1])
    assert fashion < 0  # these draws have lost the items that are asked for


def test_resamples_need_a_fit(asking: Asking) -> None:
    with pytest.raises(ValueError, match="leave out --skip-fit"):
        resamples.measure(asking, products=[], photos=[], fashion=[], fit=None, seed=1, queries=10)
