"""Arrival patterns of calls: from callers that wait for their replies (closed), or at given times (open)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Protocol, Self

import numpy as np

from itemlens_bench.speed.figures import Floats
from itemlens_bench.speed.target import CallFailed, Refused

MOST_IN_FLIGHT = 4000
KEPT_ERRORS = 3
RETRY_SECONDS = 0.05


class Outcome(IntEnum):
    """How a call went."""

    OK = 0
    REFUSED = 1
    FAILED = 2
    UNSENT = 3
    """The client had too many calls in flight to send it: the harness's own limit."""


class Sender(Protocol):
    """The part of a Caller that a running load needs."""

    async def send(self, request: Any) -> Any:
        """Send and wait for the whole reply."""


@dataclass(frozen=True)
class Recording:
    """The outcome of each call, in no order. Times are in seconds of the machine's monotonic clock.

    call:        its number in the workload
    due:         when it should be sent; latency counts from here, so that a stalled server cannot hide waiting calls
    sent:        when it was sent
    done:        when its reply or refusal arrived
    outcome:     an Outcome
    errors:      the first messages of failed calls
    cpu_seconds: processor time of the client for all calls
    """

    call: np.ndarray[Any, np.dtype[np.int64]]
    due: Floats
    sent: Floats
    done: Floats
    outcome: np.ndarray[Any, np.dtype[np.uint8]]
    errors: tuple[str, ...] = ()
    cpu_seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.due)

    def where(self, chosen: np.ndarray[Any, Any]) -> Recording:
        """Some of the calls."""
        return Recording(
            self.call[chosen], self.due[chosen], self.sent[chosen], self.done[chosen], self.outcome[chosen],
            self.errors,
        )  # fmt: skip

    def of(self, outcome: Outcome) -> Recording:
        """The calls with this outcome."""
        return self.where(self.outcome == outcome)

    def count(self, outcome: Outcome) -> int:
        """The number of calls with this outcome."""
        return int(np.count_nonzero(self.outcome == outcome))

    @property
    def latency(self) -> Floats:
        """Seconds from the time that each call was due to its reply."""
        return self.done - self.due

    @property
    def seconds(self) -> float:
        """Seconds from the first call to the last reply."""
        return float(self.done.max() - self.due.min()) if len(self) else 0.0

    @staticmethod
    def joined(parts: Sequence[Recording]) -> Recording:
        """The calls of all recordings."""
        return Recording(
            np.concatenate([p.call for p in parts]),
            np.concatenate([p.due for p in parts]),
            np.concatenate([p.sent for p in parts]),
            np.concatenate([p.done for p in parts]),
            np.concatenate([p.outcome for p in parts]),
            tuple(error for p in parts for error in p.errors)[:KEPT_ERRORS],
            sum(p.cpu_seconds for p in parts),
        )


class Pattern(Protocol):
    """An arrival process over the calls of a workload."""

    def split(self, count: int) -> list[Self]:
        """The same load, split over `count` processes."""

    async def run(self, sender: Sender, requests: Sequence[Any], at: float) -> Recording:
        """Send calls from the time `at` of the loop's clock on, and wait for all replies."""


@dataclass(frozen=True)
class Closed:
    """`concurrency` callers, each with one call in flight, until the calls `numbers` are done.

    So every target does the same work. With `seconds`, the callers repeat the calls for that time. Numbers past the
    workload's end continue at its start. A refused call is sent again after a pause; its latency still counts from the
    first time.
    """

    concurrency: int
    numbers: Sequence[int]
    seconds: float | None = None

    def split(self, count: int) -> list[Closed]:
        """See Pattern."""
        shares = [len(range(n, self.concurrency, count)) for n in range(count)]
        return [replace(self, concurrency=c, numbers=self.numbers[n::count]) for n, c in enumerate(shares)]

    async def run(self, sender: Sender, requests: Sequence[Any], at: float) -> Recording:
        """See Pattern."""
        notes = _Notes()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(at - loop.time())
        end = None if self.seconds is None else loop.time() + self.seconds
        place = 0

        async def caller() -> None:
            nonlocal place
            while place < len(self.numbers) if end is None else loop.time() < end:
                number = self.numbers[place % len(self.numbers)]
                place += 1
                due = loop.time()
                while await notes.call(sender, requests, number, due) is Outcome.REFUSED:
                    if end is not None and loop.time() >= end:
                        return
                    await asyncio.sleep(RETRY_SECONDS)

        await asyncio.gather(*(caller() for _ in range(self.concurrency)))
        return notes.recording()


