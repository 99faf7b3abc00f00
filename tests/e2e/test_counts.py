"""Counts through kills of a real server: what is kept of them equals a count of all acknowledged events."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np

import itemlens
from itemlens_server.fusion.counts.comparison import differences
from itemlens_server.services.live_counts import COLLECTIONS, recount, saved_counts
from itemlens_server.storage.store import Store
from support.serving import Server
from support.sizes import size
from support.spaces import Tiny

KILLS = size(4, 40)


def write(server: Server, seed: int) -> None:
    """Record, delete and merge, until the server is gone."""
    rng = np.random.default_rng(seed)
    recorded: list[str] = []
    try:
        with server.client() as client:
            while True:
                kind = itemlens.EventType.PURCHASE if rng.random() < 0.8 else itemlens.EventType.IMPRESSION
                events = [
                    itemlens.Event(f"u{rng.integers(0, 30)}", f"i{rng.integers(0, 40)}", kind)
                    for _ in range(rng.integers(1, 40))
                ]
                client.record_events(events)
                recorded += [event.event_id for event in events]
                if rng.random() < 0.05:
                    client.delete_events(rng.choice(recorded, 3).tolist())
                if rng.random() < 0.02:
                    source, target = rng.choice(30, 2, replace=False)
                    client.merge_users(f"u{source}", f"u{target}")
                if rng.random() < 0.005:
                    client.delete_user(f"u{rng.integers(0, 30)}")
    except itemlens.Unavailable:
        return


def test_through_kills_they_equal_a_recount(tiny: Tiny, tmp_path: Path) -> None:
    data, used = tmp_path / "data", 0
    for kill in range(KILLS):
        with Server(tiny.models, data) as server:
            if not kill:
                with server.client() as client:
                    client.upsert([itemlens.Item("i0", text="red shoe")]).raise_for_errors()
            writers = [threading.Thread(target=write, args=(server, 10 * kill + n)) for n in range(3)]
            for writer in writers:
                writer.start()
            time.sleep(3.0 + kill / 3)
            server.kill()
            for writer in writers:
                writer.join()
        reader = Store.read_only(data)
        [collection] = reader.collections()
        kept = saved_counts(reader, collection.id, data / COLLECTIONS / str(collection.id))
        if kept is not None:
            counts, kinds = kept
            used += 1
            assert differences(counts.counted(), recount(reader, collection.id, kinds)) == []
            assert counts.histories.events > 0
    assert used
