"""Counts that follow the events: a change of a user's events applies f(new) - f(old), in integers.

    counts = sum over users of f(user),    f: a function of the user's newest 1,000 distinct items by (time, number)

Up to a number of items, pairs are counted in dense matrices. Beyond it only the users of each item are kept, and pairs
are counted from the events in memory when they are asked for. Both say the same.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.fusion import ease
from itemlens_server.fusion.counts.change import Change
from itemlens_server.fusion.counts.counted import Counted
from itemlens_server.fusion.counts.dense import DenseCounted
from itemlens_server.fusion.counts.histories import Columns, Histories
from itemlens_server.fusion.counts.item_users import ItemUsers, taken_after, taken_with
from itemlens_server.fusion.counts.matrices import Square, Triangle
from itemlens_server.fusion.counts.recount import Recount
from itemlens_server.fusion.counts.sparse_counts import SparseCounts
from itemlens_server.fusion.counts.successions import STEP, Window, fixed, successions
from itemlens_server.fusion.counts.takers import Takers
from itemlens_server.fusion.counts.user_events import UserEvents
from itemlens_server.fusion.event_log import Mask, days
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.weights import TableRules

# user, item, seconds since 1970, and a number that tells events apart and orders those of one time.
Event = tuple[str, str, float, int]


@dataclass(frozen=True, eq=False)
class State:
    """Counts as they are kept on disk. users: as in `arrays`, by user. removals: those of the counts by then."""

    users: Sequence[str]
    item_ids: Sequence[str]
    arrays: Mapping[str, np.ndarray[Any, Any]]
    removals: int = 0


class Counts:
    """Counts of a collection. Thread-safe: writers take turns, and `counted` is a copy."""

    def __init__(
        self, bound: int = ease.MAX_ITEMS, step: float = STEP, recent_days: float = TableRules.recent_days
    ) -> None:
        """`bound`: most items of the dense matrices. `step`: see `successions`. `recent_days`: how long takers are
        recent for `popularity`."""
        self.bound, self.step, self._recent_days = bound, step, math.ceil(recent_days)
        self._amounts = fixed(step)
        self._lock = threading.Lock()
        self._item_ids: list[str] = []
        self._codes: dict[str, int] = {}
        self.histories = Histories()
        self.takers = Takers()
        self.pairs: Triangle | None = Triangle(bound)
        self.ordered: Square | None = Square(bound)
        # By code, the version of the last change of what was taken soon after an item.
        self.touched = np.zeros(64, np.int64)
        # Only without the matrices, once they are asked for.
        self.users: ItemUsers | None = None
        # `version` grows with every change, and `removals` with every one that takes events away. `last`: the largest
        # number of an event. `sequence`: that of the last write.
        self.version, self.removals, self.last, self.sequence = 0, 0, 0, 0

    @property
    def item_ids(self) -> Sequence[str]:
        """All items that were ever counted, by code."""
        return self._item_ids

    def code(self, item_id: str) -> int | None:
        """Return the code of an item."""
        return self._codes.get(item_id)

    def add(self, events: Iterable[Event], sequence: int = 0) -> None:
        """Add events. Those whose numbers a user has already are left out. sequence: number of their last write."""
        by_user: dict[str, list[tuple[float, int, int]]] = {}
        with self._lock:
            self.sequence = max(self.sequence, sequence)
            for user_id, item_id, time, number in events:
                code = self._codes.get(item_id)
                if code is None:
                    code = self._codes[item_id] = len(self._item_ids)
                    self._item_ids.append(item_id)
                by_user.setdefault(user_id, []).append((time, number, code))
                self.last = max(self.last, number)
            self._set({user: self.histories.get(user).with_events(_sorted(e)) for user, e in by_user.items()})

    def remove(self, user_id: str, numbers: Iterable[int]) -> None:
        """Take away some of a user's events."""
        with self._lock:
            gone = np.fromiter(numbers, np.int64)
            self.removals += 1
            self._set({user_id: self.histories.get(user_id).without(gone)})

    def merge(self, source: str, target: str) -> None:
        """Give the events of one user to another."""
        with self._lock:
            moved = self.histories.get(source)
            if source != target and len(moved):
                both = self.histories.get(target).with_events(moved)
                self._set({source: moved.take(np.zeros(len(moved), np.bool_)), target: both})

    def counted(self, newer_order: bool = False) -> Counted:
        """Return the counts of this moment, which later changes do not touch.

        newer_order: rows of ordered pairs may be newer, so that they are not copied, which takes long and much memory.
        """
        with self._lock:
            n, item_ids = len(self._item_ids), list(self._item_ids)
            if self.pairs is not None and self.ordered is not None:
                ordered = self.ordered.values(n)
                return DenseCounted.of(
                    item_ids,
                    self.takers.all(n),
                    self.takers.by_day(),
                    self.pairs.values(n).copy(),
                    ordered if newer_order else ordered.copy(),
                    self.histories.last_time,
                    self.histories.times_are_an_order,
                )
            histories = self.histories.copy()
        return Recount.of_histories(histories, item_ids, self.step)

    def state(self) -> State:
        """Return a copy of everything, from which `restored` makes the same counts."""
        with self._lock:
            n = len(self._item_ids)
            item_ids, histories, removals = list(self._item_ids), self.histories.copy(), self.removals
            keys, amounts = self.takers.by_day()
            arrays: dict[str, np.ndarray[Any, Any]] = {
                "takes": keys,
                "takers": amounts,
                "last": np.asarray([self.last, self.sequence]),
            }
            if self.pairs is not None and self.ordered is not None:
                arrays |= {"pairs": self.pairs.values(n).copy(), "ordered": self.ordered.values(n).copy()}
        columns = histories.columns()
        arrays |= {
            "sizes": columns.sizes, "times": columns.times, "numbers": columns.numbers, "items": columns.items
        }  # fmt: skip
        return State(columns.users, item_ids, arrays, removals)

    @staticmethod
    def restored(
        state: State,
        bound: int = ease.MAX_ITEMS,
        step: float = STEP,
        recent_days: float = TableRules.recent_days,
    ) -> Counts:
        """Return the counts of `state`.

        Raises:
            ValueError, KeyError, IndexError: it is not whole, or has no matrices though `bound` has room for them.
        """
        counts, a = Counts(bound, step, recent_days), state.arrays
        n = len(state.item_ids)
        counts._item_ids = list(state.item_ids)
        counts._codes = {item_id: code for code, item_id in enumerate(state.item_ids)}
        columns = Columns(state.users, a["sizes"], a["times"], a["numbers"], a["items"])
        columns.check(n)
        counts.histories = Histories.of(columns)
        counts.takers = Takers(SparseCounts(a["takes"], a["takers"]), n)
        counts.last, counts.sequence = map(int, a["last"])
        counts._reach(n)
        counts._keep_recent(n)
        if n > bound:
            counts.pairs = counts.ordered = None
        elif "pairs" not in a:
            raise ValueError(f"no matrices, though {n} items are few enough for them")
        else:
            counts.pairs, counts.ordered = Triangle(bound, a["pairs"]), Square(bound, a["ordered"])
            if len(a["pairs"]) != n * (n + 1) // 2 or a["ordered"].shape != (n, n):
                raise ValueError("matrices of another size")
        return counts

    def taken_with(self, item_id: str) -> dict[str, int]:
        """Return how many users took an item and each other one."""
        with self._lock:
            code = self._codes.get(item_id)
            if code is None:
                return {}
            if self.pairs is not None:
                others = np.arange(len(self._item_ids))
                counts = self.pairs.get(np.full(len(others), code), others).astype(np.int64)
                counts[code] = 0
                return self._named(np.flatnonzero(counts), counts[counts > 0])
            return self._named(*taken_with(code, self._users_of(code)))

    def taken_after(self, item_id: str) -> dict[str, int]:
        """Return the amounts of what was taken soon after an item (see `successions`)."""
        with self._lock:
            code = self._codes.get(item_id)
            if code is None:
                return {}
            if self.ordered is not None:
                amounts = self.ordered.values(len(self._item_ids))[code].astype(np.int64)
                return self._named(np.flatnonzero(amounts), amounts[amounts > 0])
            return self._named(*taken_after(code, self._users_of(code), self._amounts))

    def _named(self, codes: Ints, counts: Ints) -> dict[str, int]:
        names = (self._item_ids[code] for code in codes.tolist())
        return dict(zip(names, counts.tolist(), strict=True))

    def _set(self, users: Mapping[str, UserEvents]) -> None:
        """Replace the events of users."""
        n = len(self._item_ids)
        self._reach(n)
        if n > self.bound:
            self.pairs = self.ordered = None
        change = Change(of_pairs=self.pairs is not None)
        for user_id, after in users.items():
            newest = after.newest()
            came, went = change.add(self.histories.get(user_id).newest(), newest)
            if self.users is not None and len(went):
                self.users.remove(self.histories.code(user_id), went)
            self.histories.set(user_id, after, newest)
            if self.users is not None and len(came):
                self.users.add(self.histories.code(user_id), came)
        for takes, amount in ((change.gained, 1), (change.lost, -1)):
            if takes:
                self.takers.add(np.concatenate(takes), amount, n)
        if self.pairs is not None:
            self._count_pairs(change.joined, 1)
            self._count_pairs(change.left, -1)
            changed = np.zeros(n, np.bool_)
            self._count_order(change.after, 1, changed)
            self._count_order(change.before, -1, changed)
            # Only now are the rows whole: a reader keeps what it computes of a row with this version.
            self.touched[:n][changed] = self.version + 1
        self._keep_recent(n)
        self.version += 1

    def _reach(self, items: int) -> None:
        if items > len(self.touched):
            more = max(items - len(self.touched), len(self.touched))
            self.touched = np.concatenate([self.touched, np.zeros(more, np.int64)])

    def _keep_recent(self, items: int) -> None:
        """Keep the takers of the last days. items: number of items."""
        last = days(np.asarray([self.histories.last_time]))[0] if self.histories else 0
        self.takers.keep_since(int(last) - self._recent_days, items)

    def keep_recent(self, recent_days: float) -> None:
        """Set how long takers are recent for `popularity`."""
        with self._lock:
            self._recent_days = math.ceil(recent_days)
            self._keep_recent(len(self._item_ids))

    def popularity(self, codes: Ints) -> tuple[Ints, Ints]:
        """Return the takers of items, and those of the last days, int64 [codes] each. Never waits for a change."""
        return self.takers.of(codes)

    def _count_pairs(self, pairs: Sequence[tuple[Ints, Ints]], amount: int) -> None:
        if pairs and self.pairs is not None:
            one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
            self.pairs.add(one, other, amount, len(self._item_ids))

    def _count_order(self, windows: Sequence[Window], sign: int, changed: Mask) -> None:
        """Add the ordered pairs of windows, and mark in `changed`, bool [items], the items whose rows change."""
        for j, i, amounts in successions(windows, self._amounts):
            if self.ordered is not None:
                self.ordered.add(j, i, sign * amounts, len(self._item_ids))
            changed[j] = True

    def _users_of(self, code: int) -> Iterator[UserEvents]:
        """Yield the events of the users of an item. The users of all items are kept from the first call on."""
        if self.users is None:
            self.users = ItemUsers()
            for user_id, events in self.histories:
                self.users.add(self.histories.code(user_id), np.unique(events.newest().items))
        return self.histories.by_code(self.users.of(code))


def _sorted(rows: Sequence[tuple[float, int, int]]) -> UserEvents:
    times, numbers, items = (np.asarray(column) for column in zip(*rows, strict=True))
    return UserEvents.of(times.astype(np.float64), numbers.astype(np.int64), items.astype(np.int32))
