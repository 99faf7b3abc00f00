"""How many users took each item, and how many of them lately."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.counts.events import KEY_BITS, SECOND
from itemlens_server.fusion.counts.sparse_counts import SparseCounts
from itemlens_server.fusion.rows import Ints


class Takers:
    """Takers by item and day of the last take. The sum after a day is the exact number of users who took it since."""

    def __init__(self, by_day: SparseCounts | None = None, items: int = 0) -> None:
        """`by_day`: by day << KEY_BITS | item. items: number of items."""
        self._by_day = by_day or SparseCounts()
        self._all = np.zeros(max(64, items), np.int64)
        keys, amounts = self._by_day.items()
        np.add.at(self._all, keys & SECOND, amounts)
        # By number of days: the day before these, and how many took an item after it.
        self._recent: dict[int, tuple[int, Ints]] = {}

    def add(self, takes: Ints, amount: int, items: int) -> None:
        """Add users by item and day of their last take (see KEY_BITS), int64. items: number of items."""
        self._reach(items)
        day, item = takes & SECOND, takes >> KEY_BITS
        self._by_day.add((day << KEY_BITS) | item, amount)
        np.add.at(self._all, item, amount)
        for before, takers in self._recent.values():
            np.add.at(takers, item[day > before], amount)

    def all(self, items: int) -> Ints:
        """Return the takers of the first `items` items, int64; a copy."""
        return self._all[:items].copy()

    def keep_recent(self, days: int, last_day: int) -> None:
        """Keep current how many users took an item on the last `days` days."""
        if days not in self._recent or self._recent[days][0] != last_day - days:
            keys, amounts = self._by_day.items()
            start = int(np.searchsorted(keys, (last_day - days + 1) << KEY_BITS))
            takers = np.zeros(len(self._all), np.int64)
            np.add.at(takers, keys[start:] & SECOND, amounts[start:])
            self._recent[days] = last_day - days, takers

    def end_on(self, last_day: int, items: int) -> None:
        """Let all that is recent end on this day. items: number of items."""
        self._reach(items)
        for days in self._recent:
            self.keep_recent(days, last_day)

    def of(self, codes: Ints) -> Ints:
        """Return the takers of items, int64 [codes]. Needs no lock: during a change it may show a part of it."""
        return self._all[codes]

    def recent_of(self, codes: Ints, days: int) -> Ints | None:
        """Return those of the last days, as `of` does; None if they are not kept current."""
        kept = self._recent.get(days)
        return None if kept is None else kept[1][codes]

    def by_day(self) -> tuple[Ints, Ints]:
        """Return the keys of days and items, and their counts."""
        return self._by_day.items()

    def _reach(self, items: int) -> None:
        if items > len(self._all):
            more = np.zeros(max(items - len(self._all), len(self._all)), np.int64)
            self._all = np.concatenate([self._all, more])
            for days, (before, takers) in self._recent.items():
                self._recent[days] = before, np.concatenate([takers, more])
