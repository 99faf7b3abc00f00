"""Filters that are built of conditions on attributes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TypeAlias

import numpy as np

from . import _values
from .v1 import catalog_pb2, common_pb2, itemlens_pb2

FilterValue: TypeAlias = str | float | bool | date | datetime | timedelta
"""A value to compare with. A timedelta counts from the time of the request: `timedelta(days=-30)` is 30 days ago."""

Filtered: TypeAlias = (
    itemlens_pb2.RecommendRequest
    | itemlens_pb2.ExplainRequest
    | catalog_pb2.ListItemsRequest
    | catalog_pb2.DeleteItemsRequest
)

MAX_DEPTH = 50
"""Levels of a filter, the server's limit."""


class Filter:
    """A condition on items. `where` makes one; `&`, `|` and `~` join them.

    cheap = where("in_stock") & (where("price") < 60) & ~where("brand").one_of("Alto", "Kaya")
    """

    def __init__(self, message: common_pb2.Filter, depth: int = 1) -> None:
        """`message`: the filter as it is sent. `depth`: its levels.

        Raises:
            ValueError: it has more than 50 levels.
        """
        if depth > MAX_DEPTH:
            raise ValueError(f"the filter is nested more than {MAX_DEPTH} deep; write it flatter")
        self._message, self._depth = message, depth

    def __and__(self, other: Filter) -> Filter:
        """Both match."""
        return self._joined(other, "all") if isinstance(other, Filter) else NotImplemented

    def __or__(self, other: Filter) -> Filter:
        """At least one matches."""
        return self._joined(other, "any") if isinstance(other, Filter) else NotImplemented

    def __invert__(self) -> Filter:
        """It does not match."""
        return Filter(common_pb2.Filter(none=[self._message]), self._depth + 1)

    def __bool__(self) -> bool:
        """Raise TypeError, since a filter is neither true nor false before the server has read it."""
        raise TypeError(
            "join conditions with & | ~ and brackets, (where('price') >= 10) & (where('price') < 60), instead of with "
            "and, or, not, or a chain of comparisons"
        )

    def __repr__(self) -> str:
        return f"Filter({' '.join(str(self._message).split())})"

    def _joined(self, other: Filter, group: str) -> Filter:
        """Join two filters. The parts of a group of the same kind join the new group, which gets no deeper by it."""
        joined, depth = common_pb2.Filter(), 1
        for own in (self, other):
            parts = getattr(own._message, group)
            getattr(joined, group).extend(parts or [own._message])
            depth = max(depth, own._depth if parts else own._depth + 1)
        return Filter(joined, depth)


class Condition(Filter):
    """An attribute in a filter. By itself it matches items of which it is true, as in `where("in_stock")`.

    Compare it with `==`, `!=`, `<`, `<=`, `>` and `>=`. An item without a value matches `!=` only.
    """

    def __init__(self, attribute: str) -> None:
        """`attribute`: its name."""
        self._attribute = _values.string(attribute, "where")
        super().__init__(self._compared("EQUAL", True)._message)

    # Comparisons make filters instead of truth values, as in query builders: hence other types than those of `object`,
    # which mypy is told. A class with an __eq__ of its own has no hash, which is right: == does not say whether two
    # conditions are equal.
    def __eq__(self, value: FilterValue) -> Filter:  # type: ignore[override]
        """It has the value; a list of texts has the text."""
        return self._compared("EQUAL", value)

    def __ne__(self, value: FilterValue) -> Filter:  # type: ignore[override]
        """It does not have the value, or has none."""
        return self._compared("NOT_EQUAL", value)

    def __lt__(self, value: FilterValue) -> Filter:
        """It is less, or earlier."""
        return self._compared("LESS", value)

    def __le__(self, value: FilterValue) -> Filter:
        """It is at most the value."""
        return self._compared("LESS_OR_EQUAL", value)

    def __gt__(self, value: FilterValue) -> Filter:
        """It is more, or later."""
        return self._compared("GREATER", value)

    def __ge__(self, value: FilterValue) -> Filter:
        """It is at least the value."""
        return self._compared("GREATER_OR_EQUAL", value)

    def one_of(self, *values: FilterValue) -> Filter:
        """It has one of the values."""
        if not values:
            raise ValueError(f"where({self._attribute!r}).one_of() needs at least one value")
        wanted = [_value(value, self._attribute) for value in values]
        return Filter(
            common_pb2.Filter(one_of=common_pb2.FilterOneOf(attribute=self._attribute, values=wanted))
        )

    def near(self, lat: float, lon: float, *, km: float) -> Filter:
        """It is a place at most `km` kilometres from another one, whose `lat` and `lon` are in degrees."""
        named = (_values.number(value, f"where({self._attribute!r}).near()") for value in (lat, lon, km))
        degrees, other, distance = named
        near = common_pb2.FilterNear(attribute=self._attribute, lat=degrees, lon=other, km=distance)
        return Filter(common_pb2.Filter(near=near))

    def exists(self) -> Filter:
        """It has a value."""
        return Filter(common_pb2.Filter(has=self._attribute))

    def _compared(self, op: str, value: FilterValue) -> Filter:
        comparison = common_pb2.FilterComparison(
            attribute=self._attribute,
            op=common_pb2.FilterOperator.Value(f"FILTER_OPERATOR_{op}"),
            value=_value(value, self._attribute),
        )
        return Filter(common_pb2.Filter(comparison=comparison))


def where(attribute: str) -> Condition:
    """Begin a condition on an attribute: `where("price") < 60`.

    Methods that take a `filter` take what is made of it, instead of an expression such as "price < 60".
    """
    return Condition(attribute)


def _value(given: FilterValue, attribute: str) -> common_pb2.FilterValue:
    field = f"the value for {attribute!r}"
    match given:
        case bool() | np.bool_():
            return common_pb2.FilterValue(boolean=bool(given))
        case str():
            return common_pb2.FilterValue(text=_values.string(given, field))
        case int() | np.integer():
            if not -(2**63) <= given < 2**63:
                raise ValueError(f"{field} is {int(given)!s:.40}; whole numbers have 64 bits")
            return common_pb2.FilterValue(integer=int(given))
        case timedelta():
            return common_pb2.FilterValue(now=given.total_seconds())
        case datetime() if given.tzinfo is None:
            raise ValueError(f"{field} has no time zone; write datetime(..., tzinfo=timezone.utc)")
        case date():  # a datetime is one
            return common_pb2.FilterValue(text=given.isoformat())
        case Sequence():
            raise TypeError(f"{field} is a list; write where({attribute!r}).one_of(...)")
    return common_pb2.FilterValue(number=_values.number(given, field))


def is_given(filter: str | Filter) -> bool:
    """Whether a filter is not empty."""
    return isinstance(filter, Filter) or bool(_values.string(filter, "filter").strip())


def put(filter: str | Filter, request: Filtered) -> None:
    """Set the field of a request that has the filter."""
    if isinstance(filter, Filter):
        request.filter_tree.CopyFrom(filter._message)
    else:
        request.filter = _values.string(filter, "filter")
