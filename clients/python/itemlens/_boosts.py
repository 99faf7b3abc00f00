"""Boosts: what a caller adds to the scores of items, and their messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias, get_args

from ._build import all_of, check_kind, timestamp
from ._values import named, number, optional_number, string
from .v1 import common_pb2


@dataclass(frozen=True, kw_only=True)
class Linear:
    """slope (x - origin) nats, of an attribute of numbers or times."""

    slope: float
    """Nats for each unit of x; of a time, for each day."""
    origin: float = 0.0
    """The x of 0 nats."""


@dataclass(frozen=True, kw_only=True)
class Log:
    """nats ln(1 + x / scale), of an attribute of numbers or times. An x below 0 counts as 0."""

    nats: float
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class HalfLife:
    """nats 2^(-|x - origin| / half_life), of an attribute of numbers or times: the nearer to the origin, the more."""

    nats: float
    """Nats at the origin."""
    half_life: float
    """How far from the origin half of the nats is left; of a time, in days."""
    origin: float = 0.0


@dataclass(frozen=True)
class Steps:
    """The nats of the last step that x has reached, of an attribute of numbers or times. 0 below the first one."""

    steps: Sequence[tuple[float, float]]
    """(x from which it counts, nats) of each step, by ascending x."""


@dataclass(frozen=True)
class ByValue:
    """The nats of each value, of an attribute of texts, lists of texts or truth values."""

    nats: Mapping[str | bool, float]
    """Nats by value. Those of the texts of a list add up. 0 for other values."""


@dataclass(frozen=True)
class ByItem:
    """The nats of each item, for a request."""

    nats: Mapping[str, float]
    """Nats by item id. 0 for other items."""


Shape: TypeAlias = Linear | Log | HalfLife | Steps | ByValue | ByItem


@dataclass(frozen=True)
class Boost:
    """What the caller adds to the scores of items, in nats: 0.7 doubles the odds of an item.

    A shape of numbers sees x: the attribute's value; of a time, the days by which it lies before `from_time`. So
    `Boost("new season", "released", HalfLife(nats=1.5, half_life=60))` gives 1.5 nats to an item of today, and 0.75 to
    one of 60 days ago.
    """

    name: str
    """1 to 64 printable characters. Parts and sentences name it."""
    attribute: str = ""
    """The attribute. None with ByItem."""
    shape: Shape | None = None
    """None: the boost of this name in the collection's settings."""
    missing_nats: float = 0.0
    """Nats of an item without a value of the attribute. No boost has more than 20 nats, or less than -20."""
    least_nats: float | None = None
    """An item with a value gets at least so many nats. Default: -20."""
    most_nats: float | None = None
    """An item with a value gets at most so many nats. Default: 20."""
    from_time: datetime | None = None
    """Of an attribute of times: the time from which days are counted back. Default: the time of the request."""
    by_default: bool = False
    """In settings: it is in every list, except those whose request leaves it out."""


def messages(given: Iterable[Boost | str], field: str = "boosts") -> list[common_pb2.Boost]:
    """Boosts as messages. A text is the name of a boost of the collection's settings."""
    if isinstance(given, str):
        raise TypeError(f"{field} must be a list, not one name; write [{given!r:.60}]")
    found: list[common_pb2.Boost] = []
    for place, boost in enumerate(all_of((Boost, str), given, field)):
        with named(f"{field}[{place}]"):
            found.append(_message(Boost(boost) if isinstance(boost, str) else boost))
    return found


def read(message: common_pb2.Boost) -> Boost:
    """A boost of the settings of a collection."""
    kind = message.WhichOneof("shape")
    return Boost(
        name=message.name,
        attribute=message.attribute,
        shape=_READ[kind](getattr(message, kind)) if kind else None,
        missing_nats=message.missing_nats,
        least_nats=message.least_nats if message.HasField("least_nats") else None,
        most_nats=message.most_nats if message.HasField("most_nats") else None,
        from_time=message.from_time.ToDatetime(UTC) if message.HasField("from_time") else None,
        by_default=message.by_default,
    )


def _message(given: Boost) -> common_pb2.Boost:
    return common_pb2.Boost(
        name=string(given.name, "name"),
        attribute=string(given.attribute, "attribute"),
        missing_nats=number(given.missing_nats, "missing_nats"),
        least_nats=optional_number(given.least_nats, "least_nats"),
        most_nats=optional_number(given.most_nats, "most_nats"),
        from_time=timestamp(given.from_time),
        by_default=given.by_default,
        **_shape(given.shape),
    )


def _shape(given: Shape | None) -> dict[str, Any]:
    """The shape as the field of the message that it is."""
    if given is None:
        return {}
    check_kind(get_args(Shape), given, "shape")
    match given:
        case Linear(slope=slope, origin=origin):
            own = {"slope": number(slope, "slope"), "origin": number(origin, "origin")}
            return {"linear": common_pb2.LinearShape(**own)}
        case Log(nats=nats, scale=scale):
            own = {"nats": number(nats, "nats"), "scale": number(scale, "scale")}
            return {"log": common_pb2.LogShape(**own)}
        case HalfLife(nats=nats, half_life=half_life, origin=origin):
            own = {
                "nats": number(nats, "nats"), "half_life": number(half_life, "half_life"),
                "origin": number(origin, "origin"),
            }  # fmt: skip
            return {"half_life": common_pb2.HalfLifeShape(**own)}
        case Steps(steps):
            made = [
                common_pb2.Step(start=number(at, f"steps[{n}]"), nats=number(nats, f"steps[{n}]"))
                for n, (at, nats) in enumerate(steps)
            ]
            return {"steps": common_pb2.StepsShape(steps=made)}
        case ByValue(by_value):
            texts = {_value(value): number(nats, f"nats[{value!r}]") for value, nats in by_value.items()}
            return {"values": common_pb2.ValuesShape(nats=texts)}
        case ByItem(by_item):
            items = {string(i, "nats"): number(nats, f"nats[{i!r}]") for i, nats in by_item.items()}
            return {"items": common_pb2.ItemsShape(nats=items)}


def _value(given: str | bool) -> str:
    return str(given).lower() if isinstance(given, bool) else string(given, "nats")


_READ: Mapping[str, Callable[[Any], Shape]] = {
    "linear": lambda m: Linear(slope=m.slope, origin=m.origin),
    "log": lambda m: Log(nats=m.nats, scale=m.scale),
    "half_life": lambda m: HalfLife(nats=m.nats, half_life=m.half_life, origin=m.origin),
    "steps": lambda m: Steps(tuple((step.start, step.nats) for step in m.steps)),
    "values": lambda m: ByValue(dict(m.nats)),
    "items": lambda m: ByItem(dict(m.nats)),
}
