"""The filter of a request as a tree of messages: it says what the expression says, and what is said of wrong trees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens.v1 import common_pb2, itemlens_pb2
from itemlens_server.attributes.filters import All, AnyOf, Compare, Filter, Has, Near, Not, Now, OneOf
from itemlens_server.attributes.parser import parse
from itemlens_server.attributes.schema import AttributeType
from itemlens_server.attributes.table import AttributeTable
from itemlens_server.errors import InvalidArgument
from itemlens_server.rpc import filters
from support.filters import RANDOM_ITEM, TREES
from support.sizes import size

OPERATORS = {written: common_pb2.FilterOperator.ValueType(n) for n, written in filters.OPERATORS.items()}
Tree = Mapping[str, Any]


def value(literal: object) -> common_pb2.FilterValue:
    match literal:
        case bool():
            return common_pb2.FilterValue(boolean=literal)
        case str():
            return common_pb2.FilterValue(text=literal)
        case int():
            return common_pb2.FilterValue(integer=literal)
        case float():
            return common_pb2.FilterValue(number=literal)
        case Now():
            return common_pb2.FilterValue(now=literal.plus)
    raise AssertionError(literal)


def tree_of(condition: Filter) -> common_pb2.Filter:
    """A filter as a caller would send it."""
    match condition:
        case All():
            return common_pb2.Filter(all=map(tree_of, condition.parts))
        case AnyOf():
            return common_pb2.Filter(any=map(tree_of, condition.parts))
        case Not(AnyOf() as several):
            return common_pb2.Filter(none=map(tree_of, several.parts))
        case Not():
            return common_pb2.Filter(none=[tree_of(condition.part)])
        case Compare(name, op, literal):
            comparison = common_pb2.FilterComparison(
                attribute=name.name, op=OPERATORS[op], value=value(literal)
            )
            return common_pb2.Filter(comparison=comparison)
        case OneOf(name, values):
            return common_pb2.Filter(
                one_of=common_pb2.FilterOneOf(attribute=name.name, values=map(value, values))
            )
        case Near(name, lat, lon, km):
            return common_pb2.Filter(near=common_pb2.FilterNear(attribute=name.name, lat=lat, lon=lon, km=km))
        case Has(name):
            return common_pb2.Filter(has=name.name)
    raise AssertionError(condition)


def read(tree: common_pb2.Filter) -> Filter:
    found = filters.condition(itemlens_pb2.RecommendRequest(filter_tree=tree))
    assert found is not None
    return found


def of_json(tree: Tree) -> Filter:
    return read(json_format.ParseDict(dict(tree), common_pb2.Filter()))


@given(st.lists(RANDOM_ITEM, max_size=8), TREES)
@settings(max_examples=size(100, 1000), deadline=None)
def test_a_tree_says_what_the_expression_says(items: list[dict[str, Any]], drawn: Filter) -> None:
    expression = parse(str(drawn))
    tree = read(tree_of(expression))
    assert tree == expression and str(tree) == str(expression)
    table = AttributeTable({})
    first = {"price": 1.0, "brand": "Alto", "tags": ["x"], "in_stock": True}
    records = np.asarray([table.add(item) for item in (first, *items)])
    masks = [condition.mask(table.view())[records].tolist() for condition in (tree, expression)]
    assert masks[0] == masks[1]


@pytest.mark.parametrize(
    "expression",
    [
        "released > now - 30d and released <= now",
        "near(place, 48.1374, -11.5755, 0.25) or near(place, -90, 180, 0)",
        "ean in (9007199254740993, -9223372036854775807) and not ean = 1",
        '10 <= price < 60 and `screen size` != "6\'"',
        "not (in_stock or has(price)) and not not in_stock",
        "price in (1, 2.5)",
    ],
)
def test_whatever_an_expression_has_a_tree_has(expression: str) -> None:
    assert read(tree_of(parse(expression))) == parse(expression)


def test_a_tree_is_easily_written_as_json() -> None:
    tree = {
        "all": [
            {"comparison": {"attribute": "price", "op": "FILTER_OPERATOR_LESS", "value": {"number": 60}}},
            {"one_of": {"attribute": "brand", "values": [{"text": "Alto"}, {"text": "Kaya"}]}},
            {"none": [{"has": "season"}]},
        ]
    }
    assert of_json(tree) == parse('price < 60 and brand in ("Alto", "Kaya") and not has(season)')


def test_a_group_of_one_is_its_part() -> None:
    assert of_json({"all": [{"any": [{"has": "price"}]}]}) == parse("has(price)")


def comparison(**fields: Any) -> Tree:
    return {
        "comparison": {"attribute": "price", "op": "FILTER_OPERATOR_LESS", "value": {"number": 1}, **fields}
    }


LEAF = {"has": "price"}


@pytest.mark.parametrize(
    ("tree", "field", "message"),
    [
        ({}, "filter_tree", "the filter is empty; give exactly one of all, any, none"),
        ({"all": [LEAF, {}]}, "filter_tree.all[1]", "the filter is empty"),
        ({"all": [LEAF], "has": "price"}, "filter_tree", "the filter has all and has; give exactly one"),
        ({"none": [comparison(op=0)]}, "filter_tree.none[0].comparison.op", "an operator is required"),
        (comparison(op=99), "filter_tree.comparison.op", "an operator is required"),
        (comparison(value={}), "filter_tree.comparison.value", "a value is required"),
        (comparison(attribute=""), "filter_tree.comparison.attribute", "the name of an attribute is required"),
        (comparison(attribute="x" * 257), "filter_tree.comparison.attribute", "at most 256 characters"),
        (comparison(value={"number": "NaN"}), "filter_tree.comparison.value.number", "nan is not a finite number"),
        (comparison(value={"number": "-Infinity"}), "filter_tree.comparison.value.number", "-inf is not a finite"),
        (comparison(value={"now": "NaN"}), "filter_tree.comparison.value.now", "nan is not a finite number"),
        ({"one_of": {"attribute": "brand"}}, "filter_tree.one_of.values", "at least one value is required"),
        (
            {"any": [{"one_of": {"attribute": "brand", "values": [{"text": "a"}, {"number": "NaN"}]}}, LEAF]},
            "filter_tree.any[0].one_of.values[1].number",
            "nan is not a finite number",
        ),
        ({"has": ""}, "filter_tree.has", "the name of an attribute is required"),
        ({"any": [LEAF] * 201}, "filter_tree", "the filter has 201 conditions, 0 of them near"),
        (
            {"any": [{"near": {"attribute": "place"}}] * 11},
            "filter_tree",
            r"the filter has 11 conditions, 11 of them near\(\)",
        ),
        ({"any": [{"has": "x" * 100}] * 10_000}, "filter_tree", "the filter has 1040000 bytes, the limit is 100000"),
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_with_its_place(tree: Tree, field: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as raised:
        of_json(tree)
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("tree", "field", "message"),
    [
        (
            {"all": [LEAF, comparison(attribute="prize")]},
            "filter_tree.all[1].comparison.attribute",
            "'prize' is no attribute of the collection; did you mean 'price'",
        ),
        ({"none": [{"has": "prize"}]}, "filter_tree.none[0].has", "'prize' is no attribute"),
        (
            {"any": [LEAF, comparison(value={"text": "cheap"})]},
            "filter_tree.any[1].comparison.value",
            "'price' is compared with a number, not with \"cheap\"",
        ),
        (
            comparison(attribute="brand", value={"text": "B"}),
            "filter_tree.comparison.op",
            "'brand' is a text, so only = and != compare it, not <",
        ),
        (
            {"one_of": {"attribute": "brand", "values": [{"text": "Alto"}, {"number": 5}]}},
            "filter_tree.one_of.values[1]",
            "'brand' is compared with a text, not with 5",
        ),
        (comparison(attribute="place"), "filter_tree.comparison.attribute", r"is a place; use near\(place,"),
        ({"near": {"attribute": "price"}}, "filter_tree.near.attribute", r"near\(\) needs a place"),
        ({"near": {"attribute": "place", "lat": 91}}, "filter_tree.near.lat", "a latitude of -90 to 90"),
        ({"near": {"attribute": "place", "lon": "NaN"}}, "filter_tree.near.lon", "a longitude"),
        ({"near": {"attribute": "place", "km": "Infinity"}}, "filter_tree.near.km", "and km"),
    ],
)
def test_what_does_not_fit_the_types_is_refused_with_its_place(tree: Tree, field: str, message: str) -> None:
    table = AttributeTable({"place": AttributeType.POINT})
    table.add({"price": 1, "brand": "Alto"})
    condition = of_json(tree)
    with pytest.raises(InvalidArgument, match=message) as raised:
        condition.mask(table.view())
    assert raised.value.field == field


def nested(depth: int, wrap: Callable[[common_pb2.Filter], common_pb2.Filter]) -> common_pb2.Filter:
    tree = common_pb2.Filter(has="price")
    for _ in range(depth - 1):
        tree = wrap(tree)
    return tree


@pytest.mark.parametrize(
    "wrap",
    [lambda part: common_pb2.Filter(none=[part]), lambda part: common_pb2.Filter(all=[part])],
    ids=["none", "all"],
)
@pytest.mark.parametrize("depth", [51, 90])
def test_a_tree_that_is_too_deep_is_refused(
    depth: int, wrap: Callable[[common_pb2.Filter], common_pb2.Filter]
) -> None:
    with pytest.raises(InvalidArgument, match="nested more than 50 deep") as raised:
        read(nested(depth, wrap))
    assert raised.value.field == "filter_tree"
    assert read(nested(50, wrap)).depth in (1, 50)


def test_a_request_has_one_filter() -> None:
    both = itemlens_pb2.RecommendRequest(filter="in_stock", filter_tree=common_pb2.Filter(has="price"))
    with pytest.raises(InvalidArgument, match="give a filter or a filter_tree, not both") as raised:
        filters.condition(both)
    assert raised.value.field == "filter_tree"
    assert filters.condition(itemlens_pb2.RecommendRequest(filter=" ")) is None


def test_the_largest_whole_number_is_matched() -> None:
    table = AttributeTable({"ean": AttributeType.INTEGER})
    records = [table.add({"ean": str(2**63 - 1)}), table.add({})]
    for number in (2**63 - 1, -(2**63)):
        one_of = {"one_of": {"attribute": "ean", "values": [{"integer": number}]}}
        equal = comparison(attribute="ean", op="FILTER_OPERATOR_EQUAL", value={"integer": number})
        for tree in (one_of, equal):
            mask = of_json(tree).mask(table.view())[records].tolist()
            assert mask == [number > 0, False]
