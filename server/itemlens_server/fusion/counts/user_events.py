"""The events of one user that count, and the part of them that the counts are a function of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion import taken
from itemlens_server.fusion.event_log import Codes, Mask, Times, days
from itemlens_server.fusion.rows import Ints

# A take: item << TAKE_BITS | day.
TAKE_BITS = 32
EVENT_BYTES = 20
# Up to this many codes for each event, an array by code is faster than sorting.
_DENSE = 8


@dataclass(frozen=True, eq=False)
class UserEvents:
    """Events of a user, ordered by (time, number).

    times:   seconds since 1970, float64 [events]
    numbers: what tells events apart and orders those of one time, int64 [events]
    items:   codes of the items, int32 [events]
    """

    times: Times
    numbers: Ints
    items: Codes

    def __len__(self) -> int:
        return len(self.items)

    @staticmethod
    def of(times: Times, numbers: Ints, items: Codes) -> UserEvents:
        """Return events given in any order."""
        order = np.lexsort((numbers, times))
        return UserEvents(times[order], numbers[order], items[order])

    def pack(self) -> bytes:
        """Return the events as bytes, which need less memory than three arrays."""
        return self.times.tobytes() + self.numbers.tobytes() + self.items.tobytes()

    @staticmethod
    def unpack(packed: bytes) -> UserEvents:
        """Return the events of `pack`."""
        n = len(packed) // EVENT_BYTES
        return UserEvents(
            np.frombuffer(packed, np.float64, n),
            np.frombuffer(packed, np.int64, n, 8 * n),
            np.frombuffer(packed, np.int32, n, 16 * n),
        )

    def part(self, there: slice) -> UserEvents:
        """Return some successive events."""
        return UserEvents(self.times[there], self.numbers[there], self.items[there])

    def take(self, kept: Mask) -> UserEvents:
        """Return the events of a mask."""
        return UserEvents(self.times[kept], self.numbers[kept], self.items[kept])

    def with_events(self, more: UserEvents) -> UserEvents:
        """Return these events and `more`, without those whose numbers are there. `more`: at least one, in order."""
        start = int(np.searchsorted(self.times, more.times[0]))
        if start < len(self):
            # Only these can be the same, or come later.
            late = self.part(slice(start, None))
            more = more.take(~np.isin(more.numbers, late.numbers))
            more = UserEvents.of(*late._followed_by(more))
        return UserEvents(*self.part(slice(start))._followed_by(more))

    def without(self, numbers: Ints) -> UserEvents:
        """Return the events without those of these numbers."""
        return self.take(~np.isin(self.numbers, numbers))

    def newest(self) -> UserEvents:
        """Return the events of the newest distinct items, at most `taken.MOST_PAST`. Only these count."""
        most = taken.MOST_PAST
        if len(self) <= most:
            return self
        items, places = _last_places(self.items)
        if len(items) <= most:
            return self
        return self.take(np.isin(self.items, items[np.argpartition(-places, most)[:most]]))

    def takes(self) -> Ints:
        """Return each distinct item with the day of its last event, int64 [items], ascending (see TAKE_BITS)."""
        if not len(self):
            return np.zeros(0, np.int64)
        items, places = _last_places(self.items)
        return (items << TAKE_BITS) | days(self.times[places])

    def basket_numbers(self) -> Ints:
        """Return the number of each event's basket, int64 [events], from 0. A basket: the events of one time."""
        baskets = np.zeros(len(self), np.int64)
        np.cumsum(self.times[1:] != self.times[:-1], out=baskets[1:])
        return baskets

    def _followed_by(self, more: UserEvents) -> tuple[Times, Ints, Codes]:
        return (
            np.concatenate([self.times, more.times]),
            np.concatenate([self.numbers, more.numbers]),
            np.concatenate([self.items, more.items]),
        )


def _last_places(items: Codes) -> tuple[Ints, Ints]:
    """Return the distinct items, ascending, and the place of the last event of each, int64 [items] each.

    items: at least one.
    """
    n, size = len(items), int(items.max()) + 1
    if size <= _DENSE * n:
        # Of several values for one place, numpy keeps the last.
        last = np.full(size, -1)
        last[items] = np.arange(n)
        found = np.flatnonzero(last >= 0)
        return found, last[found]
    keys = (items.astype(np.int64) << TAKE_BITS) | np.arange(n)
    keys.sort()
    of = keys >> TAKE_BITS
    ends = np.ones(n, np.bool_)
    np.not_equal(of[1:], of[:-1], out=ends[:-1])
    return of[ends], keys[ends] & ((1 << TAKE_BITS) - 1)


NONE = UserEvents(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int32))
