"""The events of all users in memory, 21 bytes each and some 300 for each user."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion import taken
from itemlens_server.fusion.counts.user_events import EVENT_BYTES, NONE, TAKE_BITS, UserEvents
from itemlens_server.fusion.event_log import Codes, Kinds, Times
from itemlens_server.fusion.rows import Ints

KINDS = (taken.GLANCE, taken.TAKE, taken.BOUGHT, taken.RETURNED, taken.REJECTED)


@dataclass(frozen=True, eq=False)
class Columns:
    """The events of all users, one after the other. sizes: number of events of each user, int64 [users]. The others are
    those of `UserEvents`."""

    users: Sequence[str]
    sizes: Ints
    times: Times
    numbers: Ints
    items: Codes
    kinds: Kinds

    def places(self) -> Iterator[slice]:
        """Yield where the events of each user are."""
        ends = np.cumsum(self.sizes)
        return map(slice, (ends - self.sizes).tolist(), ends.tolist())

    def check(self, items: int) -> None:
        """Check that the columns belong together. items: number of items.

        Raises:
            ValueError: they do not.
        """
        lengths = {len(column) for column in (self.times, self.numbers, self.items, self.kinds)}
        codes_are_known = not len(self.items) or (self.items.min() >= 0 and self.items.max() < items)
        if (
            lengths != {int(self.sizes.sum())}
            or len(self.users) != len(self.sizes)
            or (self.sizes < 1).any()
            or not codes_are_known
            or not np.isin(self.kinds, KINDS).all()
        ):
            raise ValueError("wrong events")

    def cut(self) -> Ints:
        """Return the places of the users of whose events some may not count, int64."""
        took_back = np.zeros(len(self.sizes), np.bool_)
        took_back[np.repeat(np.arange(len(self.sizes)), self.sizes)[self.kinds >= taken.RETURNED]] = True
        return np.flatnonzero((self.sizes > taken.MOST_PAST) | took_back)


class Histories:
    """Events by user. A user without events is not there. events: number of events."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._packed: list[bytes] = []
        self._free: list[int] = []
        # Times of the first event that counts and of the last, by code, float64; NaN where there is no user.
        self._spans = np.full((64, 2), np.nan)
        self._last = -math.inf
        self.events = 0

    def __len__(self) -> int:
        return len(self._codes)

    def __iter__(self) -> Iterator[tuple[str, UserEvents]]:
        """Yield users with their events."""
        for user_id, code in self._codes.items():
            yield user_id, UserEvents.unpack(self._packed[code])

    def get(self, user_id: str) -> UserEvents:
        """Return a user's events."""
        code = self._codes.get(user_id)
        return NONE if code is None else UserEvents.unpack(self._packed[code])

    def set(self, user_id: str, events: UserEvents, newest: UserEvents) -> None:
        """Replace a user's events. newest: those that count."""
        code = self._codes.get(user_id)
        last = float(newest.times[-1]) if len(newest) else -math.inf
        if code is not None and last < self._spans[code, 1] == self._last:
            self._last = math.inf  # not known
        self._last = max(self._last, last)
        self.events += len(events) - (0 if code is None else len(self._packed[code]) // EVENT_BYTES)
        if not len(events):
            if code is not None:
                del self._codes[user_id]
                self._packed[code] = b""
                self._spans[code] = np.nan
                self._free.append(code)
            return
        if code is None:
            code = self._free.pop() if self._free else len(self._packed)
            self._codes[user_id] = code
            if code == len(self._packed):
                self._packed.append(b"")
            if code == len(self._spans):
                self._spans = np.concatenate([self._spans, np.full_like(self._spans, np.nan)])
        self._packed[code] = events.pack()
        self._spans[code] = (newest.times[0], last) if len(newest) else np.nan

    def number(self, user_id: str) -> int | None:
        """Return the number of a user, which nobody else has as long as the user has events; None without any."""
        return self._codes.get(user_id)

    def all_takes(self) -> Ints:
        """Return who took what, by the events that count: item << TAKE_BITS | number of the user, int64, ascending and
        different."""
        columns = self.columns()
        numbers = np.fromiter(self._codes.values(), np.int64, len(self._codes))
        takes = (columns.items.astype(np.int64) << TAKE_BITS) | np.repeat(numbers, columns.sizes)
        whole = np.ones(len(columns.sizes), np.bool_)
        whole[cut := columns.cut()] = False
        parts = [takes[np.repeat(whole, columns.sizes)]]
        for place in cut.tolist():
            items = self.get(columns.users[place]).newest().items.astype(np.int64)
            parts.append((items << TAKE_BITS) | numbers[place])
        return np.unique(np.concatenate(parts))

    @property
    def last_time(self) -> float:
        """Time of the last event; 0 if there is none."""
        if self._last == math.inf:
            self._last = float(np.fmax.reduce(self._spans[:, 1], initial=-math.inf))
        return 0.0 if self._last == -math.inf else self._last

    @property
    def times_are_an_order(self) -> bool:
        """Whether the times are only an order: see `EventLog.times_are_an_order`."""
        spans = self._spans  # once: a writer may replace it by a longer one meanwhile
        first: Times = spans[~np.isnan(spans[:, 0]), 0]
        return len(first) > 1 and bool((first == first[0]).all())

    def copy(self) -> Histories:
        """Return a copy, which shares the events of each user until these change."""
        copy = Histories()
        copy._codes, copy._packed, copy._free = dict(self._codes), list(self._packed), list(self._free)
        copy._spans, copy._last, copy.events = self._spans.copy(), self._last, self.events
        return copy

    def columns(self) -> Columns:
        """Return all events in columns."""
        users = list(self._codes)
        packed = [self._packed[code] for code in self._codes.values()]
        sizes = np.asarray([len(events) // EVENT_BYTES for events in packed], np.int64)
        total = int(sizes.sum())
        columns = Columns(
            users,
            sizes,
            np.empty(total),
            np.empty(total, np.int64),
            np.empty(total, np.int32),
            np.empty(total, np.int8),
        )
        for events, there in zip(packed, columns.places(), strict=True):
            own = UserEvents.unpack(events)
            columns.times[there], columns.numbers[there] = own.times, own.numbers
            columns.items[there], columns.kinds[there] = own.items, own.kinds
        return columns

    @staticmethod
    def of(columns: Columns) -> Histories:
        """Return the histories of `columns`."""
        histories = Histories()
        histories._codes = {user_id: code for code, user_id in enumerate(columns.users)}
        for there in columns.places():
            events = UserEvents(
                columns.times[there], columns.numbers[there], columns.items[there], columns.kinds[there]
            )
            histories._packed.append(events.pack())
        histories.events, histories._last = len(columns.items), math.inf
        ends = np.cumsum(columns.sizes)
        histories._spans = np.stack([columns.times[ends - columns.sizes], columns.times[ends - 1]], axis=1)
        for code in columns.cut().tolist():
            times = UserEvents.unpack(histories._packed[code]).newest().times
            histories._spans[code] = (times[0], times[-1]) if len(times) else np.nan
        if not len(ends):
            histories._spans = np.full((64, 2), np.nan)
        return histories
