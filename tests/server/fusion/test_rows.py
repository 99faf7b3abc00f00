"""The rows in memory, compared with a dictionary as a simple model."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.attributes.parser import parse
from itemlens_server.attributes.schema import AttributeType
from itemlens_server.attributes.table import AttributeChange, AttributeTable
from itemlens_server.errors import InvalidArgument
from itemlens_server.fusion.rows import FEW, Rows, View
from itemlens_server.words import Indexed

# Each step adds some items (a later step may repeat their ids), removes one, or compacts.
STEPS = st.lists(
    st.one_of(
        st.none(),
        st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True),
        st.sampled_from("abcdefgh"),
    ),
    max_size=30,
)


@given(STEPS)
def test_a_view_shows_the_last_version_of_each_item_that_is_there(
    steps: list[list[str] | str | None],
) -> None:
    rows, label = Rows(1), 0
    model: dict[str, int] = {}
    for step in steps:
        if step is None:
            rows.compact()
            assert rows.view().alive.all()
            continue
        if isinstance(step, str):
            rows.remove(step)
            model.pop(step, None)
            continue
        labels = np.arange(label, label + len(step)) * 10 + 1
        rows.append(labels, step, labels[:, None].astype(np.float32))
        model.update(zip(step, labels.tolist(), strict=True))
        label += len(step)

    view = rows.view()
    alive = np.flatnonzero(view.alive)
    assert {view.item_ids[p]: int(view.labels[p]) for p in alive} == model
    assert view.alive_count == len(alive) == len(model)
    assert all(view.h[p, 0] == view.labels[p] for p in alive)
    assert np.all(np.diff(view.labels) > 0)
    for item_id in "abcdefgh":
        assert rows.label(item_id) == model.get(item_id)
        position = view.position(item_id)
        assert view.find([item_id]).tolist() == [-1 if position is None else position]
        assert (position is None) == (item_id not in model)
        if position is not None:
            assert view.item_ids[position] == item_id


def test_a_view_keeps_its_rows_while_others_are_added() -> None:
    rows = Rows(2)
    rows.append(np.array([1]), ["a"], np.array([[1, 2]], np.float32))
    before = rows.view()
    many = 5000  # more than the arrays' capacity
    rows.append(np.arange(2, 2 + many), [f"x{n}" for n in range(many)], np.zeros((many, 2), np.float32))
    assert before.labels.tolist() == [1]
    assert before.h.tolist() == [[1, 2]]
    assert rows.view().h[0].tolist() == [1, 2]


def put(rows: Rows, *item_ids: str) -> None:
    first = int(rows.view().labels.max(initial=0))
    labels = np.arange(first, first + len(item_ids)) + 1
    rows.append(labels, list(item_ids), labels[:, None].astype(np.float32))


def test_a_view_does_not_change_when_items_are_replaced_or_deleted() -> None:
    rows = Rows(1)
    put(rows, "a", "b", "c")
    view = rows.view()
    for _ in range(3):
        put(rows, "a")
    rows.remove("b")
    assert view.alive.tolist() == [True, True, True] and view.alive_count == 3
    # A replaced item is found at its old position. A deleted one is not found.
    assert [view.position(i) for i in "abcd"] == [0, None, 2, None]
    assert view.find("abcd").tolist() == [0, -1, 2, -1]
    assert [rows.view().position(i) for i in "abcd"] == [5, None, 2, None]


def test_an_item_that_was_deleted_and_put_again_is_not_in_the_view_before() -> None:
    rows = Rows(1)
    put(rows, "a")
    rows.remove("a")
    view = rows.view()
    put(rows, "a")
    assert view.position("a") is None and not view.alive.any()


def test_a_view_keeps_what_it_shows_when_the_dead_rows_are_dropped() -> None:
    rows = Rows(1)
    put(rows, "a", "b", "c")
    put(rows, "a")
    view = rows.view()
    put(rows, "c")
    rows.compact()
    put(rows, "b")
    assert view.labels.tolist() == [1, 2, 3, 4] and view.h[:, 0].tolist() == [1, 2, 3, 4]
    assert view.alive.tolist() == [False, True, True, True]
    assert [view.position(i) for i in "abc"] == [3, 1, 2]
    now = rows.view()
    assert now.labels.tolist() == [2, 4, 5, 6] and now.alive.tolist() == [False, True, True, True]
    assert [now.position(i) for i in "abc"] == [1, 3, 2]


def test_few_dead_rows_are_left_alone_and_many_are_dropped_before_they_outnumber_the_others() -> None:
    rows = Rows(1)
    names = [f"i{n}" for n in range(1000)]
    put(rows, *names)
    for n, name in enumerate(names):
        assert not rows.mostly_dead, n
        put(rows, name)
    rows.remove("i7")
    assert rows.mostly_dead
    rows.compact()
    assert not rows.mostly_dead and len(rows.view().labels) == 999
    small = Rows(1)
    for _ in range(FEW + 1):
        put(small, "a")
        assert not small.mostly_dead
    put(small, "a")
    assert small.mostly_dead


def test_nothing_holds_on_to_arrays_that_were_outgrown_or_compacted() -> None:
    rows = Rows(1)
    put(rows, "a")
    first = weakref.ref(rows.view().h.base)
    put(rows, *(f"i{n}" for n in range(2 * FEW)))
    assert first() is None
    second = weakref.ref(rows.view().h.base)
    rows.compact()
    assert second() is None


def test_views_taken_during_replacements_show_every_item_once() -> None:
    rows = Rows(1)
    names = [f"i{n}" for n in range(300)]
    put(rows, *names)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            put(rows, *names)
            if rows.mostly_dead:
                rows.compact()

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        try:
            for _ in range(200):
                view = rows.view()
                alive = np.flatnonzero(view.alive)
                assert sorted(view.item_ids[p] for p in alive) == sorted(names)
                assert [view.position(view.item_ids[p]) for p in alive] == alive.tolist()
        finally:
            stop.set()
        writing.result()


@given(st.sets(st.integers(0, 40)), st.lists(st.integers(-5, 50), unique=True).map(sorted))
def test_positions_are_found_by_label_and_unknown_labels_are_left_out(
    there: set[int], wanted: list[int]
) -> None:
    rows = Rows(1)
    labels = np.array(sorted(there), np.int64)
    rows.append(labels, [str(n) for n in labels], np.zeros((len(labels), 1), np.float32))
    positions = rows.view().positions(np.array(wanted, np.int64))
    assert labels[positions].tolist() == [n for n in wanted if n in there]


def shown(view: View) -> list[list[int]]:
    """The codes of attribute values of each row; codes are given in the order of the values' first items."""
    return [[c for c in codes if c] for codes in view.values.codes[:, view.columns].T.tolist()]


