"""Counts that follow the events: a change of a user's events applies f(new) - f(old), in integers.

    counts = sum over users of f(user),    f: a function of the user's newest 1,000 items by (time, number)

Up to a number of items, pairs are counted in dense matrices. Beyond it they are counted from the events in memory when
they are asked for. Both say the same.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np

from itemlens_server.fusion import ease, taken
from itemlens_server.fusion.counts.change import Change
from itemlens_server.fusion.counts.copied_takers import CopiedTakers
from itemlens_server.fusion.counts.counted import Counted, CountedTakers
from itemlens_server.fusion.counts.dense import DenseCounted
from itemlens_server.fusion.counts.events import EVENT, KEY_BITS, SECOND, Events, Rows
from itemlens_server.fusion.counts.histories import Histories
from itemlens_server.fusion.counts.matrices import Square, Triangle
from itemlens_server.fusion.counts.recount import Recount
from itemlens_server.fusion.counts.sparse_counts import SparseCounts
from itemlens_server.fusion.counts.state import Copied, State
from itemlens_server.fusion.counts.successions import STEP, Windows, fixed, successions
from itemlens_server.fusion.counts.taker_lists import TakerLists
from itemlens_server.fusion.counts.takers import Takers
from itemlens_server.fusion.event_log import Mask, days
from itemlens_server.fusion.rows import Ints

# The events of users are changed together up to this size.
_BYTES_AT_A_TIME = 40_000_000
# user, item, seconds since 1970, and a number that tells events apart and orders those of one time.
Event = tuple[str, str, float, int]


class Counts:
    """Counts of a collection. Thread-safe: writers take turns, and `counted` is a copy."""

    def __init__(self, bound: int = ease.MAX_ITEMS, step: float = STEP) -> None:
        """`bound`: most items of the dense matrices. `step`: see `successions`."""
        self.bound, self.step = bound, step
        self._amounts = fixed(step)
        self._lock = threading.Lock()
        self._item_ids: list[str] = []
        self._codes: dict[str, int] = {}
        self.histories = Histories()
        self.takers = Takers()
        self.pairs: Triangle | None = Triangle(bound)
        self.ordered: Square | None = Square(bound)
        # Only where pairs are not counted in matrices.
        self.lists: TakerLists | None = None
        # By code, the version of the last change of what was taken soon after an item.
        self.touched = np.zeros(64, np.int64)
        # `version` grows with every change, and `removals` with every one that takes events away. `last`: the largest
        # number of an event that was read. `sequence`: that of the last write.
        self.version, self.removals, self.last, self.sequence = 0, 0, 0, 0

    @property
    def item_ids(self) -> Sequence[str]:
        """All items that were ever counted, by code."""
        return self._item_ids

    def code(self, item_id: str) -> int | None:
        """Return the code of an item."""
        return self._codes.get(item_id)

    def add(
        self,
        events: Iterable[Event],
        sequence: int = 0,
        last: int = 0,
        kinds: Iterable[int] = repeat(taken.TAKE),
    ) -> None:
        """Add events. Those whose numbers a user has already are left out.

        sequence: number of their last write. last: the largest number of an event that was read with them, which need
        not count. kinds: what each of them is (see `taken.kind_of`).
        """
        with self._lock:
            self.sequence, self.last = max(self.sequence, sequence), max(self.last, last)
            users: dict[str, int] = {}
            owners: list[int] = []
            rows: list[tuple[float, int, int, int]] = []
            for (user_id, item_id, time, number), kind in zip(events, kinds, strict=False):
                code = self._codes.get(item_id)
                if code is None:
                    code = self._codes[item_id] = len(self._item_ids)
                    self._item_ids.append(item_id)
                owners.append(users.setdefault(user_id, len(users)))
                rows.append((time, number, code, kind))
            if rows:
                new = np.asarray(rows, EVENT)
                self.last = max(self.last, int(new["number"].max()))
                self._add(list(users), np.asarray(owners), new)

    def _add(self, users: Sequence[str], owners: Ints, rows: Rows) -> None:
        """Add events to those of users, some of these at a time. owners: places of the users, int64 [rows]."""
        size = np.cumsum([self.histories.size(user) for user in users])
        part = (size // _BYTES_AT_A_TIME)[owners]
        for number in np.unique(part).tolist():
            some, own = np.unique(owners[part == number], return_inverse=True)
            names = [users[user] for user in some.tolist()]
            self._set(names, self.histories.get(names).with_events(own, rows[part == number]))

    def remove(self, user_id: str, numbers: Iterable[int]) -> None:
        """Take away some of a user's events."""
        with self._lock:
            gone = np.fromiter(numbers, np.int64)
            self.removals += 1
            own = self.histories.get([user_id])
            self._set([user_id], own.take(~np.isin(own.numbers, gone)))

    def merge(self, source: str, target: str) -> None:
        """Give the events of one user to another."""
        with self._lock:
            moved = self.histories.get([source])
            if source != target and len(moved):
                self.removals += 1
                # Of both at once, so that nobody sees the events twice or not at all.
                both = self.histories.get([source, target])
                kept = both.take(both.owners > 0)
                self._set([source, target], kept.with_events(np.ones(len(moved), np.int64), moved.rows))

    def touch(self, item_ids: Iterable[str]) -> None:
        """Take what was taken soon after some items as changed. The counts stay."""
        with self._lock:
            codes = [self._codes[item_id] for item_id in item_ids]
            self.touched[codes] = self.version + 1
            self.version += 1

    def counted(self, newer_order: bool = False) -> Counted:
        """Return the counts of this moment, which later changes do not touch.

        newer_order: ordered pairs may be newer: they are copied afterwards, so that nobody who writes waits for it.
        """
        with self._lock:
            square, ordered = self.ordered, None
            if self.pairs is None or square is None:
                histories, item_ids = self.histories.copy(), list(self._item_ids)
            else:
                n, takers = len(self._item_ids), self._takers()
                pairs = self.pairs.values(n).copy()
                ordered = None if newer_order else square.nonzero(n)
        if square is None:
            return Recount.of_histories(histories, item_ids, self.step)
        return DenseCounted.with_pairs(takers(), pairs, square.nonzero(n) if ordered is None else ordered)

    def counted_takers(self) -> CountedTakers:
        """Return the takers of this moment alone: quickly, since no events are counted again, whatever `bound` is."""
        with self._lock:
            takers = self._takers()
        return takers()

    def _takers(self) -> Callable[[], CopiedTakers]:
        """Copy the takers. What is returned sorts the copy, for which no writer needs to wait."""
        return partial(
            CopiedTakers.of,
            list(self._item_ids),
            self.takers.all(len(self._item_ids)),
            self.takers.by_day(),
            self.histories.last_time,
            self.histories.times_are_an_order,
        )

    def state(self) -> State:
        """Return a copy of everything, from which `restored` makes the same counts."""
        return self.copied().state()

    def copied(self) -> Copied:
        """Return a copy, from which the state can be made while the counts change."""
        with self._lock:
            n = len(self._item_ids)
            keys, amounts = self.takers.by_day()
            arrays: dict[str, np.ndarray[Any, Any]] = {
                "takes": keys,
                "takers": amounts,
                "last": np.asarray([self.last, self.sequence]),
            }
            if self.pairs is not None and self.ordered is not None:
                arrays |= {"pairs": self.pairs.values(n).copy(), "ordered": self.ordered.values(n).copy()}
            return Copied(list(self._item_ids), self.histories.copy(), arrays)

    @staticmethod
    def restored(state: State, bound: int = ease.MAX_ITEMS, step: float = STEP) -> Counts:
        """Return the counts of `state`.

        Raises:
            ValueError, KeyError, IndexError: it is not whole, or has no matrices though `bound` has room for them.
        """
        counts, a = Counts(bound, step), state.arrays
        n = len(state.item_ids)
        counts._item_ids = list(state.item_ids)
        counts._codes = {item_id: code for code, item_id in enumerate(state.item_ids)}
        counts.histories = Histories.of(state.users, _events(state))
        counts.takers = Takers(SparseCounts(a["takes"], a["takers"]), n)
        counts.last, counts.sequence = map(int, a["last"])
        counts._reach(n)
        if n > bound:
            counts._leave_matrices()
        elif not n:
            pass  # it has nothing to restore, with matrices or without
        elif "pairs" not in a:
            raise ValueError(f"no matrices, though {n} items are few enough for them")
        else:
            counts.pairs, counts.ordered = Triangle(bound, a["pairs"]), Square(bound, a["ordered"])
            if len(a["pairs"]) != n * (n + 1) // 2 or a["ordered"].shape != (n, n):
                raise ValueError("matrices of another size")
        return counts

    def _set(self, users: Sequence[str], events: Events) -> None:
        """Replace the events of users."""
        n = len(self._item_ids)
        self._reach(n)
        if n > self.bound and self.pairs is not None:
            self._leave_matrices()
        standing = events.standing()
        change = Change.of(self.histories.get(users).standing(), standing)
        numbers = self.histories.set(users, events, standing)
        self.takers.add(change.gained, 1, n)
        self.takers.add(change.lost, -1, n)
        if self.lists is not None:
            went, came = (
                zip(numbers[keys >> KEY_BITS].tolist(), (keys & SECOND).tolist(), strict=True)
                for keys in (change.went, change.came)
            )
            self.lists.change(went, came)
        if self.pairs is not None:
            # In this order, since who reads without a lock may see one of both alone: it must not be too many.
            for pairs, amount in ((change.left(), -1), (change.joined(), 1)):
                for one, other in pairs:
                    self.pairs.add(one, other, amount, n)
            changed = np.zeros(n, np.bool_)
            before, after = change.windows()
            self._count_order(after, 1, changed)
            self._count_order(before, -1, changed)
            # Only now are the rows whole: a reader keeps what it computes of a row with this version.
            self.touched[:n][changed] = self.version + 1
        self.takers.end_on(self._last_day, n)
        self.version += 1

    def takers_of(self, item_id: str, recent_days: Sequence[float]) -> tuple[int, int]:
        """Return how many users took an item, and the fewest of those who did on the last days, for some numbers of
        days. As `users_of_both`, it does not wait for a change to be computed (see `popularity` for the first time)."""
        [every] = self.users_of_both(item_id, [item_id])
        if not every:
            return 0, 0
        code = np.asarray([self._codes[item_id]], np.int64)
        recent = [int(self.popularity(code, days)[1][0]) for days in recent_days]
        return every, min(recent)

    def _leave_matrices(self) -> None:
        # In this order: one of both is there for whoever reads without a lock.
        self.lists = TakerLists.of(self.histories)
        self.pairs = self.ordered = None

    def _reach(self, items: int) -> None:
        if items > len(self.touched):
            more = max(items - len(self.touched), len(self.touched))
            self.touched = np.concatenate([self.touched, np.zeros(more, np.int64)])

    @property
    def _last_day(self) -> int:
        return int(days(np.asarray([self.histories.last_time]))[0]) if self.histories else 0

    def popularity(self, codes: Ints, recent_days: float) -> tuple[Ints, Ints]:
        """Return the takers of items, and those of the last days, int64 [codes] each. Waits for a change only when a
        number of days is asked for the first time; they are kept current from then on."""
        number = math.ceil(recent_days)
        recent = self.takers.recent_of(codes, number)
        if recent is None:
            with self._lock:
                self.takers.keep_recent(number, self._last_day)
            recent = self.takers.recent_of(codes, number)
            assert recent is not None
        return self.takers.of(codes), recent

    def users_of_both(self, item_id: str, others: Sequence[str]) -> list[int]:
        """Return how many users took an item and each of the `others`, at this moment. It never waits for a change to
        be computed, and never returns more than there were before or after one."""
        codes = [self._codes.get(i, -1) for i in (item_id, *others)]
        known = np.asarray(codes, np.int64) >= 0
        both = np.zeros(len(codes), np.int64)
        if known[0]:
            own, wanted = codes[0], np.asarray(codes, np.int64)[known]
            pairs = self.pairs
            if pairs is not None:
                both[known] = pairs.get(own, wanted)
            elif (lists := self.lists) is not None:
                both[known] = lists.of_both(own, wanted.tolist())
        return [int(n) for n in both[1:]]

    def _count_order(self, windows: Windows, sign: int, changed: Mask) -> None:
        """Add the ordered pairs of windows, and mark in `changed`, bool [items], the items whose rows change."""
        for j, i, amounts in successions(windows, self._amounts):
            if self.ordered is not None:
                self.ordered.add(j, i, sign * amounts, len(self._item_ids))
            changed[j] = True


def _events(state: State) -> Events:
    """Return the events of a state.

    Raises:
        ValueError: its columns do not belong together.
    """
    a = state.arrays
    sizes, items = a["sizes"], a["items"]
    lengths = {len(a[name]) for name in ("times", "numbers", "items", "kinds")}
    if (
        lengths != {int(sizes.sum())}
        or len(state.users) != len(sizes)
        or (sizes < 1).any()
        or (len(items) and not 0 <= items.min() <= items.max() < len(state.item_ids))
        or not np.isin(a["kinds"], taken.KINDS).all()
    ):
        raise ValueError("wrong events")
    return Events.of(sizes, a["times"], a["numbers"], items, a["kinds"])
