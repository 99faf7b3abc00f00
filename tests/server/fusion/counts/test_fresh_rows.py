"""Rows of SEQUENCE that changed since the tables were computed are read from the counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens_server.fusion import sequence
from itemlens_server.fusion.counts.dense import DenseCounted
from itemlens_server.fusion.counts.fresh_rows import Cache, FreshRows
from itemlens_server.fusion.counts.matrices import Square
from itemlens_server.fusion.sequence import scale_of
from itemlens_server.fusion.tables import Provenance, Tables
from itemlens_server.fusion.weights import TableRules
from support.stories import ITEMS, STEPS, Added, Forgotten, Step, Story
from support.tables import entry

FIRST = np.zeros(1, np.int64)


def told(before: list[Step], after: list[Step]) -> tuple[Tables, Tables]:
    """Tables before and after some steps, the first as they are read after these. SEQUENCE of the second has the takers
    of the first."""
    story, rules = Story(), TableRules(2.0)
    # All items stay, so that the rows of both tables are of the same ones.
    story.tell(Added([("always", item, n) for n, item in enumerate(ITEMS)]), *before)
    counts = story.counts
    tables = Tables.of(counts.counted(), rules, Provenance(version=counts.version))
    codes = np.asarray([counts.code(item_id) for item_id in tables.item_ids], np.int64)
    story.tell(*after)
    assert counts.ordered is not None
    scale = scale_of(tables.takers.astype(np.int64))
    fresh = FreshRows(counts, counts.ordered, codes, scale, tables.provenance.version, {})
    takers, recent = counts.popularity(codes, rules.recent_days)
    read = tables.current(takers, recent, counts.popularity(codes, rules.trend_days)[1], fresh)
    counted = counts.counted()
    assert isinstance(counted, DenseCounted)
    at_first = replace(counted, takers=tables.takers.astype(np.int64))
    return read, replace(Tables.of(counted, rules), sequence=sequence.table(at_first))


@given(STEPS, STEPS)
@settings(max_examples=60, deadline=None)
def test_say_the_same_as_tables_that_are_computed_now(before: list[Step], after: list[Step]) -> None:
    read, computed = told(before, after)
    assert read.item_ids == computed.item_ids and read.fresh is not None
    assert read.takers.tolist() == computed.takers.tolist()
    for row in range(len(read.item_ids)):
        if read.fresh.changed(np.asarray([row]))[0]:
            own = read.table_rows("sequence", np.asarray([row])).toarray()
            np.testing.assert_array_equal(own, computed.sequence[[row]].toarray())
        elif not after:
            np.testing.assert_array_equal(read.sequence[[row]].toarray(), computed.sequence[[row]].toarray())


@given(STEPS)
@settings(max_examples=40, deadline=None)
def test_that_changed_back_are_those_of_the_tables(before: list[Step]) -> None:
    story = Story()
    story.tell(Added([("always", item, n) for n, item in enumerate(ITEMS)]), *before)
    counts = story.counts
    assert counts.ordered is not None
    tables = Tables.of(counts.counted(), TableRules(2.0), Provenance(version=counts.version))
    codes = np.asarray([counts.code(item_id) for item_id in tables.item_ids], np.int64)
    story.tell(Added([("new", item, 3 * n) for n, item in enumerate(ITEMS)]), Forgotten("new"))
    scale = scale_of(tables.takers.astype(np.int64))
    fresh = FreshRows(counts, counts.ordered, codes, scale, tables.provenance.version, {})
    takers, recent = counts.popularity(codes, 2.0)
    read = tables.current(takers, recent, recent, fresh)
    rows = np.asarray([tables.rows[item] for item in (*ITEMS, ITEMS[0])])
    assert fresh.changed(rows[:-2]).all()
    np.testing.assert_array_equal(
        read.table_rows("sequence", rows).toarray(), tables.table_rows("sequence", rows).toarray()
    )


@given(STEPS, st.sets(st.sampled_from(ITEMS)), st.sets(st.sampled_from(ITEMS)))
@settings(max_examples=40, deadline=None)
def test_are_in_the_part_that_is_kept_to_explain(after: list[Step], past: set[str], items: set[str]) -> None:
    read, _ = told([], after)
    rows_of = [np.asarray([read.rows[item] for item in some], np.int64) for some in (past, items)]
    part = read.between(*rows_of)
    rows = read.table_rows("sequence", np.asarray([read.rows[item] for item in ITEMS]))
    for j in past:
        for i in items:
            assert entry(part.sequence, part, j, i) == rows[ITEMS.index(j), read.rows[i]]


def test_read_in_the_middle_of_a_change_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    story, cache, add = Story(), Cache(), Square.add
    story.tell(Added([("u", item, n) for n, item in enumerate("abc")]))
    counts = story.counts
    first, read = counts.version, list[int]()

    def rows() -> FreshRows:
        assert counts.ordered is not None
        return FreshRows(counts, counts.ordered, np.arange(3), scale_of(counts.takers.all(3)), 0, cache)

    def reading(self: Square, *change: Any) -> None:
        add(self, *change)
        rows().rows(FIRST)
        read.append(counts.version)

    monkeypatch.setattr(Square, "add", reading)
    story.tell(Added([("u", "c", 1)]))  # what was after "a" is added anew, then what was before is taken away
    assert read == [first, first]
    expected = Tables.of(counts.counted(), TableRules(2.0)).sequence
    np.testing.assert_array_equal(rows().rows(FIRST).toarray(), expected[[0]].toarray())


def test_do_not_change_once_they_were_read() -> None:
    story = Story()
    story.tell(Added([("u", item, n) for n, item in enumerate("abc")]))
    counts = story.counts
    assert counts.ordered is not None
    scale = scale_of(counts.takers.all(3))
    fresh = FreshRows(counts, counts.ordered, np.arange(3), scale, counts.version, {})
    assert not fresh.changed(np.arange(3)).any()
    story.tell(Added([("v", "a", 1), ("v", "c", 2)]))
    assert not fresh.changed(np.arange(3)).any()
    later = FreshRows(counts, counts.ordered, np.arange(3), scale, 1, {})
    assert later.changed(np.arange(3)).tolist() == [True, False, False]
    before = later.rows(FIRST).toarray()
    story.tell(Added([("w", "a", 1), ("w", "c", 2)]))
    np.testing.assert_array_equal(later.rows(FIRST).toarray(), before)
