"""Counts of all events at once. Written apart from the counts that follow the events, so that they check each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from itemlens_server.fusion import ease, taken
from itemlens_server.fusion.counts.events import KEY_BITS
from itemlens_server.fusion.counts.histories import Histories
from itemlens_server.fusion.counts.successions import HORIZON, LARGEST_BASKET, STEP, fixed
from itemlens_server.fusion.ease import Dense
from itemlens_server.fusion.event_log import EventLog, Kinds, days
from itemlens_server.fusion.rows import Ints


@dataclass(frozen=True, eq=False)
class Recount:
    """See `Counted`. log: the events that count, with codes in the order of the items' names."""

    log: EventLog
    step: float = STEP

    @staticmethod
    def of(log: EventLog, step: float = STEP, kinds: Kinds | None = None) -> Recount:
        """Count the takes of each user of a log that stand, of at most `taken.MOST_PAST` items.

        kinds: what the events are (see `taken.kind_of`), int8 [events]; all are takes by default
        """
        if kinds is None:
            kinds = np.full(len(log), taken.TAKE, np.int8)
        starts = log.user_starts
        kept = kinds < taken.RETURNED
        took_back = np.add.reduceat(~kept, starts[:-1]) if len(log) else np.zeros(0, np.int64)
        for user in np.flatnonzero((np.diff(starts) > taken.MOST_PAST) | (took_back > 0)).tolist():
            own = slice(int(starts[user]), int(starts[user + 1]))
            kept[own] = taken.counting(kinds[own], log.items[own])
        return Recount((log if kept.all() else log.take(kept)).compact(), step)

    @staticmethod
    def of_histories(histories: Histories, item_ids: Sequence[str], step: float = STEP) -> Recount:
        """Count the events in memory. item_ids: by code."""
        events, users = histories.all(), histories.users
        names = sorted(set(item_ids))
        ranks = {name: rank for rank, name in enumerate(names)}
        rank_of = np.asarray([ranks[item_id] for item_id in item_ids], np.int32)
        items = rank_of[events.items] if len(item_ids) else events.items
        ones = np.ones(len(items), np.float32)
        log = EventLog(users, names, events.owners.astype(np.int32), items, ones, events.times)
        return Recount.of(log, step, events.kinds)

    @property
    def item_ids(self) -> Sequence[str]:
        """See Counted."""
        return self.log.item_ids

    @cached_property
    def takers(self) -> Ints:
        """See Counted."""
        return np.asarray(self._x.sum(0)).ravel().astype(np.int64)

    @cached_property
    def last_day(self) -> int:
        """See Counted."""
        return int(days(self.log.times).max()) if len(self.log) else 0

    @property
    def times_are_an_order(self) -> bool:
        """See Counted."""
        return self.log.times_are_an_order

    @cached_property
    def by_day(self) -> tuple[Ints, Ints]:
        """See Counted."""
        log = self.log
        takes = (log.users.astype(np.int64) << KEY_BITS) | log.items
        # Events of a user are in the order of time, so the last event comes first here.
        last = len(log) - 1 - np.unique(takes[::-1], return_index=True)[1]
        keys = (days(log.times[last]) << KEY_BITS) | log.items[last]
        found, users = np.unique(keys, return_counts=True)
        return found, users.astype(np.int64)

    def gram(self, columns: Ints) -> Dense:
        """See Counted."""
        return ease.gram_of(self._x[:, columns])

    def pairs(self, rows: slice) -> sparse.csr_matrix:
        """See Counted."""
        return (self._x[:, rows].T @ self._x).tocsr()

    def ordered(self, rows: slice) -> sparse.csr_matrix:
        """See Counted."""
        return self._ordered[rows].astype(np.float32)

    @cached_property
    def _x(self) -> sparse.csr_matrix:
        return self.log.takers()

    @cached_property
    def _ordered(self) -> sparse.csr_matrix:
        log, n = self.log, len(self.log.item_ids)
        baskets = log.baskets().astype(np.int64)
        users = log.users[log.basket_starts]
        small = np.diff(baskets.indptr) <= LARGEST_BASKET
        table = sparse.csr_matrix((n, n), dtype=np.int64)
        for gap, amount in enumerate(fixed(self.step).tolist(), 1):
            if len(users) <= gap or gap > HORIZON:
                break
            earlier = np.flatnonzero((users[gap:] == users[:-gap]) & small[gap:] & small[:-gap])
            table = table + baskets[earlier].T @ (baskets[earlier + gap] * amount)
        table = table.tocsr()
        table.setdiag(0)
        table.eliminate_zeros()
        table.sort_indices()
        return table
