"""Counts through kills of a real server: what is kept of them equals a count of all acknowledged events."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import itemlens
from itemlens_server.fusion.counts.comparison import differences
from itemlens_server.services.live_counts import COLLECTIONS, recount, saved_counts
from itemlens_server.storage.store import Store
from support.serving import Server
from support.sizes import size
from support.spaces import Tiny
from support.waiting import until

KILLS = size(4, 40)
USERS, ITEMS, RECORDERS = 30, 40, 3


def record(server: Server, seed: int, recorded: list[str]) -> None:
    """Record events, until the server is gone. `recorded` gets their ids."""
    rng = np.random.default_rng(seed)
    try:
        with server.client() as client:
            while True:
                kind = itemlens.EventType.PURCHASE if rng.random() < 0.8 else itemlens.EventType.IMPRESSION
                events = [
                    itemlens.Event(f"u{rng.integers(USERS)}", f"i{rng.integers(ITEMS)}", kind)
                    for _ in range(rng.integers(1, 40))
                ]
                client.record_events(events)
                recorded += [event.event_id for event in events]
    except itemlens.Unavailable:
        return


def remove(server: Server, seed: int, recorded: list[str], over: threading.Event) -> None:
    """Delete events and users and merge users, until `over` is set or the server is gone. Each deletes the file."""
    rng = np.random.default_rng(seed)
    try:
        with server.client() as client:
            while not over.wait(0.05):
                source, target = (f"u{user}" for user in rng.choice(USERS, 2, replace=False))
                what = rng.random()
                if what < 0.05:
                    client.delete_user(source)
                elif what < 0.3:
                    client.merge_users(source, target)
                elif recorded:
                    client.delete_events(rng.choice(tuple(recorded), 3).tolist())
    except itemlens.Unavailable:
        return


def grown(values: list[str], known: int) -> bool:
    return len(values) > known


@pytest.mark.timeout(size(300, 3600))
def test_through_kills_they_equal_a_recount(tiny: Tiny, tmp_path: Path) -> None:
    data, when = tmp_path / "data", np.random.default_rng(3)
    for kill in range(KILLS):
        recorded: list[str] = []
        over = threading.Event()
        with ThreadPoolExecutor(RECORDERS + 1) as threads, Server(tiny.models, data) as server:
            if not kill:
                with server.client() as client:
                    client.upsert([itemlens.Item("i0", text="red shoe")]).raise_for_errors()
            reader = Store.read_only(data)
            [collection] = reader.collections()
            recording = [threads.submit(record, server, 10 * kill + n, recorded) for n in range(RECORDERS)]
            removing = threads.submit(remove, server, 10 * kill + RECORDERS, recorded, over)
            threading.Event().wait(when.uniform(0.5, 2.0))
            if kill % 2 == 0:
                # Beside a file that no deletion takes away, with events after it. The other kills come at any time.
                over.set()
                removing.result()
                until(partial(reader.counts_mark, collection.id), "a file of counts was written")
                until(partial(grown, recorded, len(recorded)), "events were recorded after it")
            server.kill()
            for thread in (*recording, removing):
                thread.result()
        kept = saved_counts(reader, collection.id, data / COLLECTIONS / str(collection.id))
        assert kept is not None or kill % 2
        if kept is not None:
            counts, kinds = kept
            assert differences(counts.counted(), recount(reader, collection.id, kinds)) == []
            assert counts.histories.events > 0