@dataclass(frozen=True)
class Open:
    """Calls at given times, whether or not earlier calls are answered.

    `due` has the times in seconds from the start, within `seconds`. `numbers` are as in Closed.
    """

    due: Floats
    numbers: Sequence[int]
    seconds: float
    most_in_flight: int = MOST_IN_FLIGHT

    def then(self, other: Open) -> Open:
        """This pattern, and `other` right after it."""
        due = np.concatenate([self.due, self.seconds + other.due])
        return replace(
            self, due=due, numbers=[*self.numbers, *other.numbers], seconds=self.seconds + other.seconds
        )

    def split(self, count: int) -> list[Open]:
        """See Pattern."""
        most = max(1, self.most_in_flight // count)
        return [
            replace(self, due=self.due[n::count], numbers=self.numbers[n::count], most_in_flight=most)
            for n in range(count)
        ]

    async def run(self, sender: Sender, requests: Sequence[Any], at: float) -> Recording:
        """See Pattern."""
        notes = _Notes()
        loop = asyncio.get_running_loop()
        under_way: set[asyncio.Task[Outcome]] = set()
        for due, number in zip((at + self.due).tolist(), self.numbers, strict=True):
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if len(under_way) >= self.most_in_flight:
                notes.add(number, due, due, loop.time(), Outcome.UNSENT)
                await asyncio.sleep(0)  # replies must be read even when no call can be sent
                continue
            task = loop.create_task(notes.call(sender, requests, number, due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
        return notes.recording()


def poisson(rate: float, seconds: float, seed: int, first: int = 0) -> Open:
    """Independent arrivals, `rate` a second on average for `seconds`; calls are numbered from `first` on."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1 / rate, size=int(rate * seconds + 10 * (rate * seconds) ** 0.5 + 20))
    due = np.cumsum(gaps)
    due = due[due < seconds]
    return Open(due, range(first, first + len(due)), seconds)


@dataclass
class _Notes:
    """Records calls as they end."""

    rows: list[tuple[int, float, float, float, int]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def call(self, sender: Sender, requests: Sequence[Any], number: int, due: float) -> Outcome:
        """Send the call `number`, and record its outcome."""
        loop = asyncio.get_running_loop()
        sent = loop.time()
        outcome = Outcome.OK
        try:
            await sender.send(requests[number % len(requests)])
        except Refused:
            outcome = Outcome.REFUSED
        except CallFailed as error:
            outcome = Outcome.FAILED
            if len(self.errors) < KEPT_ERRORS:
                self.errors.append(str(error))
        self.add(number, due, sent, loop.time(), outcome)
        return outcome

    def add(self, number: int, due: float, sent: float, done: float, outcome: Outcome) -> None:
        """Record one call."""
        self.rows.append((number, due, sent, done, outcome))

    def recording(self) -> Recording:
        """All recorded calls."""
        call, due, sent, done, outcome = zip(*self.rows, strict=True) if self.rows else ((),) * 5
        return Recording(
            np.asarray(call, np.int64),
            np.asarray(due, np.float64),
            np.asarray(sent, np.float64),
            np.asarray(done, np.float64),
            np.asarray(outcome, np.uint8),
            tuple(self.errors),
        )
