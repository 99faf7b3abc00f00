"""Events recorded a second: in batches, and one by one by many callers. Counts are kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from itemlens import Client, Event

BATCH = 1000
CALLERS = 16


def in_batches(client: Client, events: Sequence[Event]) -> float:
    """Record events in calls of `BATCH`, one after the other. Return events a second."""
    began = time.perf_counter()
    for first in range(0, len(events), BATCH):
        client.record_events(events[first : first + BATCH]).raise_for_errors()
    return len(events) / (time.perf_counter() - began)


def one_by_one(client: Client, events: Sequence[Event]) -> float:
    """Record events in calls of one, by `CALLERS` threads. Return events a second."""

    def record(event: Event) -> None:
        client.record_events([event]).raise_for_errors()

    began = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        for _ in pool.map(record, events):
            pass
    return len(events) / (time.perf_counter() - began)
