"""ItemToItem: its scores for a history, damage to its file, and its immutability."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
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


@given(st.integers(0, 5), st.sets(st.integers(0, 22)), st.sets(st.integers(0, 22)))
def test_a_part_of_it_says_the_same_of_a_past_and_some_items(
    seed: int, past: set[int], items: set[int]
) -> None:
    rng = np.random.default_rng(seed)
    table = ItemToItem(
        [str(n) for n in range(20)], sparse.random_array((20, 20), density=0.3, rng=rng, format="csr")
    )
    part = table.between(map(str, past), map(str, items))
    assert set(part.item_ids) == {str(n) for n in past | items if n < 20}
    for j in past:
        for i in past | items:
            assert part.entry(str(j), str(i)) == table.entry(str(j), str(i))
    assert part.table.nnz <= sum(table.table[[n]].nnz for n in past if n < 20)


def test_nothing_of_it_can_be_set(table: ItemToItem) -> None:
    with pytest.raises(FrozenInstanceError):
        table.regularisation = 1.0  # type: ignore[misc]


def test_comes_back_from_its_file(table: ItemToItem, tmp_path: Path) -> None:
    table = replace(table, events_digest="of the events")
    table.save(tmp_path / "b.npz")
    loaded = ItemToItem.load(tmp_path / "b.npz")
    assert loaded is not None and (loaded.table != table.table).nnz == 0
    assert (loaded.item_ids, loaded.regularisation) == (table.item_ids, 10.0)
    assert (loaded.event_sequence, loaded.event_count, loaded.write_sequence) == (7, 90, 12)
    assert loaded.events_digest == "of the events"
    assert [p.name for p in tmp_path.iterdir()] == ["b.npz"]


def test_ids_come_back_as_they_are(tmp_path: Path) -> None:
    ids = ("a", "a\0", "\0", " ", "鞋", "a\n", '"')
    ItemToItem(ids, sparse.csr_matrix(np.eye(len(ids), dtype=np.float32))).save(tmp_path / "b.npz")
    loaded = ItemToItem.load(tmp_path / "b.npz")
    assert loaded is not None and loaded.item_ids == ids


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a zip", b"no zip at all"])
def test_a_damaged_file_is_none(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "b.npz"
    assert ItemToItem.load(path) is None
    path.write_bytes(damage)
    assert ItemToItem.load(path) is None


def test_with_any_bit_flipped_or_any_tail_cut_it_is_whole_or_none(table: ItemToItem, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    path = tmp_path / "b.npz"
    table.save(path)
    intact = path.read_bytes()
    # All bytes of the zip's directory, where each flag causes another error, and some of the others.
    directory = intact.index(b"PK\x01\x02")
    places = [*range(8 * directory, 8 * len(intact)), *rng.integers(0, 8 * directory, 300).tolist()]
    damaged = [intact[: rng.integers(len(intact))] for _ in range(50)]
    for place in places:
        flipped = bytearray(intact)
        flipped[place // 8] ^= 1 << place % 8
        damaged.append(bytes(flipped))
    for content in damaged:
        path.write_bytes(content)
        loaded = ItemToItem.load(path)
        if loaded is not None:
            assert loaded.item_ids == table.item_ids and (loaded.table != table.table).nnz == 0
            assert (loaded.regularisation, loaded.write_sequence) == (10.0, 12)


@pytest.mark.parametrize(
    "wrong",
    [
        {"item_ids": np.asarray(["a", "b", "c"])},
        {"item_ids": np.frombuffer(b"[1, 2", np.uint8)},
        {"indices": np.asarray([7, 8, 9], np.int32)},
        {"indptr": np.asarray([0, 9, 9, 9], np.int32)},
        {"data": np.asarray(["x", "y", "z"])},
        {"data": np.asarray([None] * 3, object)},
        {"sequence": np.asarray([1, 2])},
    ],
)
def test_a_file_of_other_types_is_none(
    table: ItemToItem, tmp_path: Path, wrong: dict[str, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "b.npz"
    table.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, **wrong})
    assert ItemToItem.load(path) is None and "fitted again" in caplog.text
