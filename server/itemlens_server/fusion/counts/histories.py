"""The events of all users in memory, 21 bytes each and some 300 for each user."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from itemlens_server.fusion.counts.events import EVENT, KEY_BITS, Events
from itemlens_server.fusion.event_log import Times
from itemlens_server.fusion.rows import Ints

_FEWEST = 64


class Histories:
    """Events by user. A user without events is not there. events: number of events."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._packed: list[bytes] = []
        self._free: list[int] = []
        # Times of the first event that counts and of the last, by code, float64; NaN where there is no user.
        self._spans = np.full((_FEWEST, 2), np.nan)
        self._last = -math.inf
        self.events = 0

    @staticmethod
    def of(users: Sequence[str], events: Events) -> Histories:
        """Return the histories of these users."""
        histories = Histories()
        histories.set(users, events, events.standing())
        return histories

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def users(self) -> list[str]:
        """All users."""
        return list(self._codes)

    def get(self, users: Sequence[str]) -> Events:
        """Return the events of some users."""
        codes = map(self._codes.get, users)
        return Events.unpack([b"" if code is None else self._packed[code] for code in codes])

    def all(self) -> Events:
        """Return the events of all `users`."""
        return Events.unpack([self._packed[code] for code in self._codes.values()])

    def size(self, user: str) -> int:
        """Return how many bytes a user's events have."""
        code = self._codes.get(user)
        return 0 if code is None else len(self._packed[code])

    def set(self, users: Sequence[str], events: Events, standing: Events) -> Ints:
        """Replace the events of users. standing: those that count.

        Returns:
            The number of each user, which nobody else has as long as the user has events, int64 [users]; that of a user
            who has none now is free for others, and -1 without any before.
        """
        packed = events.pack()
        codes = np.asarray(
            [self._code(user, bool(own)) for user, own in zip(users, packed, strict=True)], np.int64
        )
        known = codes >= 0
        before, after = self._spans[codes[known]], _spans(standing)[known]
        if ((before[:, 1] == self._last) & ~(after[:, 1] >= before[:, 1])).any():
            self._last = math.inf  # not known
        self._last = max(self._last, float(np.fmax.reduce(after[:, 1], initial=-math.inf)))
        self._spans[codes[known]] = after
        for user, own, code in zip(users, packed, codes.tolist(), strict=True):
            if code >= 0:
                self.events += (len(own) - len(self._packed[code])) // EVENT.itemsize
                self._packed[code] = own
                if not own:
                    del self._codes[user]
                    self._free.append(code)
        return codes

    def _code(self, user: str, is_new: bool) -> int:
        """Return the number of a user; -1 if there is none and `is_new` is false."""
        code = self._codes.get(user)
        if code is not None or not is_new:
            return -1 if code is None else code
        code = self._codes[user] = self._free.pop() if self._free else len(self._packed)
        if code == len(self._packed):
            self._packed.append(b"")
            if code == len(self._spans):
                self._spans = np.concatenate([self._spans, np.full_like(self._spans, np.nan)])
        return code

    def all_takes(self) -> Ints:
        """Return who took what, by the events that count: item << KEY_BITS | number of the user, int64, ascending and
        different."""
        events = self.all().standing()
        numbers = np.fromiter(self._codes.values(), np.int64, len(self._codes))
        return np.unique((events.items.astype(np.int64) << KEY_BITS) | numbers[events.owners])

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


def _spans(standing: Events) -> Times:
    """Return the times of each user's first and last event, float64 [users, 2]; NaN without any."""
    spans, some = np.full((len(standing.sizes), 2), np.nan), standing.sizes > 0
    spans[some, 0] = standing.times[standing.starts[:-1][some]]
    spans[some, 1] = standing.times[standing.starts[1:][some] - 1]
    return spans
