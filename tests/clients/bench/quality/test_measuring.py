"""Measurements of a real server with the tiny space: all of grocery, and `exact` against a numpy scan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import itemlens
from itemlens_bench.quality import grocery, lists
from itemlens_bench.quality.ask import Asking
from itemlens_cli.eval import read_grocery
from support import spaces
from support.measuring import asking_of
from support.spaces import Tiny

DATA = Path(__file__).parents[4].parent / "shared" / "data" / "grocery"


@pytest.fixture
def asking(tiny: Tiny, tmp_path: Path) -> Iterator[Asking]:
    """Asks a separate server, in the fitted tiny space."""
    with asking_of(tiny.models, tmp_path / "data", tiny.fitted) as asking:
        yield asking


def test_the_exact_list_is_that_of_a_numpy_scan(asking: Asking) -> None:
    items = [itemlens.Item(i.item_id, text=i.text, pictures=i.pictures) for i in spaces.sample_items(40)]
    asking.client.upsert(items)
    sides = [itemlens.UserSide(text=words) for words in ("red shoes", "island hotel", "python course")]
    sides += [itemlens.UserSide(liked=[items[0].item_id])]
    row = lists.scan_row(asking, sides, "default", [item.item_id for item in items])
    assert row.holds and row.queries == 4
    mean, bad = lists.recall_rows(asking, "words", sides, "default", seed=1)
    assert mean.figure == 1.0 and bad.figure == 0.0


@pytest.mark.skipif(
    not DATA.is_dir(), reason=f"NOT RUN: the real data set is not part of the project, and not in {DATA}"
)
def test_grocery_from_its_files(asking: Asking) -> None:
    rows = grocery.measure(asking, data=read_grocery(DATA), fit=None, seed=1, queries=40)
    by_name = {row.what: row for row in rows}
    assert by_name["grocery: val photo → product, R@5"].queries == 40
    # The tiny encoders find little, but the sums hold with any encoder.
    assert by_name["grocery-photos: worst residual"].holds
    assert by_name["grocery: exact list against numpy, worst score"].holds
