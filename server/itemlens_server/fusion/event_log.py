"""All events of a collection in columns, and the same as a matrix of baskets by items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from itemlens_server.fusion.head import Array

Codes = np.ndarray[Any, np.dtype[np.int32]]
Kinds = np.ndarray[Any, np.dtype[np.int8]]
Times = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

SECONDS_PER_DAY = 86_400.0
# Days are counted from the first of January of the year 1, so that none is negative.
_FIRST_DAY = -719_162


@dataclass(frozen=True)
class EventLog:
    """Events by which items were taken, ordered by user and time.

    user_ids, item_ids: names of the codes
    users, items:       code of each event's user and item, int32 [events]
    strengths:          weight of each event's type, float32 [events]
    times:              seconds since 1970, float64 [events]
    """

    user_ids: Sequence[str]
    item_ids: Sequence[str]
    users: Codes
    items: Codes
    strengths: Array
    times: Times

    def __len__(self) -> int:
        return len(self.users)

    @staticmethod
    def of(events: Iterable[tuple[str, str, int, float]], type_weights: Mapping[int, float]) -> EventLog:
        """Read (user, item, type, time), ordered by user and time. Types without a weight are left out.

        Events are read one by one, so that they are never all in memory as objects.
        """
        users: dict[str, int] = {}
        items: dict[str, int] = {}
        weights = {kind: weight for kind, weight in type_weights.items() if weight > 0}
        columns = np.dtype([("user", "i4"), ("item", "i4"), ("strength", "f4"), ("time", "f8")])
        rows = np.fromiter(
            (
                (users.setdefault(user, len(users)), items.setdefault(item, len(items)), weights[kind], time)
                for user, item, kind, time in events
                if kind in weights
            ),
            columns,
        )
        # Codes in the order of the names: the same events give the same tables, whatever came first.
        names = sorted(items)
        ranks = np.empty(len(items), np.int32)
        ranks[[items[name] for name in names]] = np.arange(len(items), dtype=np.int32)
        codes = ranks[rows["item"]] if len(rows) else np.zeros(0, np.int32)
        return EventLog(
            tuple(users),
            tuple(names),
            rows["user"].copy(),
            codes,
            rows["strength"].copy(),
            rows["time"].copy(),
        )

    def take(self, kept: Mask | slice) -> EventLog:
        """Return the events of a mask or slice. The codes stay."""
        return replace(
            self, users=self.users[kept], items=self.items[kept], strengths=self.strengths[kept],
            times=self.times[kept],
        )  # fmt: skip

    def compact(self) -> EventLog:
        """Return the same with codes for the items that have events only."""
        codes, items = np.unique(self.items, return_inverse=True)
        if len(codes) == len(self.item_ids):
            return self
        return replace(
            self, item_ids=tuple(self.item_ids[code] for code in codes), items=items.astype(np.int32)
        )

    @cached_property
    def basket_numbers(self) -> Codes:
        """Number of each event's basket, int32 [events]; ascending. A basket: the events of a user at one time."""
        if not len(self):
            return np.zeros(0, np.int32)
        changes = (np.diff(self.users) != 0) | (np.diff(self.times) != 0)
        return np.concatenate([[0], np.cumsum(changes)]).astype(np.int32)

    @cached_property
    def basket_starts(self) -> Ints:
        """The first event of each basket, int64 [baskets]."""
        return (
            np.searchsorted(self.basket_numbers, np.arange(self.basket_numbers[-1] + 1))
            if len(self)
            else (np.zeros(0, np.int64))
        )

    @cached_property
    def user_starts(self) -> Ints:
        """Where each user's events start, and the number of events; int64 [users + 1]."""
        return np.searchsorted(self.users, np.arange(len(self.user_ids) + 1))

    @cached_property
    def times_are_an_order(self) -> bool:
        """Whether the times are only an order: every user's first event has the same time, as numbers 0, 1, 2, ...
        have. Then users cannot be compared in time."""
        first = self.times[self.user_starts[:-1][np.diff(self.user_starts) > 0]]
        return len(first) > 1 and bool((first == first[0]).all())

    def baskets(self) -> sparse.csr_matrix:
        """Return which items each basket holds, CSR float32 [baskets, items] of ones."""
        return _ones(self.basket_numbers, self.items, len(self.basket_starts), len(self.item_ids))

    def takers(self) -> sparse.csr_matrix:
        """Return which items each user took, CSR float32 [users, items] of ones."""
        return _ones(self.users, self.items, len(self.user_ids), len(self.item_ids))


def days(times: Times) -> Ints:
    """Return the UTC days of times, int64, from 0 for the first day of the year 1."""
    return np.floor_divide(times, SECONDS_PER_DAY).astype(np.int64) - _FIRST_DAY


def _ones(rows: Codes, columns: Codes, height: int, width: int) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (height, width))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix
