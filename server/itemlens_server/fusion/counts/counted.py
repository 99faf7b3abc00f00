"""What tables are derived from: the counts at one moment, by items in the order of their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy import sparse

from itemlens_server.fusion.counts.events import KEY_BITS, SECOND
from itemlens_server.fusion.ease import Dense
from itemlens_server.fusion.rows import Ints


class CountedTakers(Protocol):
    """Takers of `item_ids`, the items that somebody took, in the order of their names."""

    @property
    def item_ids(self) -> Sequence[str]:
        """The items."""

    @property
    def takers(self) -> Ints:
        """Number of users who took an item, int64 [items]."""

    @property
    def last_day(self) -> int:
        """The day of the last event (see `event_log.days`)."""

    @property
    def times_are_an_order(self) -> bool:
        """See `EventLog.times_are_an_order`."""

    @property
    def by_day(self) -> tuple[Ints, Ints]:
        """Number of users by the day of their last take of an item: day << KEY_BITS | row, ascending, and the numbers,
        int64 [days and items] each; those of 0 are left out."""


class Counted(CountedTakers, Protocol):
    """All counts over `item_ids`."""

    def gram(self, columns: Ints) -> Dense:
        """Return how many users took both of two items, for some of the items, ascending: float32 [columns, columns]
        in Fortran's order. Only the lower triangle is valid."""

    def pairs(self, rows: slice) -> sparse.csr_matrix:
        """Return how many users took both of two items, for some rows, CSR float32 [rows, items]; on the diagonal the
        takers."""

    def ordered(self, rows: slice) -> sparse.csr_matrix:
        """Return the amounts of ordered pairs (see `successions`) of some rows, CSR float32 [rows, items]."""


def since(counted: CountedTakers, day: int) -> Ints:
    """Return the number of users who took an item after a day, int64 [items]."""
    keys, users = counted.by_day
    start = int(np.searchsorted(keys, (day + 1) << KEY_BITS))
    counts = np.zeros(len(counted.item_ids), np.int64)
    np.add.at(counts, keys[start:] & SECOND, users[start:])
    return counts