def tags(*values: str) -> dict[str, list[str]]:
    return {"tags": list(values)}


class TestAttributes:
    """They may change while the row stays."""

    @staticmethod
    def rows() -> Rows:
        rows = Rows(1)
        rows.append(np.array([1, 2]), ["a", "b"], np.zeros((2, 1), np.float32), [tags("x", "y"), {}])
        return rows

    def test_are_those_of_the_rows(self) -> None:
        rows = self.rows()
        rows.append(np.array([3]), ["c"], np.zeros((1, 1), np.float32), [tags("y", "z", "u")])
        assert shown(rows.view()) == [[1, 2], [], [2, 3, 4]]

    def test_change_without_a_change_of_earlier_views(self) -> None:
        rows = self.rows()
        before = rows.view()
        rows.set_attributes({"a": tags("z")})
        rows.set_attributes({"b": tags("x", "y", "z")})
        rows.set_attributes({"gone": tags("x")})
        assert shown(before) == [[1, 2], []]
        assert shown(rows.view()) == [[3], [1, 2, 3]]

    def test_a_change_of_numbers_leaves_the_values(self) -> None:
        rows = self.rows()
        before = rows.view()
        rows.set_attributes({"a": {**tags("x", "y"), "price": 7}})
        after = rows.view()
        assert after.columns.base is before.columns.base and len(after.values.norms) == len(
            before.values.norms
        )

    def test_a_filter_sees_the_attributes_of_its_view(self) -> None:
        rows = self.rows()
        before = rows.view()
        rows.set_attributes({"a": {"price": 7}, "b": {"price": 9}, "gone": {"price": 8}})
        after = rows.view()
        with pytest.raises(InvalidArgument, match="no attribute"):
            before.matching(parse("price > 0"))
        assert after.matching(parse("price = 7")).tolist() == [True, False]
        rows.set_attributes({"a": {"price": 1}})
        assert after.matching(parse("price = 7")).tolist() == [True, False]
        assert rows.view().matching(parse("price = 7")).tolist() == [False, False]
        rows.append(np.array([3]), ["a"], np.zeros((1, 1), np.float32), [{"price": 5}])
        rows.compact()
        assert rows.view().matching(parse("price >= 5")).tolist() == [True, True]

    def test_other_types_leave_earlier_views_as_they_are(self) -> None:
        rows = self.rows()
        rows.set_attributes({"a": {"day": "2026-01-01"}, "b": {"day": "2026-02-01"}})
        before = rows.view()
        times = AttributeTable({"day": AttributeType.TIME})
        of_items = {"b": "2026-02-01", "gone": "2026-03-01", "a": "2026-01-01"}
        rows.declare(times, {item_id: times.add({"day": day}) for item_id, day in of_items.items()})
        assert before.matching(parse('day = "2026-02-01"')).tolist() == [False, True]
        assert rows.view().matching(parse('day > "2026-01-15"')).tolist() == [False, True]

    def test_columns_are_copied_once_for_many_changes_between_two_views(self) -> None:
        rows = self.rows()
        rows.view()
        rows.set_attributes({"a": tags("z")})
        copy = rows._columns
        rows.set_attributes({"b": tags("z")})
        assert rows._columns is copy

    def test_a_change_of_some_attributes_keeps_the_others(self) -> None:
        rows = self.rows()
        rows.set_attributes({"a": {**tags("x", "y"), "price": 1, "day": "monday"}})
        before = rows.view()
        new = {**tags("x", "y"), "price": 7}
        rows.change_attributes(
            {
                "a": AttributeChange(new, {"price": 7, "day": None}),
                "gone": AttributeChange({"price": 8}, {"price": 8}),
            }
        )
        after = rows.view()
        assert before.matching(parse('price = 1 and day = "monday"')).tolist() == [True, False]
        assert after.matching(parse("price = 7 and not has(day)")).tolist() == [True, False]
        assert shown(before) == [[1, 2, 3], []] and shown(after) == [[1, 2], []]
        rows.change_attributes({"a": AttributeChange({**new, "price": 8}, {"price": 8})})
        assert rows.view().columns.base is after.columns.base, "numbers are no values that items share"
        rows.change_attributes({"a": AttributeChange(tags("z"), {**tags("z"), "price": None})})
        assert shown(rows.view()) == [[4], []] and shown(after) == [[1, 2], []]

    def test_old_attributes_are_dropped_while_the_rows_stay(self) -> None:
        rows = self.rows()
        for n in range(3 * FEW):
            own = {**tags("xyz"[n % 3]), "price": n}
            rows.change_attributes({"a": AttributeChange(own, own)})
            if rows.descriptions_mostly_dead:
                before, h = rows.view(), rows._h
                rows.compact_descriptions()
                assert rows._h is h and rows.view().labels.tolist() == before.labels.tolist()
                for view in (before, rows.view()):
                    assert view.matching(parse(f"price = {n}")).tolist() == [True, False]
            assert not rows.mostly_dead
        assert len(rows.attributes) <= 2 * FEW + 3 and len(rows._values) <= 2 * FEW + 3

    def test_words_stay_as_they_are_where_other_attributes_changed(self) -> None:
        rows = Rows(1, indexed=Indexed())
        rows.append(
            np.array([1]), ["a"], np.zeros((1, 1), np.float32), [{"price": 0}], [{"text": "red kettle"}]
        )
        words, compactions = rows._words, 0
        for n in range(3 * FEW):
            own = {"price": n}
            rows.change_attributes({"a": AttributeChange(own, own)})
            if rows.descriptions_mostly_dead:
                rows.compact_descriptions()
                compactions += 1
        view = rows.view()
        assert compactions and rows._words is words
        assert view.documents.tolist() == [1] and view.matching(parse(f"price = {n}")).all()

    def test_move_with_their_rows(self) -> None:
        rows = self.rows()
        rows.append(np.array([3]), ["a"], np.zeros((1, 1), np.float32), [tags("z")])
        view = rows.view()
        rows.compact()
        assert shown(rows.view()) == [[], [1]]  # x and y are gone, so z has another code
        assert shown(view) == [[1, 2], [], [3]]

    def test_many_changes_of_one_item_are_compacted(self) -> None:
        rows = self.rows()
        for n in range(3 * FEW):
            rows.set_attributes({"a": tags("xyz"[n % 3])})
            if rows.descriptions_mostly_dead:
                rows.compact_descriptions()
        assert len(rows._values) <= FEW + 3
