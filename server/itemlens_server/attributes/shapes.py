"""Shapes of boosts: functions from the value of an attribute to nats, the unit of the score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np

from itemlens_server.errors import InvalidArgument, quoted

Floats = np.ndarray[Any, np.dtype[np.float64]]

MOST_NATS = 20.0
"""A boost adds or takes away this much at most: it makes an item 5e8 times as likely."""
MOST_STEPS, MOST_VALUES, MOST_ITEMS = 100, 1000, 10_000
# Of parameters and values. Sums and products of larger ones may be no numbers any more.
LARGEST = 1e150


class Shape(Protocol):
    """A function from values of an attribute to nats. kind: the name of its field in the contract's Boost."""

    kind: ClassVar[str]

    def check(self) -> None:
        """Check its parameters.

        Raises:
            InvalidArgument: a parameter is wrong; the field is a path within the shape.
        """


class NumberShape(Shape, Protocol):
    """A shape of numbers and times."""

    def of(self, x: Floats) -> Floats:
        """Return the nats of each x, float64."""


@dataclass(frozen=True)
class Linear:
    """slope (x - origin)."""

    kind: ClassVar[str] = "linear"
    slope: float
    origin: float = 0.0

    def check(self) -> None:
        """See Shape."""
        check_size(self.slope, "slope")
        check_size(self.origin, "origin")

    def of(self, x: Floats) -> Floats:
        """See NumberShape."""
        return self.slope * (x - self.origin)


@dataclass(frozen=True)
class Log:
    """nats ln(1 + x / scale); an x below 0 counts as 0."""

    kind: ClassVar[str] = "log"
    nats: float
    scale: float = 1.0

    def check(self) -> None:
        """See Shape."""
        check_size(self.nats, "nats")
        _check_positive(self.scale, "scale")

    def of(self, x: Floats) -> Floats:
        """See NumberShape."""
        return self.nats * np.log1p(x.clip(min=0) / self.scale)


@dataclass(frozen=True)
class HalfLife:
    """nats 2^(-|x - origin| / half_life)."""

    kind: ClassVar[str] = "half_life"
    nats: float
    half_life: float
    origin: float = 0.0

    def check(self) -> None:
        """See Shape."""
        check_nats(self.nats, "nats")
        _check_positive(self.half_life, "half_life")
        check_size(self.origin, "origin")

    def of(self, x: Floats) -> Floats:
        """See NumberShape."""
        with np.errstate(over="ignore"):  # of what is too far to count
            far = (np.abs(x - self.origin) / self.half_life).astype(np.float32)
        return self.nats * np.exp2(-far).astype(np.float64)


@dataclass(frozen=True)
class Steps:
    """The nats of the last of `steps`, (start, nats), that x has reached; 0 below the first."""

    kind: ClassVar[str] = "steps"
    steps: tuple[tuple[float, float], ...]

    def check(self) -> None:
        """See Shape."""
        if not 0 < len(self.steps) <= MOST_STEPS:
            raise InvalidArgument(f"{len(self.steps)} steps; give 1 to {MOST_STEPS}", "steps")
        last = -math.inf
        for n, (start, nats) in enumerate(self.steps):
            check_size(start, f"steps[{n}].start")
            check_nats(nats, f"steps[{n}].nats")
            if start <= last:
                raise InvalidArgument(
                    f"{start:g} does not come after {last:g}; give the steps by ascending `start`",
                    f"steps[{n}].start",
                )
            last = start

    def of(self, x: Floats) -> Floats:
        """See NumberShape."""
        starts, nats = np.asarray(self.steps).T
        return np.append(0.0, nats)[np.searchsorted(starts, x, "right")]


@dataclass(frozen=True)
class ByValue:
    """Nats by text, or by "true" and "false". Those of the texts of a list add up; others get 0."""

    kind: ClassVar[str] = "values"
    nats: Mapping[str, float]

    def check(self) -> None:
        """See Shape."""
        _check_map(self.nats, MOST_VALUES, "values")


@dataclass(frozen=True)
class ByItem:
    """Nats by item id; others get 0."""

    kind: ClassVar[str] = "items"
    nats: Mapping[str, float]

    def check(self) -> None:
        """See Shape."""
        _check_map(self.nats, MOST_ITEMS, "items")


AnyShape: TypeAlias = Linear | Log | HalfLife | Steps | ByValue | ByItem
SHAPES: Mapping[str, type[AnyShape]] = {
    shape.kind: shape for shape in (Linear, Log, HalfLife, Steps, ByValue, ByItem)
}


def check_nats(value: float, field: str) -> None:
    """Check nats.

    Raises:
        InvalidArgument: they are no number, or too many.
    """
    if not abs(value) <= MOST_NATS:
        raise InvalidArgument(
            f"{value:g} is out of range; give -{MOST_NATS:g} to {MOST_NATS:g} nats (0.7 doubles the odds)",
            field,
        )


def check_size(value: float, field: str) -> None:
    if not abs(value) <= LARGEST:
        raise InvalidArgument(f"{value:g} is out of range; give a number of at most {LARGEST:g}", field)


def _check_positive(value: float, field: str) -> None:
    if not 1 / LARGEST <= value <= LARGEST:
        raise InvalidArgument(f"{value:g} is out of range; it must be above 0", field)


def _check_map(nats: Mapping[str, float], most: int, what: str) -> None:
    if not 0 < len(nats) <= most:
        raise InvalidArgument(f"{len(nats)} {what}; give 1 to {most}", "nats")
    for key, value in nats.items():
        check_nats(value, f"nats[{quoted(key)}]")
