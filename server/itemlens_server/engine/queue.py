"""Which inputs run next: interactive before bulk, callers by fair share, in batches of like length.

Inputs of a priority run in the order of start-time fair queueing (Goyal, Vin, Cheng, 1996): each is tagged with the
tokens that its caller had queued before it, so that a caller who sends much waits behind one who sends little, and
nobody waits for ever. The first in that order opens a batch, which is filled with those nearest to it in length among
the first few.
"""

from __future__ import annotations

import itertools
from bisect import insort
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from itemlens_server.engine.call_context import Priority

AnyEntry = TypeVar("AnyEntry", bound="QueueEntry")

# Batches are filled from the first entries in the order, this many times as many as fit into one. A lower number lets
# none be overtaken by many, a higher one finds lengths more alike: at 64 single texts of MiniLM waiting, 4 gives .979
# of the best throughput with a p99 of 367 ms, no bound .985 and 469 ms (simulated).
WINDOW_BATCHES = 4

# Past this many callers those that are owed nothing are forgotten.
MOST_CALLERS = 1000


@dataclass(frozen=True)
class Plan:
    """How batches are formed.

    instances:  batches that run at the same time
    threads:    threads of each
    max_batch:  inputs in a batch
    max_tokens: its tokens, padding included
    call_tokens: what running a batch costs besides its tokens, in tokens: on a processor that is mostly reading the
                weights. So much an input saves that shares a batch instead of opening one.
    attention_tokens: 0: padding costs what tokens cost. n: the graph has padding in attention only, and t tokens cost
                t²/n there
    singly:     inputs of a batch run one after the other, so none pads another
    """

    instances: int = 1
    threads: int = 1
    max_batch: int = 8
    max_tokens: int = 512
    call_tokens: int = 12
    attention_tokens: int = 0
    singly: bool = False

    def padding(self, tokens: int, longest: int) -> float:
        """What it costs to pad an input to `longest`, in tokens."""
        if self.singly:
            return 0.0
        if self.attention_tokens:
            return (longest * longest - tokens * tokens) / self.attention_tokens
        return longest - tokens


class QueueEntry:
    """An input in the queue: what the order depends on. `group`: only inputs of one group share a batch."""

    __slots__ = ("caller", "group", "number", "priority", "tokens")

    def __init__(self, tokens: int, group: Hashable, priority: Priority, caller: str = "") -> None:
        self.tokens = tokens
        self.group = group
        self.priority = priority
        self.caller = caller
        self.number = -1  # given by the queue


class _Lane(Generic[AnyEntry]):
    """The entries of one priority."""

    def __init__(self) -> None:
        self.tokens = 0
        self._order: list[tuple[int, int, AnyEntry]] = []  # sorted (tag, number, entry)
        self._now = 0  # tag of the last entry that opened a batch
        self._spent: dict[str, int] = {}  # caller -> tag of its next entry
        self._backlog: dict[str, int] = {}  # caller -> its entries that wait

    def __len__(self) -> int:
        return len(self._order)

    def put(self, entry: AnyEntry) -> None:
        caller = entry.caller
        if not self._order:
            self._spent.clear()
        elif len(self._spent) > MOST_CALLERS:
            self._spent = {c: tag for c, tag in self._spent.items() if tag > self._now}
        tag = max(self._now, self._spent.get(caller, 0))
        self._spent[caller] = tag + entry.tokens
        self._backlog[caller] = self._backlog.get(caller, 0) + 1
        insort(self._order, (tag, entry.number, entry))
        self.tokens += entry.tokens

    def first(self) -> AnyEntry:
        """The entry that is next; there must be one."""
        return self._order[0][2]

    def take(self, plan: Plan, max_batch: int, max_tokens: int) -> list[AnyEntry]:
        """The first entry and those nearest to it in length, while each is worth the padding that it brings and the
        time that it takes from the others in the batch, whose outputs come when all is done."""
        self._now, _, first = self._order[0]
        # Where none pads another, strictly in order.
        window = self._order[: plan.max_batch * (1 if plan.singly else WINDOW_BATCHES)]
        alike = sorted(
            (entry for _, _, entry in window if entry.group == first.group), key=lambda entry: entry.tokens
        )
        low = alike.index(first)
        high = low + 1  # the batch is alike[low:high]
        longest = first.tokens
        # What another in the batch saves, all that wait have; what it takes, the batch waits for.
        saved = plan.call_tokens * len(self._order)
        while high - low < max_batch:
            shorter = alike[low - 1].tokens if low else 0
            longer = alike[high].tokens if high < len(alike) else 0
            # A longer one pads all the others, a shorter one only itself.
            up = plan.padding(longest, longer) * (high - low)
            down = plan.padding(shorter, longest)
            upward = longer and (not shorter or up <= down)
            longest = longer if upward else longest
            if (
                not (upward or shorter)
                or (up if upward else down) > plan.call_tokens
                or (longer if upward else shorter) * (high - low) > saved
                or (high - low + 1) * longest > max_tokens
            ):
                break
            low, high = (low, high + 1) if upward else (low - 1, high)
        batch = alike[low:high]
        numbers = {entry.number for entry in batch}
        self._order[: len(window)] = [waiting for waiting in window if waiting[1] not in numbers]
        for entry in batch:
            self.tokens -= entry.tokens
            left = self._backlog[entry.caller] - 1
            if left:
                self._backlog[entry.caller] = left
            else:
                del self._backlog[entry.caller]
        return batch

    def ahead(self, caller: str, count: int) -> int:
        """About how many entries run before the last of `count` more of this caller, under fair share."""
        own = self._backlog.get(caller, 0)
        return own + sum(min(n, own + count) for name, n in self._backlog.items() if name != caller)


