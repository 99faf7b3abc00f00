"""ItemToItem: what it adds for a past, what a file of it survives, and that it never changes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from itemlens_server.fusion.item_to_item import ItemToItem

B = np.array([[0, 0.5, 0], [0.25, 0, -1], [0, 0, 0]], np.float32)


@pytest.fixture
def table() -> ItemToItem:
    return ItemToItem(("a", "b", "c"), sparse.csr_matrix(B), 10.0, 7, 90, 12)


def test_fit_names_rows_by_item_and_carries_what_it_was_fitted_to() -> None:
    table = ItemToItem.fit(["u", "u", "v", "v"], ["x", "y", "y", "x"], 1.0, event_sequence=42)
    assert (table.item_ids, table.regularisation, table.event_sequence) == (("x", "y"), 1.0, 42)
    assert table.entry("x", "y") == pytest.approx(table.entry("y", "x"))
    assert table.entry("x", "y") > 0


def test_an_entry_is_what_having_taken_one_adds_to_the_other(table: ItemToItem) -> None:
    assert (table.entry("a", "b"), table.entry("b", "a"), table.entry("b", "c")) == (0.5, 0.25, -1.0)
    assert table.entry("a", "a") == table.entry("a", "gone") == table.entry("gone", "a") == 0.0


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "gone"]), st.floats(0, 2, width=32), min_size=1))
def test_scores_add_up_the_rows_of_the_past(past: dict[str, float]) -> None:
    table = ItemToItem(("a", "b", "c"), sparse.csr_matrix(B))
    known = {i: a for i, a in past.items() if i != "gone"}
    scores = table.scores(past)
    if not known:
        assert scores is None
        return
    assert scores is not None
    for item_id, score in zip(table.item_ids, scores, strict=True):
        assert score == pytest.approx(sum(a * table.entry(j, item_id) for j, a in known.items()), abs=1e-6)


def test_nothing_of_it_can_be_set(table: ItemToItem) -> None:
    with pytest.raises(FrozenInstanceError):
        table.regularisation = 1.0  # type: ignore[misc]


def test_comes_back_from_its_file(table: ItemToItem, tmp_path: Path) -> None:
    table.save(tmp_path / "new" / "b.npz")
    loaded = ItemToItem.load(tmp_path / "new" / "b.npz")
    assert loaded is not None and (loaded.table != table.table).nnz == 0
    assert (loaded.item_ids, loaded.regularisation) == (table.item_ids, 10.0)
    assert (loaded.event_sequence, loaded.event_count, loaded.write_sequence) == (7, 90, 12)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["b.npz"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a zip", b"no zip at all"])
def test_a_damaged_file_is_none(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "b.npz"
    assert ItemToItem.load(path) is None
    path.write_bytes(damage)
    assert ItemToItem.load(path) is None
