"""Who took each item, to count who took two items where pairs are not counted in matrices."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from itemlens_server.fusion.counts.events import KEY_BITS, SECOND
from itemlens_server.fusion.counts.histories import Histories

# The number of a user (see `Histories.set`) and the code of an item.
Take = tuple[int, int]


class TakerLists:
    """The numbers of each item's takers, 4 bytes each and some 200 for an item.

    One thread at a time changes them. Others may read meanwhile: what they count is never more than before or after the
    change, since it takes all that goes away before it adds what comes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lists: dict[int, array[int]] = {}

    @staticmethod
    def of(histories: Histories) -> TakerLists:
        """Return the lists of events that count."""
        takes = histories.all_takes()
        items, users = takes >> KEY_BITS, takes & SECOND
        found, starts = np.unique(items, return_index=True)
        lists, ends = TakerLists(), np.append(starts, len(takes))[1:]
        for item, start, end in zip(found.tolist(), starts.tolist(), ends.tolist(), strict=True):
            lists._lists[item] = array("i", users[start:end].astype(np.int32).tobytes())
        return lists

    def change(self, went: Iterable[Take], came: Iterable[Take]) -> None:
        """Take items from users that they have no more, then give them those that are new to them."""
        for user, item in went:
            own = self._lists[item]
            place = _place(own, user)
            # Only now, since a list may have a million takers, and readers wait.
            with self._lock:
                own[place] = own[-1]
                own.pop()
                if not own:
                    del self._lists[item]
        for user, item in came:
            with self._lock:
                self._lists.setdefault(item, array("i")).append(user)

    def of_both(self, item: int, others: Sequence[int]) -> list[int]:
        """Return how many users took an item and each of the `others`, all given by their codes."""
        with self._lock:
            own, *lists = (self._lists[i].tobytes() if i in self._lists else b"" for i in (item, *others))
        takers = np.frombuffer(own, np.int32)
        took = np.zeros(int(takers.max(initial=-1)) + 1, np.bool_)
        took[takers] = True
        both = []
        for packed in lists:
            users = np.frombuffer(packed, np.int32)
            both.append(int(np.count_nonzero(took[users[users < len(took)]])))
        return both


def _place(users: array[int], user: int) -> int:
    """Return where a user is. The view of the array ends here: while there is one, its length cannot change."""
    return int(np.flatnonzero(np.frombuffer(users, np.int32) == user)[0])
