"""The users of each item, where items are too many for matrices, and counts of one item made from their events."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

from itemlens_server.fusion.counts.successions import HORIZON, Window, successions
from itemlens_server.fusion.counts.user_events import UserEvents
from itemlens_server.fusion.rows import Ints


class ItemUsers:
    """Numbers of users by code of the item, 4 bytes for each user of an item."""

    def __init__(self) -> None:
        self._users: list[array[int]] = []

    def add(self, user: int, items: Ints) -> None:
        """Add a user to items."""
        for item in items.tolist():
            while item >= len(self._users):
                self._users.append(array("i"))
            self._users[item].append(user)

    def remove(self, user: int, items: Ints) -> None:
        """Take a user from items."""
        for item in items.tolist():
            users = self._users[item]
            place, last = users.index(user), users.pop()
            if place < len(users):
                users[place] = last

    def of(self, item: int) -> list[int]:
        """Return the users of an item."""
        return self._users[item].tolist() if item < len(self._users) else []

    @property
    def nbytes(self) -> int:
        """Memory, about."""
        return sum(64 + 4 * len(users) for users in self._users)


def taken_with(item: int, users: Iterable[UserEvents]) -> tuple[Ints, Ints]:
    """Return the items that users of an item took, too, ascending, and how many of them, int64 each.

    users: the events of the users of the item.
    """
    items = [np.unique(events.newest().items) for events in users]
    if not items:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    others, counts = np.unique(np.concatenate(items), return_counts=True)
    different = others != item
    return others[different].astype(np.int64), counts[different]


def taken_after(item: int, users: Iterable[UserEvents], amounts: Ints) -> tuple[Ints, Ints]:
    """Return the items that were taken soon after an item, ascending, and their amounts, int64 each.

    users: the events of the users of the item. amounts: see `successions.fixed`.
    """
    windows = []
    for events in users:
        counted = events.newest()
        baskets = counted.basket_numbers()
        for basket in np.unique(baskets[counted.items == item]).tolist():
            there = slice(*np.searchsorted(baskets, (basket, basket + HORIZON + 1)).tolist())
            windows.append(Window(baskets[there], counted.items[there], basket + 1, basket))
    parts = [(i[j == item], amount[j == item]) for j, i, amount in successions(windows, amounts)]
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    items, places = np.unique(np.concatenate([i for i, _ in parts]), return_inverse=True)
    sums = np.zeros(len(items), np.int64)
    np.add.at(sums, places, np.concatenate([amount for _, amount in parts]))
    return items, sums