class Queue(Generic[AnyEntry]):
    """The entries that wait, of all priorities. Not thread-safe.

    While interactive entries wait, bulk ones get `bulk_share` of the tokens that are run.
    """

    def __init__(self, plan: Plan, bulk_share: float = 0.15) -> None:
        self.plan = plan
        self._owed_for_each = bulk_share / (1 - bulk_share)
        self._owed = 0.0  # tokens of bulk that are due, up to one batch
        self._lanes: dict[Priority, _Lane[AnyEntry]] = {p: _Lane() for p in Priority}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def ready(self, bulk: bool = True) -> bool:
        """Whether `take` would give something."""
        return any(lane and (bulk or priority is not Priority.BULK) for priority, lane in self._lanes.items())

    def tokens(self, priority: Priority) -> int:
        """Tokens that wait with this priority."""
        return self._lanes[priority].tokens

    def count(self, priority: Priority) -> int:
        """Entries that wait with this priority."""
        return len(self._lanes[priority])

    def ahead(self, priority: Priority, caller: str, count: int) -> int:
        """About how many entries of this priority run before `count` more of this caller are done."""
        return self._lanes[priority].ahead(caller, count)

    def put(self, entry: AnyEntry) -> None:
        """Add an entry."""
        entry.number = next(self._numbers)
        self._lanes[entry.priority].put(entry)

    def take(self, idle: int = 1, bulk: bool = True) -> list[AnyEntry]:
        """The next batch, for one of `idle` workers that have nothing to do; empty if nothing waits. `bulk`: whether
        it may be one of bulk."""
        priority = self._next_priority() if bulk else Priority.INTERACTIVE
        lane = self._lanes[priority]
        if not lane:
            return []
        # What waits is shared among the idle: two halves side by side are done sooner than all in one batch.
        most = min(self.plan.max_batch, -(-len(lane) // idle))
        # Short bulk batches, so that an interactive input that comes meanwhile waits less.
        max_tokens = self.plan.max_tokens // (2 if priority is Priority.BULK else 1)
        before = lane.tokens
        batch = lane.take(self.plan, most, max_tokens)
        self._account(priority, before - lane.tokens)
        return batch

    def _next_priority(self) -> Priority:
        interactive, bulk = (self._lanes[p] for p in (Priority.INTERACTIVE, Priority.BULK))
        if interactive and not (bulk and self._owed >= bulk.first().tokens):
            return Priority.INTERACTIVE
        return Priority.BULK

    def _account(self, priority: Priority, tokens: int) -> None:
        if not (self._lanes[Priority.INTERACTIVE] or priority is Priority.INTERACTIVE):
            return  # bulk runs alone: nobody is owed anything
        if priority is Priority.BULK:
            self._owed -= tokens
        elif self._lanes[Priority.BULK]:
            self._owed = min(self._owed + tokens * self._owed_for_each, float(self.plan.max_tokens))
