"""The filter of a request: an expression, or the same as a tree of messages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from itemlens.v1 import catalog_pb2, common_pb2, itemlens_pb2
from itemlens_server.errors import InvalidArgument
from itemlens_server.services import (
    All,
    AnyOf,
    Compare,
    Filter,
    Has,
    Literal,
    Name,
    Near,
    Not,
    Now,
    OneOf,
    check_filter_depth,
    check_filter_size,
    parse_filter,
)

Filtered: TypeAlias = (
    itemlens_pb2.RecommendRequest
    | itemlens_pb2.ExplainRequest
    | catalog_pb2.ListItemsRequest
    | catalog_pb2.DeleteItemsRequest
)
# An expression has at most 10,000 characters. A message takes more bytes for the same.
MOST_BYTES = 100_000
LONGEST_NAME = 256
TREE = "filter_tree"
OPERATORS: Mapping[int, str] = {
    common_pb2.FILTER_OPERATOR_EQUAL: "=",
    common_pb2.FILTER_OPERATOR_NOT_EQUAL: "!=",
    common_pb2.FILTER_OPERATOR_LESS: "<",
    common_pb2.FILTER_OPERATOR_LESS_OR_EQUAL: "<=",
    common_pb2.FILTER_OPERATOR_GREATER: ">",
    common_pb2.FILTER_OPERATOR_GREATER_OR_EQUAL: ">=",
}


def given(request: Filtered) -> str:
    """The name of the field that has the filter of a request; empty if there is none.

    Raises:
        InvalidArgument: there are two.
    """
    tree = request.HasField("filter_tree")
    if tree and request.filter:
        raise InvalidArgument("give a filter or a filter_tree, not both", TREE)
    return TREE if tree else "filter" if request.filter.strip() else ""


def condition(request: Filtered) -> Filter | None:
    """The filter of a request; None if there is none.

    Raises:
        InvalidArgument: there are two, or it is no filter.
    """
    match given(request):
        case "filter":
            return parse_filter(request.filter)
        case "filter_tree":
            return _of_tree(request.filter_tree)
    return None


def _of_tree(tree: common_pb2.Filter) -> Filter:
    if (size := tree.ByteSize()) > MOST_BYTES:
        raise InvalidArgument(f"the filter has {size} bytes, the limit is {MOST_BYTES}", TREE)
    made = _filter(tree, TREE, 1)
    check_filter_size(made, TREE)
    return made


def _filter(tree: common_pb2.Filter, path: str, depth: int) -> Filter:
    check_filter_depth(depth, TREE)
    fields = [field.name for field, _ in tree.ListFields()]
    if len(fields) != 1:
        found = f"has {' and '.join(fields)}" if fields else "is empty"
        raise InvalidArgument(
            f"the filter {found}; give exactly one of all, any, none, comparison, one_of, near and has", path
        )
    [field] = fields
    path = f"{path}.{field}"
    match field:
        case "all":
            return _together(All, tree.all, path, depth)
        case "any":
            return _together(AnyOf, tree.any, path, depth)
        case "none":
            return Not(_together(AnyOf, tree.none, path, depth))
        case "comparison":
            return _comparison(tree.comparison, path)
        case "one_of":
            return _one_of(tree.one_of, path)
        case "near":
            near = tree.near
            return Near(_name(near.attribute, path), near.lat, near.lon, near.km)
    return Has(_name(tree.has, path.removesuffix(".has"), "has"))


def _together(kind: type[All | AnyOf], trees: Sequence[common_pb2.Filter], path: str, depth: int) -> Filter:
    parts = tuple(_filter(tree, f"{path}[{n}]", depth + 1) for n, tree in enumerate(trees))
    return kind(parts) if len(parts) > 1 else parts[0]


def _comparison(message: common_pb2.FilterComparison, path: str) -> Filter:
    name = _name(message.attribute, path)
    if message.op not in OPERATORS:
        raise InvalidArgument("an operator is required, such as FILTER_OPERATOR_EQUAL", f"{path}.op")
    return Compare(name, OPERATORS[message.op], _value(message.value, f"{path}.value"))


def _one_of(message: common_pb2.FilterOneOf, path: str) -> Filter:
    name = _name(message.attribute, path)
    if not message.values:
        raise InvalidArgument("at least one value is required", f"{path}.values")
    values = (_value(value, f"{path}.values[{n}]") for n, value in enumerate(message.values))
    return OneOf(name, tuple(values))


def _name(name: str, path: str, member: str = "attribute") -> Name:
    if not 0 < len(name) <= LONGEST_NAME:
        raise InvalidArgument(
            f"the name of an attribute is required, with at most {LONGEST_NAME} characters",
            f"{path}.{member}",
        )
    return Name(name, path=path)


def _value(message: common_pb2.FilterValue, path: str) -> Literal:
    kind = message.WhichOneof("value")
    if kind is None:
        raise InvalidArgument("a value is required: text, number, integer, boolean or now", path)
    value: Literal = getattr(message, kind)
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidArgument(f"{value} is not a finite number", f"{path}.{kind}")
    return Now(value) if kind == "now" and isinstance(value, float) else value
