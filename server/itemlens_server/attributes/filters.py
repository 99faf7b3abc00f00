"""Filters over attributes: a tree, which masks records.

An item without a value does not match a comparison. `not` turns that around: `not price < 60` matches an item without
a price, and so does `price != 60`.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np

from itemlens_server.attributes.columns import NO_INTEGER, Attributes, Bools
from itemlens_server.attributes.schema import ORDERED, WHAT, AttributeType, no_attribute, seconds
from itemlens_server.errors import InvalidArgument, quoted

EARTH_KM = 6371.0088
"""Mean radius of the earth."""
MOST_DEPTH = 50
# Each condition looks at all items, and a distance takes as long as ten others.
MOST_CONDITIONS, MOST_DISTANCES = 200, 10
LARGEST = 2**63 - 1

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
TIMES: Mapping[str, float] = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True)
class Now:
    """The time of the question, with some seconds added."""

    plus: float = 0.0

    def __str__(self) -> str:
        return "now" if not self.plus else f"now {'-' if self.plus < 0 else '+'} {abs(self.plus):.15g}s"


Literal: TypeAlias = str | float | int | bool | Now


@dataclass(frozen=True)
class Name:
    """An attribute. at: where its name is in the expression, from 0. path: in a tree, the field of the request that has
    it. Neither belongs to what the filter says."""

    name: str
    at: int | None = field(default=None, compare=False, repr=False)
    path: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return self.name if self.name.isidentifier() else f"`{self.name}`"


class Filter(Protocol):
    """A condition. `str` gives its expression."""

    @property
    def depth(self) -> int:
        """Levels of the tree, known without a walk."""

    def mask(self, attributes: Attributes) -> Bools:
        """Return which records match, bool [records].

        Raises:
            InvalidArgument: an attribute is unknown, or of a type that the condition does not fit.
        """


@dataclass(frozen=True)
class Compare:
    """attribute operator value. A list of texts is equal to a text that it has."""

    attribute: Name
    op: str
    value: Literal
    depth: int = 1

    def mask(self, attributes: Attributes) -> Bools:
        """See Filter."""
        if self.op == "!=":
            return ~Compare(self.attribute, "=", self.value).mask(attributes)
        kind = _kind(attributes, self.attribute)
        value = _value(self.value, kind, self.attribute, "value")
        if self.op != "=" and kind not in ORDERED:
            raise _wrong(self.attribute, f"is {WHAT[kind]}, so only = and != compare it, not {self.op}", "op")
        if kind in (AttributeType.STRING, AttributeType.STRINGS):
            return attributes.any_of(self.attribute.name, [value])
        values = attributes.values(self.attribute.name)
        found: Bools = OPERATORS[self.op](values, value)
        if kind is AttributeType.INTEGER:
            found &= values != NO_INTEGER
        return found

    def __str__(self) -> str:
        return f"{self.attribute} {self.op} {_text(self.value)}"


@dataclass(frozen=True)
class OneOf:
    """attribute in (value, ...)."""

    attribute: Name
    values: tuple[Literal, ...]
    depth: int = 1

    def mask(self, attributes: Attributes) -> Bools:
        """See Filter."""
        kind = _kind(attributes, self.attribute)
        wanted = [_value(value, kind, self.attribute, f"values[{n}]") for n, value in enumerate(self.values)]
        if kind in (AttributeType.STRING, AttributeType.STRINGS):
            return attributes.any_of(self.attribute.name, wanted)
        values = attributes.values(self.attribute.name)
        if kind is AttributeType.INTEGER:
            # Of one dtype, since a float64 would not tell large whole numbers apart.
            wanted = [int(value) for value in wanted if abs(value) <= LARGEST and value == int(value)]
        return np.isin(values, np.asarray(wanted, values.dtype))

    def __str__(self) -> str:
        return f"{self.attribute} in ({', '.join(map(_text, self.values))})"


@dataclass(frozen=True)
class Near:
    """Whether a place is at most `km` from another one, on a sphere."""

    attribute: Name
    lat: float
    lon: float
    km: float
    depth: int = 1

    def mask(self, attributes: Attributes) -> Bools:
        """See Filter."""
        kind = _kind(attributes, self.attribute)
        if kind is not AttributeType.POINT:
            raise _wrong(self.attribute, f"is {WHAT[kind]}; near() needs a place")
        right = {"lat": abs(self.lat) <= 90, "lon": abs(self.lon) <= 180, "km": 0 <= self.km < np.inf}
        if wrong := [member for member, fits in right.items() if not fits]:
            limits = "near() needs a latitude of -90 to 90, a longitude of -180 to 180, and km"
            raise _wrong(self.attribute, limits, wrong[0])
        lat, lon = np.radians(attributes.values(self.attribute.name)).T
        own_lat, own_lon = np.radians(self.lat), np.radians(self.lon)
        # The haversine formula, which is exact for small distances, too.
        half = np.sin((lat - own_lat) / 2) ** 2
        half += np.cos(lat) * np.cos(own_lat) * np.sin((lon - own_lon) / 2) ** 2
        near: Bools = 2 * EARTH_KM * np.arcsin(np.sqrt(np.minimum(half, 1))) <= self.km
        return near

    def __str__(self) -> str:
        return f"near({self.attribute}, {self.lat:.15g}, {self.lon:.15g}, {self.km:.15g})"


@dataclass(frozen=True)
class Has:
    """Whether there is a value."""

    attribute: Name
    depth: int = 1

    def mask(self, attributes: Attributes) -> Bools:
        """See Filter."""
        _kind(attributes, self.attribute, "has")
        return attributes.there(self.attribute.name)

    def __str__(self) -> str:
        return f"has({self.attribute})"


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    part: Filter
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", self.part.depth + 1)

    def mask(self, attributes: Attributes) -> Bools:
        """See Filter."""
        return ~self.part.mask(attributes)

    def __str__(self) -> str:
        return f"not {_nested(self.part)}"


@dataclass(frozen=True)
class Several:
    """Some conditions, at least one."""

    parts: tuple[Filter, ...]
    depth: int = field(init=False)
    word: ClassVar[str]
    # Joins the masks in place.
    join: ClassVar[np.ufunc]

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", max(part.depth for part in self.parts) + 1)

    def mask(self, attributes: Attributes) -> Bools:
        """See Filter."""
        mask = self.parts[0].mask(attributes)
        for part in self.parts[1:]:
            self.join(mask, part.mask(attributes), out=mask)
        return mask

    def __str__(self) -> str:
        return f" {self.word} ".join(map(_nested, self.parts))


class All(Several):
    """All of some conditions."""

    word, join = "and", np.logical_and


class AnyOf(Several):
    """At least one of some conditions."""

    word, join = "or", np.logical_or


def failing(condition: Filter, attributes: Attributes, record: int) -> list[str]:
    """Return the parts of a condition that leave a record out, with the value that it has; empty if it matches."""
    own = attributes.of(record)
    if condition.mask(own).all():
        return []
    if isinstance(condition, All):
        return [text for part in condition.parts for text in failing(part, attributes, record)]
    told = attributes.shown(record, dict.fromkeys(leaf.attribute.name for leaf in leaves(condition)))
    has = ", ".join(f"{name} is {_text(value)}" for name, value in told.items()) or "it has no value"
    return [f"{_nested(condition)} ({has})"]


Leaf: TypeAlias = Compare | OneOf | Near | Has


def leaves(condition: Filter) -> list[Leaf]:
    """Return the conditions of a tree on single attributes."""
    found: list[Leaf] = []
    waiting: list[Filter] = [condition]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Several):
            waiting += reversed(part.parts)
        elif isinstance(part, Not):
            waiting.append(part.part)
        elif isinstance(part, Compare | OneOf | Near | Has):
            found.append(part)
    return found


def check_depth(depth: int, field: str) -> None:
    """Check the levels of a tree. field: where the caller gave it.

    Raises:
        InvalidArgument: it is too deep.
    """
    if depth > MOST_DEPTH:
        raise InvalidArgument(f"the filter is nested more than {MOST_DEPTH} deep; write it flatter", field)


def check_size(condition: Filter, field: str) -> None:
    """Check the depth of a tree and the number of its conditions. field: where the caller gave it.

    Raises:
        InvalidArgument: it is too deep or too large.
    """
    check_depth(condition.depth, field)
    conditions = leaves(condition)
    distances = sum(isinstance(leaf, Near) for leaf in conditions)
    if len(conditions) > MOST_CONDITIONS or distances > MOST_DISTANCES:
        raise InvalidArgument(
            f"the filter has {len(conditions)} conditions, {distances} of them near(); the limits are "
            f"{MOST_CONDITIONS} and {MOST_DISTANCES}; `in (...)` takes any number of values", field,
        )  # fmt: skip


def _kind(attributes: Attributes, name: Name, member: str = "attribute") -> AttributeType:
    kind = attributes.types.get(name.name)
    if kind is None:
        raise _placed(name, no_attribute(name.name, attributes.types), member)
    return kind


def _value(value: Literal, kind: AttributeType, name: Name, member: str) -> Any:
    """Return a literal as a column of the type stores it. member: the field of the tree that has it.

    Raises:
        InvalidArgument: it does not fit the type.
    """
    if isinstance(value, Now):
        if kind is AttributeType.TIME:
            return time.time() + value.plus
    elif isinstance(value, bool):
        if kind is AttributeType.BOOLEAN:
            return int(value)
    elif isinstance(value, str):
        if kind in (AttributeType.STRING, AttributeType.STRINGS):
            return value
        if kind is AttributeType.TIME and (at := seconds(value)) is not None:
            return at
    elif kind is AttributeType.NUMBER:
        return float(value)
    elif kind is AttributeType.INTEGER:
        return value
    what = WHAT[AttributeType.STRING] if kind is AttributeType.STRINGS else WHAT[kind]
    if kind is AttributeType.POINT:
        raise _wrong(name, "is a place; use near(place, lat, lon, km)")
    raise _wrong(name, f"is compared with {what}, not with {_text(value)}", member)


def _wrong(name: Name, message: str, member: str = "attribute") -> InvalidArgument:
    return _placed(name, f"{quoted(name.name)} {message}", member)


def _placed(name: Name, message: str, member: str) -> InvalidArgument:
    """Return an error with its place: the character in an expression, or the field of a tree."""
    where = "" if name.at is None else f"at character {name.at + 1}: "
    return InvalidArgument(f"{where}{message}", f"{name.path}.{member}" if name.path else "filter")


def _nested(part: Filter) -> str:
    return f"({part})" if isinstance(part, Several) else str(part)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, Sequence):
        return f"({', '.join(map(_text, value))})"
    if isinstance(value, Mapping):
        return f"({', '.join(f'{part:g}' for part in value.values())})"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
