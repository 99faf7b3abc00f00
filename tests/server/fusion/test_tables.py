"""The tables of events: what they count, the part that explains an answer, and damage to their file."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.event_log import SECONDS_PER_DAY, EventLog
from itemlens_server.fusion.tables import Provenance, Tables
from itemlens_server.fusion.weights import TableRules
from support.sizes import size
from support.tables import entry, random_table, random_tables


@pytest.fixture
def tables() -> Tables:
    return random_tables(np.random.default_rng(1), ("a", "b", "c"), density=0.8)


def fit(*events: tuple[str, str, float], rules: TableRules | None = None) -> Tables:
    log = EventLog.of([(user, item, 5, time) for user, item, time in events], {5: 1.0})
    return Tables.fit(log, rules or TableRules(1.0), Provenance(42))


def same(a: Tables, b: Tables) -> bool:
    return (
        a.item_ids == b.item_ids
        and (a.behaviour != b.behaviour).nnz == (a.sequence != b.sequence).nnz == 0
        and (a.takers == b.takers).all()
        and (a.recent == b.recent).all()
        and (a.rules, a.provenance) == (b.rules, b.provenance)
    )


class TestFit:
    def test_names_rows_by_item_and_carries_what_it_was_computed_from(self) -> None:
        tables = fit(("u", "x", 0), ("u", "y", 9), ("v", "y", 5), ("v", "x", 6))
        assert (tables.item_ids, tables.rules, tables.provenance) == (
            ("x", "y"),
            TableRules(1.0),
            Provenance(42),
        )
        b = tables.behaviour
        assert entry(b, tables, "x", "y") == pytest.approx(entry(b, tables, "y", "x"))
        assert entry(b, tables, "x", "y") > 0 and tables.takers.tolist() == [2, 2]

    def test_only_the_sequence_has_a_direction(self) -> None:
        tables = fit(("u", "x", 1), ("u", "y", 2), ("v", "x", 4), ("v", "y", 5))
        assert entry(tables.sequence, tables, "x", "y") > 0 == entry(tables.sequence, tables, "y", "x")
        assert entry(tables.behaviour, tables, "y", "x") > 0

    def test_recent_takers_are_those_near_the_last_event(self) -> None:
        day = SECONDS_PER_DAY
        tables = fit(
            ("u", "x", 0), ("v", "x", 90 * day), ("w", "y", 100 * day), rules=TableRules(1.0, 0.6, 30.0)
        )
        assert (tables.takers.tolist(), tables.recent.tolist()) == ([2, 1], [1, 1])

    def test_where_times_are_an_order_all_takers_are_recent(self) -> None:
        tables = fit(("u", "x", 0), ("u", "y", 1), ("v", "x", 0))
        assert tables.recent.tolist() == tables.takers.tolist() == [2, 1]

    def test_items_beyond_the_bound_of_ease_have_the_other_tables(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("itemlens_server.fusion.ease.most_frequent.__defaults__", (2,))
        events = [(u, i, n) for u in "uvw" for n, i in enumerate("ab", 1)]
        tables = fit(*events, ("w", "c", 9))
        assert tables.behaviour.shape == (3, 3) and not tables.behaviour[:, [2]].nnz
        assert entry(tables.sequence, tables, "b", "c") > 0 and tables.takers[2] == 1

    def test_of_no_events_is_empty(self) -> None:
        assert len(fit().item_ids) == 0

    def test_depends_on_the_events_and_not_on_the_order_of_users(self) -> None:
        one, other = [("u", "x", 1), ("u", "y", 2)], [("v", "y", 3), ("v", "z", 4)]
        assert same(fit(*one, *other), fit(*other, *one))


@given(st.integers(0, 5), st.sets(st.integers(0, 19)), st.sets(st.integers(0, 19)))
def test_a_part_says_the_same_of_a_past_and_some_items(seed: int, past: set[int], items: set[int]) -> None:
    tables = random_tables(np.random.default_rng(seed), [str(n) for n in range(20)], 0.3)
    part = tables.between(np.asarray(sorted(past), np.int64), np.asarray(sorted(items), np.int64))
    adding = {j for j in past if any(t[j, i] for t in (tables.behaviour, tables.sequence) for i in items)}
    assert set(part.item_ids) == set(map(str, adding | items))
    for n in part.item_ids:
        assert part.takers[part.rows[n]] == tables.takers[tables.rows[n]]
        assert part.recent[part.rows[n]] == tables.recent[tables.rows[n]]
    for whole, own in ((tables.behaviour, part.behaviour), (tables.sequence, part.sequence)):
        for j in past:
            for i in items:
                assert entry(own, part, str(j), str(i)) == entry(whole, tables, str(j), str(i))
        assert own.nnz <= sum(whole[[n]].nnz for n in past)


def test_nothing_of_them_can_be_set(tables: Tables) -> None:
    field = "rules"
    with pytest.raises(FrozenInstanceError):
        setattr(tables, field, TableRules())


class TestFile:
    def test_comes_back(self, tables: Tables, tmp_path: Path) -> None:
        tables.save(tmp_path / "t.npz")
        loaded = Tables.load(tmp_path / "t.npz")
        assert loaded is not None and same(loaded, tables)
        assert [p.name for p in tmp_path.iterdir()] == ["t.npz"]

    def test_comes_back_with_the_rows_that_had_changed(self, tables: Tables, tmp_path: Path) -> None:
        stale = np.arange(len(tables.item_ids)) == 1
        replace(tables, stale=stale).save(tmp_path / "t.npz")
        loaded = Tables.load(tmp_path / "t.npz")
        assert loaded is not None and same(loaded, tables) and loaded.stale is not None
        assert loaded.stale.tolist() == stale.tolist()

    def test_ids_come_back_as_they_are(self, tmp_path: Path) -> None:
        ids = ("a", "a\0", "\0", " ", "鞋", "a\n", '"')
        random_tables(np.random.default_rng(0), ids).save(tmp_path / "t.npz")
        loaded = Tables.load(tmp_path / "t.npz")
        assert loaded is not None and loaded.item_ids == ids

    @pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a zip", b"no zip at all"])
    def test_that_is_damaged_is_none(self, tmp_path: Path, damage: bytes) -> None:
        path = tmp_path / "t.npz"
        assert Tables.load(path) is None
        path.write_bytes(damage)
        assert Tables.load(path) is None

    def test_with_any_bit_flipped_or_any_tail_cut_is_whole_or_none(
        self, tables: Tables, tmp_path: Path
    ) -> None:
        rng = np.random.default_rng(2)
        path = tmp_path / "t.npz"
        tables.save(path)
        intact = path.read_bytes()
        # All bytes of the zip's directory, where each flag causes another error, and some of the others; of each byte
        # three bits, which change from byte to byte, or all.
        directory = intact.index(b"PK\x01\x02")
        places = [
            *range(8 * directory, 8 * len(intact), size(3, 1)),
            *rng.integers(0, 8 * directory, 300).tolist(),
        ]
        damaged = [intact[: rng.integers(len(intact))] for _ in range(50)]
        for place in places:
            flipped = bytearray(intact)
            flipped[place // 8] ^= 1 << place % 8
            damaged.append(bytes(flipped))
        for content in damaged:
            path.write_bytes(content)
            loaded = Tables.load(path)
            assert loaded is None or same(loaded, tables)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"about": np.frombuffer(b'{"format": 3', np.uint8)},
            {"about": np.frombuffer(json.dumps({"format": 1}).encode(), np.uint8)},
            {"behaviour_indices": np.asarray([7, 8, 9], np.int32)},
            {"sequence_starts": np.asarray([0, 9, 9, 9], np.int32)},
            {"behaviour_data": np.asarray(["x", "y", "z"])},
            {"sequence_data": np.asarray([None] * 3, object)},
            {"takers": np.asarray([1.0, 2.0], np.float32)},
            {"recent": np.asarray([1.0, np.nan, 2.0], np.float32)},
        ],
    )
    def test_of_another_format_or_other_types_is_none(
        self, tables: Tables, tmp_path: Path, wrong: dict[str, np.ndarray], caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "t.npz"
        tables.save(path)
        with np.load(path) as file:
            arrays = dict(file)
        np.savez(path, **{**arrays, **wrong})
        assert Tables.load(path) is None and "computed again" in caplog.text

    def test_of_the_earlier_version_is_none(self, tmp_path: Path) -> None:
        table = random_table(np.random.default_rng(0), 2, 1.0)
        np.savez(tmp_path / "t.npz", item_ids=np.zeros(1, np.uint8), data=table.data, indptr=table.indptr)
        assert Tables.load(tmp_path / "t.npz") is None
