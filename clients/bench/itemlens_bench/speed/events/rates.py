"""Events recorded a second: in batches, and one by one by many callers. Counts are kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from itemlens import Client, Event

BATCH = 1000
CALLERS = 16
# Events of one turn.
TURN = 20_000


def in_batches(client: Client, events: Sequence[Event], callers: int = 1) -> float:
    """Record events in calls of `BATCH` by some threads. Return events a second."""

    def record(first: int) -> None:
        client.record_events(events[first : first + BATCH]).raise_for_errors()

    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        for _ in pool.map(record, range(0, len(events), BATCH)):
            pass
    return len(events) / (time.perf_counter() - began)


def in_turns(client: Client, events: Sequence[Event], callers: Sequence[int]) -> list[float]:
    """Record events in batches by some numbers of callers in turns, so that all meet the same histories. Return events
    a second by each number, over all its turns."""
    seconds, counts = [0.0] * len(callers), [0] * len(callers)
    for turn, first in enumerate(range(0, len(events), TURN)):
        some, which = events[first : first + TURN], turn % len(callers)
        seconds[which] += len(some) / in_batches(client, some, callers[which])
        counts[which] += len(some)
    return [count / s for count, s in zip(counts, seconds, strict=True)]


def one_by_one(client: Client, events: Sequence[Event]) -> float:
    """Record events in calls of one, by `CALLERS` threads. Return events a second."""

    def record(event: Event) -> None:
        client.record_events([event]).raise_for_errors()

    began = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        for _ in pool.map(record, events):
            pass
    return len(events) / (time.perf_counter() - began)
