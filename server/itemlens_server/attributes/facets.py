"""Facets: how many items of a set have each value of an attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.attributes.columns import Attributes, Ints
from itemlens_server.attributes.schema import ORDERED, AttributeType, no_attribute, plain
from itemlens_server.errors import InvalidArgument, quoted


@dataclass(frozen=True)
class WantedFacet:
    """An attribute, and how many of its values are wanted."""

    attribute: str
    most: int


@dataclass(frozen=True)
class Facet:
    """The values of an attribute among some items, as they are given in JSON.

    items: number of items that have a value. counts: the most frequent values, each with the number of items that have
    it. different: number of different values. least, largest: of numbers and times; else, and without a value, None.
    """

    attribute: str
    items: int
    counts: tuple[tuple[Any, int], ...]
    different: int
    least: Any = None
    largest: Any = None


def facets_of(attributes: Attributes, wanted: Sequence[WantedFacet], records: Ints) -> tuple[Facet, ...]:
    """Return the facets of the items with these records, int64 [items].

    Raises:
        InvalidArgument: an attribute is unknown, or has places.
    """
    return tuple(_facet(attributes, own, records, f"facets[{n}].attribute") for n, own in enumerate(wanted))


def _facet(attributes: Attributes, wanted: WantedFacet, records: Ints, field: str) -> Facet:
    column = attributes.columns.get(wanted.attribute)
    if column is None:
        raise InvalidArgument(no_attribute(wanted.attribute, attributes.types), field)
    if column.kind is AttributeType.POINT:
        raise InvalidArgument(
            f"{quoted(wanted.attribute)} has places, which are not counted; give another attribute", field
        )
    values, counts = column.tally(records)

    def given(n: int) -> Any:
        return plain(column.value(values[n]), column.kind)

    most_frequent = np.argsort(-counts, kind="stable")[: wanted.most].tolist()
    ordered = column.kind in ORDERED and len(values) > 0
    return Facet(
        wanted.attribute,
        int(np.count_nonzero(column.there(attributes.count)[records])),
        tuple((given(n), int(counts[n])) for n in most_frequent),
        len(values),
        given(0) if ordered else None,
        given(-1) if ordered else None,
    )
