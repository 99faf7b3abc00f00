"""Caps of a list: at most so many items with one value of an attribute, such as one variant of a model, or three of a
brand. An item without a value is under no cap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.attributes.columns import NO_TEXT
from itemlens_server.attributes.schema import AttributeType, no_attribute
from itemlens_server.errors import InvalidArgument, quoted
from itemlens_server.fusion.rows import Bools, Ints, View

# Most items that an index is asked for because of caps.
MOST_WANTED = 5_000
FREE = -1
"""The code of an item that a cap does not count."""


@dataclass(frozen=True)
class Cap:
    """At most `most` items with one value of `attribute`, or of equal content if that is empty.

    field: where the caller gave it. rule: the name of the rule that it is of.
    """

    attribute: str
    most: int
    field: str
    rule: str = ""


ONE_OF_EQUAL_CONTENT = Cap("", 1, "fold_duplicates")


class Caps:
    """Caps over the rows of a view. codes: of the values by cap, int64 [rows] each; FREE where there is none."""

    def __init__(self, most: Sequence[int], codes: Sequence[Ints]) -> None:
        self.most, self.codes = tuple(most), tuple(codes)

    def longest(self, mask: Bools) -> int:
        """Return how many of the rows of `mask` one cap allows at most, the strictest."""
        longest = int(np.count_nonzero(mask))
        for most, counts, free in self._counts(mask):
            longest = min(longest, free + int(np.minimum(counts, most).sum()))
        return longest

    def wanted(self, k: int, mask: Bools) -> int:
        """Return how many of the best items are to be found for a list of `k`, since of equal values only some are in
        it. mask: the items that may be in the list, bool [rows]."""
        more = k
        for most, counts, _ in self._counts(mask):
            if len(counts):
                more += int(k * max(0.0, counts.sum() / (most * len(counts)) - 1))
        return max(k, min(more, MOST_WANTED))

    def _counts(self, mask: Bools) -> list[tuple[int, Ints, int]]:
        """By cap: its limit, how many rows of `mask` have each value, and how many have none."""
        found = []
        for most, codes in zip(self.most, self.codes, strict=True):
            own = codes[mask]
            counts = np.bincount(own[own != FREE])
            found.append((most, counts[counts > 0], int(np.count_nonzero(own == FREE))))
        return found

    def with_room(self, rows: Ints, listed: Sequence[int]) -> Ints:
        """Return those of `rows`, in their order, that a list with the rows `listed` has room for, one at a time."""
        return rows[self.room(listed).has(rows)]

    def room(self, listed: Sequence[int]) -> Room:
        """Return the room that is left beside the rows `listed`."""
        return Room(self, listed)

    def full(self, rows: Ints, listed: Sequence[int]) -> list[Ints]:
        """Return for each cap those of `rows` that a list with the rows `listed` has no room for. A row counts for the
        first such cap."""
        found = []
        for most, codes in zip(self.most, self.codes, strict=True):
            own = Caps([most], [codes]).with_room(rows, listed)
            found.append(rows[~np.isin(rows, own)])
            rows = own
        return found

    def free(self, rows: Ints, listed: Sequence[int], random: np.random.Generator) -> Ints:
        """Return random ones of `rows` of which any number may join a list that has the rows `listed`; ascending."""
        rows = random.permutation(self.with_room(rows, listed))
        for most, codes in zip(self.most, self.codes, strict=True):
            own = codes[rows]
            counts = np.bincount(
                codes[np.asarray(listed, np.int64)] + 1, minlength=int(own.max(initial=FREE)) + 2
            )
            fit = _number_of_its_value(own) < most - counts[own + 1]
            rows = rows[fit | (own == FREE)]
        return np.sort(rows)


class Room:
    """The room that caps leave beside the rows of a list, while rows join and leave it."""

    def __init__(self, caps: Caps, listed: Sequence[int]) -> None:
        # By cap: its limit, the codes of all rows, and how many of the list have each code. That of FREE is the last.
        self._caps = [
            (most, codes, np.zeros(int(codes.max(initial=FREE)) + 2, np.int64))
            for most, codes in zip(caps.most, caps.codes, strict=True)
        ]
        rows = np.asarray(listed, np.int64)
        for _, codes, counts in self._caps:
            np.add.at(counts, codes[rows], 1)

    def has(self, rows: Ints) -> Bools:
        """Return for which of some rows there is room, one at a time, bool [rows]."""
        fit = np.ones(len(rows), np.bool_)
        for most, codes, counts in self._caps:
            own = codes[rows]
            fit &= (counts[own] < most) | (own == FREE)
        return fit

    def join(self, row: int) -> None:
        """Count a row."""
        for _, codes, counts in self._caps:
            counts[codes[row]] += 1

    def leave(self, row: int) -> None:
        """Count a row no longer."""
        for _, codes, counts in self._caps:
            counts[codes[row]] -= 1


def _number_of_its_value(codes: Ints) -> Ints:
    """Return for each code how many equal ones are before it, int64 [codes]."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.searchsorted(ordered, ordered, "left")
    numbers = np.empty(len(codes), np.int64)
    numbers[order] = np.arange(len(codes)) - starts
    return numbers


def first_of_each(codes: Ints, most: int) -> Bools:
    """Return which are among the first `most` of their value, bool [codes]."""
    return _number_of_its_value(codes) < most


NO_CAPS = Caps((), ())


def check_cap(cap: Cap, types: Mapping[str, AttributeType]) -> AttributeType:
    """Return the type of a cap's attribute.

    Raises:
        InvalidArgument: the attribute is unknown, or its values are not shared by items.
    """
    kind = types.get(cap.attribute)
    if kind is None:
        raise InvalidArgument(no_attribute(cap.attribute, types), cap.field)
    if kind in (AttributeType.STRINGS, AttributeType.POINT):
        raise InvalidArgument(
            f"{quoted(cap.attribute)} has lists or places; give an attribute of one text, number, truth value or time",
            cap.field,
        )
    return kind


def codes_of(cap: Cap, view: View) -> Ints:
    """Return a code for each row, equal for equal values of the cap's attribute, FREE without one; int64 [rows].

    Raises:
        InvalidArgument: the attribute is unknown, or its values are not shared by items.
    """
    kind = check_cap(cap, view.attributes.types)
    values = view.attributes.values(cap.attribute)
    if kind is AttributeType.STRING:
        codes = np.where(values == NO_TEXT, FREE, values.astype(np.int64))
    else:
        there = view.attributes.there(cap.attribute)
        codes = np.full(len(values), FREE)
        codes[there] = np.unique(values[there], return_inverse=True)[1]
    found: Ints = codes[view.records]
    return found
