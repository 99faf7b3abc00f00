"""How long a server with many events takes to start, with its file of counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from subprocess import Popen

from itemlens import Client
from itemlens_bench.speed.events.freshness import wait_until
from itemlens_bench.speed.events.made_up import Shop
from itemlens_server.storage import writes
from itemlens_server.storage.records import EventRecord
from itemlens_server.storage.store import Store

AT_A_TIME = 50_000
PURCHASE = 5

Start = Callable[[], "Popen[bytes]"]


def fill(folder: Path, shop: Shop) -> None:
    """Write the events of a shop into the store of a stopped server, which has its items, without counts."""
    store = Store(folder)
    try:
        [collection] = store.reader().collections()
        users, items = (column.tolist() for column in shop.taken())
        pairs = enumerate(zip(users, items, strict=True))
        while batch := list(islice(pairs, AT_A_TIME)):
            events = [
                EventRecord(f"e{n}", f"u{user}", f"item-{item:06}", PURCHASE, 1.7e9 + 60.0 * n)
                for n, (user, item) in batch
            ]
            store.write(partial(writes.record_events, collection=collection.id, events=events))
    finally:
        store.close()


def _known(client: Client) -> bool:
    """Whether the lists use all events."""
    found = client.get_collection()
    return found.behaviour_sequence_number >= found.sequence_number


def first_and_second(start: Start, address: str, folder: Path) -> tuple[float, float, float]:
    """Start a server over a store without counts, let it count the events and save that, stop it, and start it again.

    Returns:
        Seconds until it serves the first time, until the counts are there, and until it serves the second time.
    """
    began = time.perf_counter()
    process = start()
    serves = time.perf_counter() - began
    with Client(address, timeout=600) as client:
        wait_until(lambda: _known(client), began)
        counted = time.perf_counter() - began
        wait_until(lambda: any(folder.glob("collections/*/behaviour.npz")), time.perf_counter())
    process.terminate()
    process.wait(600)
    began = time.perf_counter()
    process = start()
    again = time.perf_counter() - began
    process.terminate()
    process.wait(600)
    return serves, counted, again
