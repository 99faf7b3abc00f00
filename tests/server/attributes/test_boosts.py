"""Boosts over columns: their shapes, their limits, and what does not fit."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.attributes.boosts import Boost
from itemlens_server.attributes.columns import Attributes
from itemlens_server.attributes.schema import LAST_SECOND, AttributeType, seconds
from itemlens_server.attributes.shapes import (
    LARGEST,
    MOST_NATS,
    AnyShape,
    ByItem,
    ByValue,
    HalfLife,
    Linear,
    Log,
    Steps,
)
from itemlens_server.attributes.table import AttributeTable
from itemlens_server.errors import InvalidArgument

ITEMS: tuple[dict[str, Any], ...] = (
    {"price": 10, "ean": "9007199254740993", "new": True, "brand": "Alto", "tags": ["wool", "red"],
     "released": "2026-03-01"},
    {"price": 40, "ean": 5, "new": False, "brand": "Kaya", "tags": ["red"], "released": "2026-02-01"},
    {"price": -5, "other": 1},
)  # fmt: skip
TYPES = {"released": AttributeType.TIME, "ean": AttributeType.INTEGER, "place": AttributeType.POINT}


def seconds_of(text: str) -> float:
    found = seconds(text)
    assert found is not None
    return found


NOW = seconds_of("2026-03-01")


def attributes() -> Attributes:
    table = AttributeTable(TYPES)
    for item in ITEMS:
        table.add(item)
    return table.view()


def nats(attribute: str, shape: AnyShape, **options: Any) -> list[float]:
    """The nats of each item; the first record is that of items without attributes."""
    boost = Boost("b", attribute, shape, **options)
    boost.check()
    none, *found = map(float, boost.nats(attributes(), NOW))
    assert none == pytest.approx(options.get("missing_nats", 0.0))
    return found


@pytest.mark.parametrize(
    ("attribute", "shape", "expected"),
    [
        ("price", Linear(0.1, 20), [-1, 2, -2.5]),
        ("price", Log(2, 10), [2 * math.log(2), 2 * math.log(5), 0]),
        ("price", HalfLife(4, 15, 10), [4, 1, 2]),
        ("price", Steps(((0, 1), (10, 2), (41, 3))), [2, 2, 0]),
        ("ean", Steps(((1, 1), (2**53, 2))), [2, 1, 0]),
        ("released", HalfLife(2, 28), [2, 1, 0]),
        ("released", Linear(-0.05), [0, -1.4, 0]),
        ("released", Steps(((0, 1), (20, 0.5))), [1, 0.5, 0]),
        ("brand", ByValue({"Kaya": 0.5, "unknown": 9}), [0, 0.5, 0]),
        ("new", ByValue({"true": 1, "false": -1}), [1, -1, 0]),
        ("tags", ByValue({"wool": 1, "red": 2, "unknown": 9}), [3, 2, 0]),
    ],
)
def test_a_shape_gives_nats_by_value(attribute: str, shape: AnyShape, expected: list[float]) -> None:
    assert nats(attribute, shape) == pytest.approx(expected)


def test_an_item_without_a_value_gets_what_is_stated_and_others_what_the_limits_allow() -> None:
    assert nats("released", HalfLife(2, 28), missing_nats=-3.0) == pytest.approx([2, 1, -3])
    assert nats("price", Linear(1), least_nats=0.0, most_nats=15.0) == [10, 15, 0]
    assert nats("price", Linear(1)) == [10, MOST_NATS, -5]


def test_days_can_be_counted_from_another_time() -> None:
    christmas = seconds_of("2026-02-01") + 28 * 86_400
    assert nats("released", HalfLife(2, 28), from_time=christmas - 28 * 86_400) == pytest.approx([1, 2, 0])


SIZES = st.floats(-LARGEST, LARGEST)
SMALL = st.floats(-MOST_NATS, MOST_NATS)
POSITIVE = st.floats(1 / LARGEST, LARGEST)
SHAPES: st.SearchStrategy[AnyShape] = st.one_of(
    st.builds(Linear, SIZES, SIZES),
    st.builds(Log, SIZES, POSITIVE),
    st.builds(HalfLife, SMALL, POSITIVE, SIZES),
    st.builds(
        lambda steps: Steps(tuple(sorted(steps.items()))),
        st.dictionaries(SIZES, SMALL, min_size=1, max_size=5),
    ),
)


@given(
    SHAPES, st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5), SMALL, SMALL
)
def test_nats_are_finite_and_within_the_limits_whatever_the_numbers(
    shape: AnyShape, prices: list[float], one: float, other: float
) -> None:
    table = AttributeTable({"price": AttributeType.NUMBER})
    for price in prices:
        table.add({"price": price})
    boost = Boost("b", "price", shape, least_nats=min(one, other), most_nats=max(one, other))
    boost.check()
    found = boost.nats(table.view(), NOW)[1:]
    assert np.isfinite(found).all()
    assert (found >= np.float32(boost.least_nats)).all() and (found <= np.float32(boost.most_nats)).all()


@given(SHAPES, SMALL, st.booleans())
def test_a_boost_is_stored_and_read_again(shape: AnyShape, missing: float, by_default: bool) -> None:
    for own in (shape, ByValue({"a": 1.0})):
        boost = Boost("name", "price", own, missing, -1.0, 2.5, 17.0, by_default)
        assert Boost.of_stored(json.loads(json.dumps(boost.stored()))) == boost


NAN, INFINITE = math.nan, math.inf
LINEAR = Linear(1)


@pytest.mark.parametrize(
    ("boost", "field", "message"),
    [
        (Boost("", "a", LINEAR), "name", "not a valid name"),
        (Boost("x" * 65, "a", LINEAR), "name", "not a valid name"),
        (Boost("a\nb", "a", LINEAR), "name", "not a valid name"),
        (Boost("b", "a"), "shape", "has no shape"),
        (Boost("b", missing_nats=1), "shape", "has no shape"),
        (Boost("b", "", LINEAR), "attribute", "is required"),
        (Boost("b", "a", ByItem({"i": 1})), "attribute", "leave it out"),
        (Boost("b", "a", Linear(NAN)), "linear.slope", "nan is out of range"),
        (Boost("b", "a", Linear(1, INFINITE)), "linear.origin", "inf is out of range"),
        (Boost("b", "a", Log(INFINITE)), "log.nats", "out of range"),
        (Boost("b", "a", Log(1, 0)), "log.scale", "must be above 0"),
        (Boost("b", "a", Log(1, NAN)), "log.scale", "must be above 0"),
        (Boost("b", "a", HalfLife(21, 1)), "half_life.nats", "give -20 to 20 nats"),
        (Boost("b", "a", HalfLife(NAN, 1)), "half_life.nats", "give -20 to 20 nats"),
        (Boost("b", "a", HalfLife(1, -3)), "half_life.half_life", "must be above 0"),
        (Boost("b", "a", Steps(())), "steps.steps", "give 1 to 100"),
        (Boost("b", "a", Steps(((0, 1),) * 101)), "steps.steps", "give 1 to 100"),
        (Boost("b", "a", Steps(((0, 1), (0, 2)))), "steps.steps[1].start", "ascending"),
        (Boost("b", "a", Steps(((0, 1), (NAN, 2)))), "steps.steps[1].start", "out of range"),
        (Boost("b", "a", Steps(((0, NAN),))), "steps.steps[0].nats", "give -20 to 20 nats"),
        (Boost("b", "a", ByValue({})), "values.nats", "0 values"),
        (Boost("b", "a", ByValue({"x": INFINITE})), "values.nats['x']", "give -20 to 20 nats"),
        (Boost("b", "a", ByValue(dict.fromkeys(map(str, range(1001)), 1.0))), "values.nats", "1001 values"),
        (Boost("b", "", ByItem(dict.fromkeys(map(str, range(10**6)), 1.0))), "items.nats", "1000000 items"),
        (Boost("b", "a", LINEAR, missing_nats=NAN), "missing_nats", "give -20 to 20 nats"),
        (Boost("b", "a", LINEAR, least_nats=2, most_nats=1), "least_nats", "more than most_nats"),
        (Boost("b", "a", LINEAR, most_nats=1e9), "most_nats", "give -20 to 20 nats"),
        (Boost("b", "a", LINEAR, from_time=INFINITE), "from_time", "years 1 to 9999"),
        (Boost("b", "a", LINEAR, from_time=1e15), "from_time", "years 1 to 9999"),
        (Boost("b", "a", LINEAR, from_time=LAST_SECOND), "from_time", "years 1 to 9999"),
        (Boost("b", shape=ByItem({"a": 1.0}), missing_nats=-2.0), "missing_nats", "leave it out"),
        (Boost("b", shape=ByItem({"a": 1.0}), from_time=0.0), "from_time", "leave it out"),
    ],
)  # fmt: skip
def test_a_wrong_boost_is_refused_with_its_field(boost: Boost, field: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        boost.check()
    assert raised.value.field == field and message in raised.value.message


@pytest.mark.parametrize(
    ("boost", "field", "message"),
    [
        (Boost("b", "brands", ByValue({"x": 1})), "attribute", "did you mean 'brand'?"),
        (Boost("b", "brand", LINEAR), "linear", "values fits it, not linear"),
        (
            Boost("b", "price", ByValue({"x": 1})),
            "values",
            "linear, log, half_life or steps fits it, not values",
        ),
        (Boost("b", "place", LINEAR), "linear", "no shape fits it"),
        (Boost("b", "price", LINEAR, from_time=0.0), "from_time", "not a time"),
    ],
)
def test_a_boost_that_does_not_fit_the_attributes_is_refused(boost: Boost, field: str, message: str) -> None:
    boost.check()
    with pytest.raises(InvalidArgument) as raised:
        boost.nats(attributes(), NOW)
    assert raised.value.field == field and message in raised.value.message
