"""Columns of attributes: types, views that do not change, other types, and compaction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.attributes import columns, schema, table
from itemlens_server.attributes.columns import NOTHING
from itemlens_server.attributes.parser import parse
from itemlens_server.attributes.schema import AttributeType, inferred, plain, typed
from itemlens_server.attributes.table import AttributeTable
from itemlens_server.errors import InvalidArgument


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("Alto", AttributeType.STRING),
        (5, AttributeType.NUMBER),
        (5.5, AttributeType.NUMBER),
        (True, AttributeType.BOOLEAN),
        (["a"], AttributeType.STRINGS),
        ({"lat": 1, "lon": 2}, AttributeType.POINT),
        ("2026-11-27", AttributeType.STRING),
        (None, None), ([], None), ([1], None), ({"a": 1}, None), ([["a"]], None), (["a"] * 257, None),
        ({"lat": "x", "lon": 500}, None),
    ],
)  # fmt: skip
def test_the_type_of_a_first_value(value: object, kind: AttributeType | None) -> None:
    assert inferred(value) is kind


@pytest.mark.parametrize(
    ("value", "kind", "again"),
    [
        ("x", "STRING", "x"),
        (2**53, "INTEGER", 2**53),
        (3.0, "INTEGER", 3),
        ("9223372036854775807", "INTEGER", "9223372036854775807"),
        ("-12", "INTEGER", -12),
        ("2026-11-27", "TIME", "2026-11-27T00:00:00Z"),
        ("2026-11-27T12:00:00+02:00", "TIME", "2026-11-27T10:00:00Z"),
        (["b", "a"], "STRINGS", ["b", "a"]),
        ({"lat": -90, "lon": 180}, "POINT", {"lat": -90.0, "lon": 180.0}),
        (False, "BOOLEAN", False),
        (1, "NUMBER", 1.0),
    ],
)
def test_a_value_comes_back_as_it_is_given(value: Any, kind: str, again: Any) -> None:
    stored = typed(value, AttributeType(kind))
    assert plain(stored, AttributeType(kind)) == again


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (5, "STRING"), ("5", "NUMBER"), (True, "NUMBER"), (1, "BOOLEAN"), ("true", "BOOLEAN"), (3.5, "INTEGER"),
        (2.0**60, "INTEGER"), ("9223372036854775808", "INTEGER"), ("12a", "INTEGER"), ("soon", "TIME"),
        (1.7e9, "TIME"),
        ("2026-13-01", "TIME"), ("2026-11-27T12:00:00", "TIME"), ("0001-01-01T00:00:00+23:00", "TIME"),
        ("a", "STRINGS"),
        (["a", 1], "STRINGS"), (["a"] * 257, "STRINGS"), ({"lat": 91, "lon": 0}, "POINT"), ({"lat": 1}, "POINT"),
        ({"lat": True, "lon": 0}, "POINT"), ({"lat": 1, "lon": 2, "alt": 3}, "POINT"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(value: object, kind: str) -> None:
    with pytest.raises(InvalidArgument, match="is not"):
        typed(value, AttributeType(kind))


def test_the_first_value_sets_the_type_that_others_must_have() -> None:
    made = AttributeTable({"ean": AttributeType.INTEGER})
    made.check({"price": 5, "extra": {"deep": [1]}}, {})
    with pytest.raises(
        InvalidArgument, match=r"attribute 'price': 'cheap' is not a number, which is that of its first"
    ):
        made.check({"price": "cheap"}, {})
    with pytest.raises(
        InvalidArgument, match=r"attribute 'ean': 'x' is not a whole number.*its type in the settings"
    ):
        made.check({"ean": "x"}, {})
    assert made.check({"price": None, "extra": "anything"}, {}) == ["extra"]
    assert made.view().types == {"ean": AttributeType.INTEGER}, "a value that is only checked has no column"
    made.add({"extra": "anything"})
    assert made.view().types["extra"] is AttributeType.STRING


def test_what_is_refused_holds_no_type() -> None:
    made = AttributeTable({"price": AttributeType.NUMBER})
    with pytest.raises(InvalidArgument, match="'price'"):
        made.check({"new": "5", "price": "cheap"}, {})
    assert made.check({"new": 5}, {}) == ["new"]


def test_a_type_is_free_again_when_its_first_value_is_taken_back() -> None:
    made = AttributeTable({})
    made.take_back(made.check({"new": 5}, {}))
    assert made.check({"new": "five"}, {}) == ["new"]
    with pytest.raises(InvalidArgument, match="'new': 5 is not a text"):
        made.check({"new": 5}, {})


def test_types_that_are_about_to_count_are_checked() -> None:
    made = AttributeTable({})
    made.check({"released": "last year"}, {})
    with pytest.raises(
        InvalidArgument, match=r"'released': 'last year' is not a time.*its type in the settings"
    ):
        made.check({"released": "last year"}, {"released": AttributeType.TIME})


def test_given_types_have_their_columns_whatever_else_items_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MOST_ATTRIBUTES", 2)
    made = AttributeTable({"released": AttributeType.TIME})
    for name in "abc":
        made.add({name: 1})
    record = made.add({"released": "2026-01-01"})
    assert made.view().there("released")[record]
    assert sorted(made.compacted(np.asarray([record]))[0].view().types) == ["a", "released"]


def test_a_long_list_widens_no_other_record() -> None:
    made = AttributeTable({})
    for _ in range(10_000):
        made.add({"tags": ["a"]})
    made.add({"tags": [str(n) for n in range(256)]})
    [tags] = made.view().columns.values()
    assert isinstance(tags, columns.ListColumn)
    assert tags._flat.nbytes + tags._ends.nbytes < 300_000


def test_a_view_does_not_change() -> None:
    made = AttributeTable({})
    made.add({"price": 1, "tags": ["a"]})
    view = made.view()
    for n in range(2 * columns.FEW):
        made.add({"price": n, "tags": [f"t{n}", "a", "b"], f"late{n % 3}": True})
    assert len(view) == 2
    assert parse("price = 1").mask(view).tolist() == [False, True]
    assert parse('tags = "a"').mask(view).tolist() == [False, True]
    with pytest.raises(InvalidArgument, match="no attribute"):
        parse("late1").mask(view)


def test_a_long_text_has_no_place_in_a_column() -> None:
    made = AttributeTable({})
    record = made.add({"about": "x" * 257, "tags": ["a", "y" * 257], "brand": "z" * 256})
    assert made.view().shown(record, ["about", "tags", "brand"]) == {"tags": ["a"], "brand": "z" * 256}
    made.check({"about": "short"}, {})


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        ({"p": 1, "t": "2026-01-01"}, {"p": 1, "t": "2026-01-01"}, {"p": 1, "t": "2026-01-01"}),
        ({"p": 1, "t": "2026-01-01"}, {"p": 2, "t": "2026-01-02"}, {"p": 1, "t": "2026-01-01T00:00:00Z"}),
        ({"p": 1}, {}, {"p": 1}),
        ({}, {"p": 1, "o": {"x": []}}, {"o": {"x": []}}),
        ({"s": ["b", "a", "b"]}, {"s": ["b", "a", "b"]}, {"s": ["b", "a", "b"]}),
        ({"s": []}, {"s": []}, {"s": []}),
        ({"n": "z" * 300}, {"n": "z" * 300}, {"n": "z" * 300}),
    ],
)
def test_attributes_are_told_as_they_were(
    then: dict[str, Any], now: dict[str, Any], told: dict[str, Any]
) -> None:
    made = AttributeTable({"t": AttributeType.TIME})
    made.add({"p": 5, "s": ["a"], "n": "text"})
    record = made.add(then)
    view = made.view()
    made.add({"p": 7, "s": ["z"]})
    assert view.told(record, ["p", "t", "s", "n", "o"], now) == told


def test_items_without_attributes_share_a_record() -> None:
    made = AttributeTable({})
    assert made.add({}) == made.add({"gone": None}) == NOTHING
    assert len(made) == 1


def test_more_attributes_than_there_may_be_columns_are_not_filtered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MOST_ATTRIBUTES", 2)
    made = AttributeTable({})
    record = made.add({"a": 1, "b": 2, "c": 3})
    made.check({"d": 4}, {})
    assert sorted(made.view().types) == ["a", "b"]
    assert made.view().shown(record, ["a", "b", "c"]) == {"a": 1.0, "b": 2.0}


def test_values_of_an_earlier_version_that_do_not_fit_are_left_out() -> None:
    made = AttributeTable({})
    first, second = made.add({"price": 5}), made.add({"price": "cheap", "brand": "x"})
    assert made.view().shown(first, ["price"]) == {"price": 5.0}
    assert made.view().shown(second, ["price", "brand"]) == {"brand": "x"}


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(-5, 5),
        "s": st.sampled_from("abc"),
        "l": st.lists(st.sampled_from("abc"), max_size=3),
    },
)


@given(st.lists(VALUES, max_size=12), st.data())
def test_compaction_keeps_what_stays(items: list[dict[str, Any]], data: st.DataObject) -> None:
    made = AttributeTable({})
    records = np.asarray([made.add(item) for item in items], np.int64)
    kept = np.asarray(data.draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items))), np.bool_)
    new, numbers = made.compacted(records[kept])
    own = np.unique(records[kept])
    assert len(new) <= len(own) + 1
    for old, number in zip(records[kept].tolist(), numbers.tolist(), strict=True):
        assert new.view().shown(number, "nsl") == made.view().shown(old, "nsl")
    fresh = new.add({"s": "new", "l": ["a", "z", "y", "x"]})
    assert new.view().shown(fresh, "sl") == {"s": "new", "l": ["a", "z", "y", "x"]}


def test_the_limits_are_those_of_the_contract() -> None:
    assert schema.MOST_ATTRIBUTES == 200 and schema.MOST_STRINGS == 256


BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "price": st.none() | st.integers(-9, 9) | st.just("of another type"),
    "brand": st.none() | st.sampled_from(["Alto", "Kaya", "x" * 300]),
    "tags": st.none() | st.lists(st.sampled_from("abc"), max_size=4),
    "on": st.none() | st.booleans(),
    "place": st.none() | st.just({"lat": 1.0, "lon": 2.0}),
    "day": st.none() | st.sampled_from(["2026-01-01", "soon"]),
}
CHANGED = st.fixed_dictionaries({}, optional=BY_NAME)


@given(
    st.lists(CHANGED, min_size=1, max_size=4),
    st.lists(st.lists(st.tuples(st.integers(0, 3), CHANGED), max_size=4)),
)
def test_a_derived_record_is_that_of_the_changed_attributes(first: list[Any], rounds: list[Any]) -> None:
    """The same as a new record with all attributes, whatever follows what; compacted, too."""
    made = AttributeTable({"day": AttributeType.TIME, "price": AttributeType.NUMBER})
    items = [dict(item) for item in first]
    records = np.asarray([made.add(item) for item in items], np.int64)
    before, shown = made.view(), [made.view().shown(int(r), BY_NAME) for r in records]
    old = records.copy()
    for changes in rounds:
        by_item = {n % len(items): change for n, change in changes}
        places = np.asarray(list(by_item), np.int64)
        records[places] = made.derive(records[places], list(by_item.values()))
        for n, change in by_item.items():
            items[n].update(change)
    again = AttributeTable(made.declared)
    for name, kind in made.view().types.items():
        again._columns = {**again._columns, name: columns.column(kind)}
    expected = [again.view().shown(record, BY_NAME) for record in [again.add(item) for item in items]]
    assert [made.view().shown(int(r), BY_NAME) for r in records] == expected
    assert [before.shown(int(r), BY_NAME) for r in old] == shown
    compacted, numbers = made.compacted(records)
    assert [compacted.view().shown(int(r), BY_NAME) for r in numbers] == expected
