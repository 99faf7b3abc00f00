"""Filters: what they match, what their expressions mean, and what is said of wrong ones."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens_server.attributes.filters import (
    OPERATORS,
    All,
    AnyOf,
    Compare,
    Filter,
    Has,
    Name,
    Not,
    OneOf,
    failing,
    leaves,
)
from itemlens_server.attributes.parser import REMEMBERED_CHARACTERS, parse
from itemlens_server.attributes.schema import AttributeType
from itemlens_server.attributes.table import AttributeTable
from itemlens_server.errors import InvalidArgument
from support.filters import RANDOM_ITEM, TREES
from support.sizes import size

DECLARED = {
    "released": AttributeType.TIME,
    "place": AttributeType.POINT,
    "ean": AttributeType.INTEGER,
    "weight": AttributeType.NUMBER,
}
TEN_400, TEN_5000 = "1" + "0" * 400, "1" + "0" * 5000
ITEMS: dict[str, dict[str, Any]] = {
    "tent": {
        "price": 199.0, "brand": "Alto", "in_stock": True, "tags": ["camp", "red"], "released": "2026-03-01",
        "place": {"lat": 48.14, "lon": 11.58}, "ean": "9007199254740993", "screen size": "6'",
    },
    "lamp": {
        "price": 25, "brand": "Kaya", "in_stock": False, "tags": ["camp"], "released": "2025-01-31T12:00:00+01:00",
        "place": {"lat": 52.52, "lon": 13.41}, "ean": 9007199254740992,
    },
    "kettle": {"price": 59.99, "brand": "Alto", "in_stock": True, "tags": []},
    "nothing": {},
}  # fmt: skip


def table(items: Mapping[str, Mapping[str, Any]] = ITEMS) -> tuple[AttributeTable, np.ndarray[Any, Any]]:
    made = AttributeTable(DECLARED)
    return made, np.asarray([made.add(attributes) for attributes in items.values()], np.int64)


def matching(expression: str) -> str:
    """The items that an expression matches."""
    made, records = table()
    mask = parse(expression).mask(made.view())[records]
    return " ".join(item for item, matches in zip(ITEMS, mask.tolist(), strict=True) if matches)


@pytest.mark.parametrize(
    ("expression", "items"),
    [
        ("in_stock", "tent kettle"),
        ("not in_stock", "lamp nothing"),
        ("in_stock = false", "lamp"),
        ("in_stock and price < 60", "kettle"),
        ("price >= 25 and price <= 59.99", "lamp kettle"),
        ("25 < price <= 199", "tent kettle"),
        ("60 > price", "lamp kettle"),
        ("price != 25", "tent kettle nothing"),
        ('brand in ("Alto", "Nobody")', "tent kettle"),
        ("brand not in ('Alto')", "lamp nothing"),
        ('brand = "Kaya" or price > 100', "tent lamp"),
        ('brand = "Kaya" or brand = "Alto" and in_stock', "tent lamp kettle"),
        ('(brand = "Kaya" or brand = "Alto") and in_stock', "tent kettle"),
        ('tags = "camp"', "tent lamp"),
        ('tags in ("red", "blue")', "tent"),
        ('tags != "camp"', "kettle nothing"),
        ("has(tags)", "tent lamp"),
        ("has(released)", "tent lamp"),
        ("not has(price)", "nothing"),
        ('released >= "2026-01-01"', "tent"),
        ('released < "2025-01-31T11:00:01Z"', "lamp"),
        ("released < now", "tent lamp"),
        ("released > now - 5000w", "tent lamp"),
        ("released > now + 1d", ""),
        ("near(place, 48.1, 11.6, 10)", "tent"),
        ("near(place, 48.1, 11.6, 600)", "tent lamp"),
        ("ean = 9007199254740993", "tent"),
        ("ean <= 9007199254740992", "lamp"),
        ('`screen size` = "6\'"', "tent"),
        ("IN_STOCK", None),
        ("weight > 0", ""),
        ("in_stock AND NOT price < 60", "tent"),
        ("price in (25, 199)", "tent lamp"),
        ("ean in (9007199254740993, 1)", "tent"),
        ("ean in (9007199254740992.0, 1.5)", "lamp"),
        ("ean in (1e300, -9223372036854775808.0)", ""),
        (f"ean >= {-(2**63) + 1}", "tent lamp"),
        (f"price in ({', '.join(map(str, range(1500)))})", "tent lamp"),
    ],
)
def test_an_expression_matches(expression: str, items: str | None) -> None:
    if items is None:
        with pytest.raises(InvalidArgument, match="did you mean 'in_stock'"):
            matching(expression)
    else:
        assert matching(expression) == items


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("price <", r"wrong at character 8, at its end; expected"),
        ("price < and in_stock", r"wrong at character 9, at 'and in_stock'; expected"),
        ("price < 60 brand", r"wrong at character 12, at 'brand'; expected and, or or the end"),
        ("price ~ 60", r"wrong at character 7, at '~ 60'"),
        ('brand = "Alto', r"wrong at character 9"),
        ("(price < 60", r"wrong at character 12, at its end"),
        ("", r"wrong at character 1, at its end"),
        ("prize < 60", r"at character 1: 'prize' is no attribute of the collection; did you mean 'price'\?"),
        (
            "in_stock and colour = 'x'",
            r"at character 14: 'colour' is no attribute of the collection; there are: brand",
        ),
        ('price = "cheap"', r"at character 1: 'price' is compared with a number, not with \"cheap\""),
        ("brand < 'B'", r"'brand' is a text, so only = and != compare it, not <"),
        ("brand = 5", r"'brand' is compared with a text, not with 5"),
        ("in_stock = 1", r"'in_stock' is compared with true or false, not with 1"),
        ("price", r"'price' is compared with a number, not with true"),
        ("released > 'soon'", r"'released' is compared with a time such as"),
        ("price > now", r"'price' is compared with a number, not with now"),
        ("place = 'here'", r"'place' is a place; use near\(place, lat, lon, km\)"),
        ("near(price, 1, 2, 3)", r"'price' is a number; near\(\) needs a place"),
        ("near(place, 91, 2, 3)", r"near\(\) needs a latitude of -90 to 90"),
        ("near(place, 1, 2, -3)", r"near\(\) needs a latitude"),
        ("price < 60 and " * 700 + "in_stock", r"the filter has 10508 characters, the limit is 10000"),
        ("not " * 60 + "in_stock", r"nested more than 50 deep"),
        (
            "a or " * 200 + "a",
            r"the filter has 201 conditions, 0 of them near\(\); the limits are 200 and 10",
        ),
        (
            "near(a, 1, 1, 1) or " * 10 + "near(a, 1, 1, 1)",
            r"the filter has 11 conditions, 11 of them near\(\)",
        ),
        (f"price < {TEN_400}", r"at character 9: the number is too large; whole numbers have 64 bits"),
        (f"price in (1, {TEN_5000})", r"at character 14: the number is too large"),
        ("price < 1e400", r"at character 9: the number is too large"),
        (f"ean in (-{2**63})", r"at character 9: the number is too large"),
        (f"near(place, 1, 1, {TEN_400})", r"at character 19: the number is too large"),
    ],
)
def test_a_wrong_filter_says_where_and_why(expression: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as raised:
        matching(expression)
    assert raised.value.field == "filter"


def test_a_filter_of_a_thousand_brackets_is_read() -> None:
    assert matching("(" * 1000 + "in_stock" + ")" * 1000) == "tent kettle"


def test_short_filters_are_parsed_once_and_wrong_ones_are_refused_each_time() -> None:
    assert parse("price < 61") is parse("price < 61")
    long = f"price in ({', '.join('61' for _ in range(REMEMBERED_CHARACTERS // 3))})"
    assert parse(long) == parse(long)
    assert parse(long) is not parse(long)
    for _ in range(2):
        with pytest.raises(InvalidArgument, match="character 8"):
            parse("price <")


def test_now_is_the_time_of_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = parse("released > now - 30d")
    made, records = table()
    monkeypatch.setattr(time, "time", lambda: 1_772_323_200.0 + 10 * 86_400)  # 2026-03-11
    assert seen.mask(made.view())[records].tolist() == [True, False, False, False]
    monkeypatch.setattr(time, "time", lambda: 1_772_323_200.0 + 40 * 86_400)
    assert not seen.mask(made.view())[records].any()


def test_near_is_a_distance_on_the_earth() -> None:
    """Munich to Berlin: 504 km."""
    made, records = table()
    for km, found in ((503, 1), (506, 2)):
        mask = parse(f"near(place, 48.1374, 11.5755, {km})").mask(made.view())
        assert int(mask[records].sum()) == found


def test_what_leaves_an_item_out_is_said_with_its_value() -> None:
    made, records = table()
    condition = parse('in_stock and price < 60 and (brand = "Kaya" or tags = "blue")')
    assert failing(condition, made.view(), int(records[0])) == [
        "price < 60 (price is 199)",
        '(brand = "Kaya" or tags = "blue") (brand is "Alto", tags is ("camp", "red"))',
    ]
    assert failing(parse("price < 198.99"), made.view(), int(records[0])) == ["price < 198.99 (price is 199)"]
    assert failing(parse("price < 60"), made.view(), int(records[3])) == ["price < 60 (it has no value)"]
    assert failing(parse("price < 60"), made.view(), int(records[1])) == []


# A law: the columns say the same as the values one by one, and the expression of a filter is the filter.
def matches(condition: Filter, item: Mapping[str, Any]) -> bool:
    """What a filter says of an item, from its values."""
    match condition:
        case Not():
            return not matches(condition.part, item)
        case All():
            return all(matches(part, item) for part in condition.parts)
        case AnyOf():
            return any(matches(part, item) for part in condition.parts)
        case Has():
            return item.get(condition.attribute.name) not in (None, [])
        case OneOf():
            name = condition.attribute.name
            return any(matches(Compare(Name(name), "=", value), item) for value in condition.values)
        case Compare():
            if condition.op == "!=":
                return not matches(Compare(condition.attribute, "=", condition.value), item)
            value = item.get(condition.attribute.name)
            if value is None:
                return False
            if isinstance(value, list):
                return condition.value in value
            return bool(OPERATORS[condition.op](value, condition.value))
    raise AssertionError(condition)


@given(st.lists(RANDOM_ITEM, max_size=8), TREES)
@settings(max_examples=size(150, 1000), deadline=None)
def test_columns_say_what_the_values_say(items: list[dict[str, Any]], condition: Filter) -> None:
    first = {"price": 1.0, "brand": "Alto", "tags": ["x"], "in_stock": True}
    made, records = table({str(n): item for n, item in enumerate([first, *items])})
    expected = [matches(condition, item) for item in [first, *items]]
    assert condition.mask(made.view())[records].tolist() == expected
    read = parse(str(condition))
    assert read.mask(made.view())[records].tolist() == expected
    assert str(read) == str(parse(str(read)))
    for record, matched in zip(records.tolist(), expected, strict=True):
        assert bool(failing(condition, made.view(), record)) is not matched
    assert {leaf.attribute.name for leaf in leaves(condition)} <= set(first)


def test_a_nan_cannot_be_written() -> None:
    with pytest.raises(InvalidArgument, match="wrong at character 9, at 'nan'"):
        matching("price < nan")
