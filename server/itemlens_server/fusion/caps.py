"""Caps of a list: at most so many items with one value of an attribute, such as one variant of a model, or three of a
brand. An item without a value is under no cap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.attributes.schema import AttributeType
from itemlens_server.errors import InvalidArgument, quoted
from itemlens_server.fusion.rows import Bools, Ints, View

# Most items that an index is asked for beyond those of the list.
MOST_WANTED = 5_000
FREE = -1
"""The code of an item that a cap does not count."""


@dataclass(frozen=True)
class Cap:
    """At most `most` items with one value of `attribute`. field: where the caller gave it."""

    attribute: str
    most: int
    field: str


class Caps:
    """Caps over the rows of a view. codes: of the values by cap, int64 [rows] each; FREE where there is none."""

    def __init__(self, most: Sequence[int], codes: Sequence[Ints]) -> None:
        self.most, self.codes = tuple(most), tuple(codes)

    @staticmethod
    def of(caps: Sequence[Cap], view: View) -> Caps:
        """Look the values up.

        Raises:
            InvalidArgument: an attribute is unknown, or its values are not shared by items.
        """
        return Caps([cap.most for cap in caps], [_codes(cap, view) for cap in caps])

    def wanted(self, k: int, mask: Bools) -> int:
        """Return how many of the best items are to be found for a list of `k`, since of equal values only some are in
        it. mask: the items that may be in the list, bool [rows]."""
        for most, codes in zip(self.most, self.codes, strict=True):
            own = codes[mask & (codes != FREE)]
            if len(own):
                k += int(k * max(0.0, len(own) / (most * len(np.unique(own))) - 1))
        return min(k, MOST_WANTED)

    def free(self, mask: Bools, listed: Sequence[int], random: np.random.Generator) -> Bools:
        """Return rows of `mask` of which any number may join a list: one of each value that it does not have yet."""
        free = mask
        for codes in self.codes:
            own = np.flatnonzero(free & (codes != FREE))
            own = random.permutation(own[~np.isin(codes[own], codes[list(listed)])])
            _, first = np.unique(codes[own], return_index=True)
            free = free & (codes == FREE)
            free[own[first]] = True
        return free

    def counting(self) -> Counting:
        """Count a list from its start."""
        return Counting(self)

    def first(self, order: Sequence[int], k: int) -> list[int]:
        """Return the first `k` rows of `order` that the caps allow together."""
        counting, found = self.counting(), list[int]()
        for row in order:
            if len(found) == k:
                break
            if counting.has_room(row):
                counting.take(row)
                found.append(row)
        return found


class Counting:
    """The items that a list has by value of each cap."""

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._counts: tuple[dict[int, int], ...] = tuple({} for _ in caps.codes)

    def has_room(self, row: int) -> bool:
        """Return whether the list may have this row, too."""
        for most, codes, counts in zip(self._caps.most, self._caps.codes, self._counts, strict=True):
            if codes[row] != FREE and counts.get(int(codes[row]), 0) >= most:
                return False
        return True

    def take(self, row: int) -> None:
        """Count a row."""
        for codes, counts in zip(self._caps.codes, self._counts, strict=True):
            code = int(codes[row])
            counts[code] = counts.get(code, 0) + 1


NO_CAPS = Caps((), ())


def _codes(cap: Cap, view: View) -> Ints:
    kind = view.attributes.types.get(cap.attribute)
    if kind is None:
        known = ", ".join(sorted(view.attributes.types)[:20]) or "none"
        raise InvalidArgument(
            f"{quoted(cap.attribute)} is no attribute of the collection; there are: {known}", cap.field
        )
    if kind in (AttributeType.STRINGS, AttributeType.POINT):
        raise InvalidArgument(
            f"{quoted(cap.attribute)} has lists or places; give an attribute of one text, number, truth value or time",
            cap.field,
        )
    values = view.attributes.values(cap.attribute)
    there = view.attributes.there(cap.attribute)
    codes = np.full(len(values), FREE)
    codes[there] = np.unique(values[there], return_inverse=True)[1]
    found: Ints = codes[view.records]
    return found
