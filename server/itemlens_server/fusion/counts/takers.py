"""How many users took each item, and how many of them lately."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.counts.sparse_counts import SparseCounts
from itemlens_server.fusion.counts.user_events import TAKE_BITS
from itemlens_server.fusion.rows import Ints

_ITEM = (1 << TAKE_BITS) - 1


class Takers:
    """Takers by item and day of the last take. The sum after a day is the exact number of users who took it since."""

    def __init__(self, by_day: SparseCounts | None = None, items: int = 0) -> None:
        """`by_day`: by day << TAKE_BITS | item. items: number of items."""
        self._by_day = by_day or SparseCounts()
        self._all = np.zeros(max(64, items), np.int64)
        keys, amounts = self._by_day.items()
        np.add.at(self._all, keys & _ITEM, amounts)
        # How many took an item after a day.
        self._day, self._since = 0, self._all.copy()

    def add(self, takes: Ints, amount: int, items: int) -> None:
        """Add users by item and day of their last take (see TAKE_BITS), int64. items: number of items."""
        self._reach(items)
        day, item = takes & _ITEM, takes >> TAKE_BITS
        self._by_day.add((day << TAKE_BITS) | item, amount)
        np.add.at(self._all, item, amount)
        np.add.at(self._since, item[day > self._day], amount)

    def all(self, items: int) -> Ints:
        """Return the takers of the first `items` items, int64; a copy."""
        return self._all[:items].copy()

    def keep_since(self, day: int, items: int) -> None:
        """Keep the takers after a day current from here on. items: number of items."""
        self._reach(items)
        if day != self._day:
            keys, amounts = self._by_day.items()
            start = int(np.searchsorted(keys, (day + 1) << TAKE_BITS))
            since = np.zeros(len(self._all), np.int64)
            np.add.at(since, keys[start:] & _ITEM, amounts[start:])
            self._day, self._since = day, since

    def of(self, codes: Ints) -> tuple[Ints, Ints]:
        """Return the takers of items, and those after the day, int64 [codes] each. Needs no lock: during a change it
        may show a part of it."""
        return self._all[codes], self._since[codes]

    def by_day(self) -> tuple[Ints, Ints]:
        """Return the keys of days and items, and their counts."""
        return self._by_day.items()

    def _reach(self, items: int) -> None:
        if items > len(self._all):
            more = np.zeros(max(items - len(self._all), len(self._all)), np.int64)
            self._all, self._since = (np.concatenate([a, more]) for a in (self._all, self._since))

    @property
    def nbytes(self) -> int:
        """Memory, about."""
        return self._by_day.nbytes + self._all.nbytes + self._since.nbytes
