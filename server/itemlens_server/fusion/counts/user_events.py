"""The events of one user that count, and the part of them that the counts are a function of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion import taken
from itemlens_server.fusion.event_log import Codes, Kinds, Mask, Times, days
from itemlens_server.fusion.rows import Ints

# A take: item << TAKE_BITS | day.
TAKE_BITS = 32
EVENT_BYTES = 21


@dataclass(frozen=True, eq=False)
class UserEvents:
    """Events of a user, ordered by (time, number).

    times:   seconds since 1970, float64 [events]
    numbers: what tells events apart and orders those of one time, int64 [events]
    items:   codes of the items, int32 [events]
    kinds:   what they are (see `taken.kind_of`), int8 [events]
    """

    times: Times
    numbers: Ints
    items: Codes
    kinds: Kinds

    def __len__(self) -> int:
        return len(self.items)

    @staticmethod
    def of(times: Times, numbers: Ints, items: Codes, kinds: Kinds) -> UserEvents:
        """Return events given in any order."""
        order = np.lexsort((numbers, times))
        return UserEvents(times[order], numbers[order], items[order], kinds[order])

    def pack(self) -> bytes:
        """Return the events as bytes, which need less memory than arrays."""
        return b"".join(array.tobytes() for array in (self.times, self.numbers, self.items, self.kinds))

    @staticmethod
    def unpack(packed: bytes) -> UserEvents:
        """Return the events of `pack`."""
        n = len(packed) // EVENT_BYTES
        return UserEvents(
            np.frombuffer(packed, np.float64, n),
            np.frombuffer(packed, np.int64, n, 8 * n),
            np.frombuffer(packed, np.int32, n, 16 * n),
            np.frombuffer(packed, np.int8, n, 20 * n),
        )

    def part(self, there: slice) -> UserEvents:
        """Return some successive events."""
        return UserEvents(self.times[there], self.numbers[there], self.items[there], self.kinds[there])

    def take(self, kept: Mask) -> UserEvents:
        """Return the events of a mask."""
        return UserEvents(self.times[kept], self.numbers[kept], self.items[kept], self.kinds[kept])

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
        """Return the takes that stand, of at most `taken.MOST_PAST` items. Only these count."""
        stand = self
        if len(self) and self.kinds.max() >= taken.RETURNED:
            stand = self.take(taken.standing(self.kinds, self.items))
        items = taken.newest_items(stand.kinds, stand.items, taken.MOST_PAST)
        return stand if items is None else stand.take(np.isin(stand.items, items))

    def takes(self) -> Ints:
        """Return each distinct item with the day of its last event, int64 [items], ascending (see TAKE_BITS)."""
        if not len(self):
            return np.zeros(0, np.int64)
        items, places = taken.last_places(self.items)
        return (items << TAKE_BITS) | days(self.times[places])

    def basket_numbers(self) -> Ints:
        """Return the number of each event's basket, int64 [events], from 0. A basket: the events of one time."""
        baskets = np.zeros(len(self), np.int64)
        np.cumsum(self.times[1:] != self.times[:-1], out=baskets[1:])
        return baskets

    def _followed_by(self, more: UserEvents) -> tuple[Times, Ints, Codes, Kinds]:
        return (
            np.concatenate([self.times, more.times]),
            np.concatenate([self.numbers, more.numbers]),
            np.concatenate([self.items, more.items]),
            np.concatenate([self.kinds, more.kinds]),
        )


NONE = UserEvents(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int8))
