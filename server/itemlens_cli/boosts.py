"""Boosts as they are written on the command line."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from itemlens import Boost, ByItem, ByValue, HalfLife, Linear, Log, Steps
from itemlens_server.errors import InvalidArgument, quoted

_SHAPES: Mapping[str, Callable[[dict[Any, float]], Any]] = {
    "linear": lambda given: Linear(**given),
    "log": lambda given: Log(**given),
    "half_life": lambda given: HalfLife(**given),
    "steps": lambda given: Steps([(float(start), nats) for start, nats in given.items()]),
    "values": ByValue,
    "items": ByItem,
}
_LIMITS = ("missing_nats", "least_nats", "most_nats")


def boost(text: str) -> Boost | str:
    """Return the boost of a text such as "released half_life nats=1.5 half_life=60". A text without "=" is the name of
    a boost of the collection's settings.

    Raises:
        InvalidArgument: it is neither.
    """
    if "=" not in text:
        return text
    try:
        words = shlex.split(text)
        numbers = {name: float(value) for name, _, value in (w.rpartition("=") for w in words if "=" in w)}
        limits: dict[str, Any] = {name: numbers.pop(name) for name in _LIMITS if name in numbers}
        match [word for word in words if "=" not in word]:
            case ["items"]:
                return Boost("items", shape=ByItem(numbers))
            case [attribute, kind] if kind in _SHAPES:
                return Boost(f"{attribute} {kind}", attribute, _SHAPES[kind](numbers), **limits)
    except (TypeError, ValueError) as error:  # such as of half a quote, no number, or an unknown parameter
        raise InvalidArgument(
            f"--boost {quoted(text)}: {error}; docs/recommend.md lists the shapes"
        ) from None
    raise InvalidArgument(
        f"--boost {quoted(text)}: write ATTRIBUTE SHAPE NAME=NUMBER ..., where SHAPE is one of {', '.join(_SHAPES)}, "
        "such as 'released half_life nats=1.5 half_life=60'"
    )
