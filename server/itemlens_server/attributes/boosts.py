"""Boosts: how many nats an item gets by the value of an attribute.

A shape of numbers sees x: the value of the attribute; of a time, the days by which it lies before `Boost.from_time`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from itemlens_server.attributes.columns import Attributes
from itemlens_server.attributes.schema import (
    FIRST_SECOND,
    LAST_SECOND,
    ORDERED,
    WHAT,
    AttributeType,
    no_attribute,
)
from itemlens_server.attributes.shapes import (
    LARGEST,
    MOST_NATS,
    SHAPES,
    AnyShape,
    ByItem,
    ByValue,
    Floats,
    Steps,
    check_nats,
)
from itemlens_server.errors import InvalidArgument, quoted

Nats = np.ndarray[Any, np.dtype[np.float32]]

LONGEST_NAME = 64
DAY_SECONDS = 86_400.0
VALUES = (AttributeType.STRING, AttributeType.STRINGS, AttributeType.BOOLEAN)


@dataclass(frozen=True)
class Boost:
    """A boost; the fields are those of the contract's Boost.

    shape: None stands for the boost of this name in the settings of a collection
    from_time: seconds since 1970; None: the time of the request
    """

    name: str
    attribute: str = ""
    shape: AnyShape | None = None
    missing_nats: float = 0.0
    least_nats: float = -MOST_NATS
    most_nats: float = MOST_NATS
    from_time: float | None = None
    by_default: bool = False

    def check(self) -> None:
        """Check what needs no collection.

        Raises:
            InvalidArgument: a field is wrong.
        """
        name = self.name
        if not (0 < len(name) <= LONGEST_NAME and name.isprintable() and name.strip() == name):
            raise InvalidArgument(
                f"{quoted(self.name)} is not a valid name; use 1 to {LONGEST_NAME} printable characters",
                "name",
            )
        if self.shape is None:
            if self != Boost(self.name):
                raise InvalidArgument(
                    f"{quoted(self.name)} has no shape: give one of {', '.join(SHAPES)}, or the name alone for the "
                    "boost of the collection's settings", "shape",
                )  # fmt: skip
            return
        for field in ("missing_nats", "least_nats", "most_nats"):
            check_nats(getattr(self, field), field)
        if self.least_nats > self.most_nats:
            raise InvalidArgument(f"{self.least_nats:g} is more than most_nats", "least_nats")
        if self.from_time is not None and not FIRST_SECOND <= self.from_time < LAST_SECOND:
            raise InvalidArgument("the time is not within the years 1 to 9999", "from_time")
        if isinstance(self.shape, ByItem):
            for field in ("missing_nats", "least_nats", "most_nats", "from_time"):
                if getattr(self, field) != getattr(Boost(name), field):
                    raise InvalidArgument("the nats of single items have no such number; leave it out", field)
        if isinstance(self.shape, ByItem) == bool(self.attribute):
            told = "items have no attribute; leave it out" if self.attribute else "an attribute is required"
            raise InvalidArgument(told, "attribute")
        try:
            self.shape.check()
        except InvalidArgument as error:
            raise error.within(self.shape.kind) from None

    def check_type(self, kind: AttributeType) -> None:
        """Check that its shape fits the type of its attribute.

        Raises:
            InvalidArgument: it does not.
        """
        assert self.shape is not None
        if kind in (VALUES if isinstance(self.shape, ByValue) else ORDERED):
            if self.from_time is not None and kind is not AttributeType.TIME:
                raise InvalidArgument(f"{quoted(self.attribute)} is {WHAT[kind]}, not a time", "from_time")
            return
        fitting = "values" if kind in VALUES else "linear, log, half_life or steps"
        fitting = "no shape" if kind is AttributeType.POINT else fitting
        raise InvalidArgument(
            f"attribute {quoted(self.attribute)} is {WHAT[kind]}: {fitting} fits it, not {self.shape.kind}",
            self.shape.kind,
        )

    def nats(self, attributes: Attributes, now: float) -> Nats:
        """Return its nats by record, float32 [records]. now: seconds since 1970.

        Raises:
            InvalidArgument: there is no such attribute, or it has a type that the shape does not fit.
        """
        kind = attributes.types.get(self.attribute)
        if kind is None:
            raise InvalidArgument(no_attribute(self.attribute, attributes.types), "attribute")
        self.check_type(kind)
        nats = self._of(attributes, kind, now).clip(self.least_nats, self.most_nats)
        return np.where(attributes.there(self.attribute), nats, self.missing_nats).astype(np.float32)

    def _of(self, attributes: Attributes, kind: AttributeType, now: float) -> Floats:
        """Return the nats of the records, before limits, float64; anything for those without a value."""
        shape = self.shape
        if isinstance(shape, ByValue):
            if kind is AttributeType.BOOLEAN:
                truth = attributes.values(self.attribute)
                return np.where(truth == 1, shape.nats.get("true", 0.0), shape.nats.get("false", 0.0))
            return attributes.sums(self.attribute, shape.nats)
        assert shape is not None and not isinstance(shape, ByItem)
        x = attributes.values(self.attribute).astype(np.float64).clip(-LARGEST, LARGEST)
        if kind is AttributeType.TIME:
            x = ((now if self.from_time is None else self.from_time) - x) / DAY_SECONDS
        return shape.of(x)

    def stored(self) -> dict[str, Any]:
        """Return it as JSON values."""
        assert self.shape is not None
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "shape"}
        return {**own, "shape": {self.shape.kind: asdict(self.shape)}}

    @staticmethod
    def of_stored(value: Mapping[str, Any]) -> Boost:
        """Return the boost of JSON values from `stored`."""
        [(kind, shape)] = value["shape"].items()
        if kind == Steps.kind:
            shape = {"steps": tuple((start, nats) for start, nats in shape["steps"])}
        return Boost(**{**value, "shape": SHAPES[kind](**shape)})
