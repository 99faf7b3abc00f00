"""A server that is killed repeatedly under many writers keeps every acknowledged write."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import itemlens
from itemlens import Event, Item, ItemUpdate, NotFound
from support.serving import Server
from support.sizes import size
from support.spaces import Tiny
from support.waiting import until

KILLS = size(3, 100)
WRITERS = 8
ITEMS = 30
GONE = "deleted"
State = tuple[str, object] | str
"""A text and a price, or GONE."""


class Writer:
    """Writes to its own items until the server is gone, and tracks the possible states of each."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.random = random.Random(number)
        self.states: dict[str, set[State]] = defaultdict(lambda: {GONE})
        """By item: the acknowledged state, and, after a call without an answer, the state after that call."""
        self.events_sent, self.events_acknowledged = 0, 0
        self.calls = 0

    def write(self, client: itemlens.Client) -> None:
        """Make calls one after the other, until one fails."""
        while True:
            try:
                self._write_one(client)
            except itemlens.Unavailable:
                return

    def _write_one(self, client: itemlens.Client) -> None:
        item_id = f"{self.number}-{self.random.randrange(ITEMS)}"
        self.calls += 1
        made: set[State]
        match self.random.randrange(6):
            case 0 if self.calls > 1:  # the first makes the collection
                made = {GONE}
                self._expect(item_id, made)
                written = client.delete_items([item_id])
                assert all(result.error is None or isinstance(result.error, NotFound) for result in written)
            case 1 if self.states[item_id] != {GONE}:
                [state] = self.states[item_id]
                made = {(state[0], self.calls)}
                self._expect(item_id, made)
                if self.calls % 2:
                    update = ItemUpdate(item_id, set={"price": self.calls})
                    client.update_items([update]).raise_for_errors()
                else:
                    item = Item(item_id, attributes={"price": self.calls})
                    client.upsert([item], merge=True).raise_for_errors()
            case 2 if self.calls > 1:
                self.events_sent += 3
                events = [Event(f"user-{self.number}", item_id) for _ in range(3)]
                client.record_events(events).raise_for_errors()
                self.events_acknowledged += 3
                return
            case _:
                text = f"red shoe {self.number} {self.calls}"
                made = {(text, None)}
                self._expect(item_id, made)
                client.upsert([Item(item_id, text=text)]).raise_for_errors()
        self.states[item_id] = made

    def _expect(self, item_id: str, made: set[State]) -> None:
        self.states[item_id] = self.states[item_id] | made


@pytest.mark.timeout(size(300, 3600))
def test_every_acknowledged_write_survives_kills_at_random_times(tiny: Tiny, tmp_path: Path) -> None:
    when = random.Random(11)
    writers = [Writer(number) for number in range(WRITERS)]
    for kill in range(KILLS):
        with ThreadPoolExecutor(WRITERS) as threads:
            server = Server(tiny.models, tmp_path)
            client = server.client()
            writing = [threads.submit(writer.write, client) for writer in writers]
            threading.Event().wait(when.uniform(0.0, 1.5))
            if kill == KILLS - 1:
                until(lambda: calls(writers) > KILLS * WRITERS, "each writer made several calls")
            server.kill()
            for future in writing:
                future.result()
            client.close()
        with Server(tiny.models, tmp_path) as again, again.client() as reader:
            check(reader, writers)


def calls(writers: list[Writer]) -> int:
    return sum(writer.calls for writer in writers)


def check(reader: itemlens.Client, writers: list[Writer]) -> None:
    """Check that each item is in a possible state, in the store and in the lists. It is the known state from now on."""
    found: dict[str, State] = {
        stored.item.item_id: (stored.item.texts.get("text", ""), stored.item.attributes.get("price"))
        for stored in reader.list_items(page_size=1000)
        if stored.item is not None
    }
    for writer in writers:
        for item_id, allowed in writer.states.items():
            state = found.get(item_id, GONE)
            assert state in allowed, f"{item_id} is {state}, but was acknowledged as one of {allowed}"
            writer.states[item_id] = {state}
    if found:
        listed = {item.item_id for item in reader.recommend(text="red shoe", k=1000, exact=True)}
        assert listed == set(found)
    recorded = reader.get_collection().event_count
    assert sum(w.events_acknowledged for w in writers) <= recorded <= sum(w.events_sent for w in writers)
    for writer in writers:  # unacknowledged writes are decided now; only their sum is known
        writer.events_sent = writer.events_acknowledged
    writers[0].events_sent = writers[0].events_acknowledged = recorded - sum(
        writer.events_acknowledged for writer in writers[1:]
    )
