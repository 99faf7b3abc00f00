"""The events of some users, and the part of them that the counts are a function of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from itemlens_server.fusion import taken
from itemlens_server.fusion.event_log import Codes, Kinds, Mask, Times
from itemlens_server.fusion.rows import Ints

# A key of two numbers: the first << KEY_BITS | the second.
KEY_BITS = 32
SECOND = (1 << KEY_BITS) - 1
EVENT = np.dtype([("time", np.float64), ("number", np.int64), ("item", np.int32), ("kind", np.int8)])
"""An event in memory: seconds since 1970; what tells events of a user apart and orders those of one time; the code of
the item; what it is (see `taken.kind_of`)."""

Rows = np.ndarray[Any, np.dtype[np.void]]


@dataclass(frozen=True, eq=False)
class Events:
    """Events of some users, one user's after the other's, each ordered by (time, number).

    sizes: number of events of each user, int64 [users]
    rows:  see EVENT, [events]
    """

    sizes: Ints
    rows: Rows

    @staticmethod
    def of(sizes: Ints, times: Times, numbers: Ints, items: Codes, kinds: Kinds) -> Events:
        """Return the events of these columns."""
        rows = np.empty(len(times), EVENT)
        rows["time"], rows["number"], rows["item"], rows["kind"] = times, numbers, items, kinds
        return Events(sizes, rows)

    @staticmethod
    def unpack(packed: Sequence[bytes]) -> Events:
        """Return the events of `pack`, of each user."""
        sizes = np.asarray([len(own) for own in packed], np.int64) // EVENT.itemsize
        return Events(sizes, np.frombuffer(b"".join(packed), EVENT))

    def pack(self) -> list[bytes]:
        """Return the events of each user as bytes, which need less memory than arrays."""
        data, ends = self.rows.tobytes(), (self.starts * EVENT.itemsize).tolist()
        return [data[start:end] for start, end in pairwise(ends)]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def times(self) -> Times:
        """Seconds since 1970, float64 [events]."""
        return np.ascontiguousarray(self.rows["time"])

    @cached_property
    def numbers(self) -> Ints:
        """See EVENT, int64 [events]."""
        return np.ascontiguousarray(self.rows["number"])

    @cached_property
    def items(self) -> Codes:
        """Codes of the items, int32 [events]."""
        return np.ascontiguousarray(self.rows["item"])

    @cached_property
    def kinds(self) -> Kinds:
        """See EVENT, int8 [events]."""
        return np.ascontiguousarray(self.rows["kind"])

    @cached_property
    def starts(self) -> Ints:
        """Where each user's events start, and the number of events, int64 [users + 1]."""
        starts = np.zeros(len(self.sizes) + 1, np.int64)
        np.cumsum(self.sizes, out=starts[1:])
        return starts

    @cached_property
    def owners(self) -> Ints:
        """The place of each event's user, int64 [events]."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def keys(self) -> Ints:
        """The user's place and the item of each event as a key, int64 [events]."""
        return (self.owners << KEY_BITS) | self.items

    def take(self, kept: Mask) -> Events:
        """Return the events of a mask, bool [events]."""
        if kept.all():
            return self
        return Events(np.bincount(self.owners[kept], minlength=len(self.sizes)), self.rows[kept])

    def with_events(self, owners: Ints, rows: Rows) -> Events:
        """Return these events and others, without those whose numbers the user has already.

        owners: the places of their users, int64 [rows]
        """
        first = np.full(len(self.sizes), np.inf)
        np.minimum.at(first, owners, rows["time"])
        # Only these can be the same, or come later.
        late = self.times >= first[self.owners]
        if late.any():
            rows, owners = (
                np.concatenate([self.rows[late], rows]),
                np.concatenate([self.owners[late], owners]),
            )
        order = np.lexsort((rows["number"], rows["time"], owners))
        rows, owners = rows[order], owners[order]
        new = np.ones(len(rows), np.bool_)
        new[1:] = (owners[1:] != owners[:-1]) | (rows["number"][1:] != rows["number"][:-1])
        sizes = np.bincount(owners[new], minlength=len(self.sizes))
        return self.take(~late)._followed_by(Events(sizes, rows[new]))

    def standing(self) -> Events:
        """Return the takes that stand, of at most `taken.MOST_PAST` items of each user. Only these count."""
        if self.sizes.max(initial=0) <= taken.MOST_PAST and self.kinds.max(initial=0) < taken.RETURNED:
            return self
        took_back = np.zeros(len(self.sizes), np.bool_)
        took_back[self.owners[self.kinds >= taken.RETURNED]] = True
        some_may_not = np.flatnonzero((self.sizes > taken.MOST_PAST) | took_back)
        kept = np.ones(len(self), np.bool_)
        for start, end in zip(
            self.starts[some_may_not].tolist(), self.starts[some_may_not + 1].tolist(), strict=True
        ):
            own = slice(start, end)
            kept[own] = taken.counting(self.kinds[own], self.items[own])
        return self.take(kept)

    def _followed_by(self, more: Events) -> Events:
        """Return the events of each user followed by `more` of the same user."""
        sizes = self.sizes + more.sizes
        starts = np.cumsum(sizes) - sizes
        order = np.empty(len(self) + len(more), np.int64)
        order[np.arange(len(self)) + (starts - self.starts[:-1])[self.owners]] = np.arange(len(self))
        places = np.arange(len(more)) + (starts + self.sizes - more.starts[:-1])[more.owners]
        order[places] = len(self) + np.arange(len(more))
        # Much faster than an assignment of rows to places.
        rows = np.concatenate([self.rows, more.rows]).take(order)
        return Events(sizes, rows)


def distinct(keys: Ints) -> Ints:
    """Return keys without repetitions, ascending. Quicker than `np.unique`, which counts for few."""
    ordered = np.sort(keys)
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    found: Ints = ordered[first]
    return found
