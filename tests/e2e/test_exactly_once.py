"""A stream is recorded exactly once, whatever of the server, the ingester and the broker is killed, and when."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from itemlens import EventStream
from itemlens_server.storage.store import FILE
from support.brokers import RedisServer
from support.serving import Server
from support.sizes import size
from support.spaces import Tiny

EVENTS, KILLS = size(4_000, 200_000), size(6, 50)
USERS, ITEMS = 500, 300
POISON = 500
"""One entry of so many is not an event."""


class Feed(Protocol):
    """A stream that grows."""

    arguments: list[str]
    """Of `itemlens ingest`."""

    def add(self, entries: list[str]) -> None: ...
    def kill(self) -> None:
        """Kill the broker, if there is one, and start it again."""


class FileFeed:
    """A file that is written in pieces, which end anywhere in a line."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.jsonl"
        self.path.touch()
        self.arguments = ["file", str(self.path)]
        self._draw, self._pending = random.Random(7), b""

    def add(self, entries: list[str]) -> None:
        data = "".join(f"{entry}\n" for entry in entries).encode()
        cut = self._draw.randrange(len(data))
        with self.path.open("ab") as file:
            file.write(self._pending + data[:cut])
        self._pending = data[cut:]

    def kill(self) -> None:
        with self.path.open("ab") as file:
            file.write(self._pending)
        self._pending = b""


class RedisFeed:
    """A Redis stream."""

    def __init__(self, broker: RedisServer) -> None:
        self._broker, self._busy = broker, threading.Lock()
        self.arguments = ["redis", broker.url, "events"]

    def add(self, entries: list[str]) -> None:
        with self._busy:
            pipeline = self._broker.client.pipeline(transaction=False)
            for entry in entries:
                pipeline.xadd("events", {"json": entry})
            pipeline.execute()

    def kill(self) -> None:
        with self._busy:
            self._broker.kill()
            self._broker.start()


def entries(first: int, last: int) -> Iterator[str]:
    """Events with the numbers from `first` to before `last` as values, and some poison."""
    draw = random.Random(first)
    for n in range(first, last):
        event = {
            "user_id": f"u{draw.randrange(USERS)}", "item_id": f"i{draw.randrange(ITEMS)}",
            "type": draw.choice(["view", "click", "purchase"]), "value": n,
        }  # fmt: skip
        yield json.dumps(event | {"event_id": f"own-{n}"} if n % 3 else event)
        if n % POISON == POISON - 1:
            yield json.dumps({"user_id": "u", "n": n})


def grow(feed: Feed, first: int, last: int) -> None:
    """Add events in 20 pieces, in a second."""
    added = list(entries(first, last))
    step = -(-len(added) // 20)
    for at in range(0, len(added), step):
        feed.add(added[at : at + step])
        time.sleep(0.05)


class Trial:
    """A server and an ingester that are killed while a feed grows."""

    def __init__(self, models: Path, folder: Path, feed: Feed) -> None:
        self.models, self.feed = models, feed
        self.data, self.rejected = folder / "data", folder / "rejected.jsonl"
        self.server = Server(models, self.data)
        self.port = self.server.port
        with self.server.client() as client:
            client.create_collection("shop")
        self.ingester = self.ingest("--follow")

    def close(self) -> None:
        """End what a failed test has left."""
        self.ingester.kill()
        self.ingester.wait()
        if self.ingester.stdout is not None:
            self.ingester.stdout.close()
        self.server.kill()

    def ingest(self, *flags: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "itemlens_cli",
            "ingest",
            *self.feed.arguments,
            "--collection",
            "shop",
        ]
        command += ["--target", f"127.0.0.1:{self.port}", "--rejected", str(self.rejected), *flags]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def stream(self) -> EventStream | None:
        with self.server.client(collection="shop") as client:
            return next(iter(client.list_streams()), None)

    def wait_for(self, events: float) -> None:
        """Wait until so many events are recorded, or a minute."""
        with self.server.client(collection="shop") as client:
            for _ in range(3000):
                if sum(stream.event_count for stream in client.list_streams()) >= events:
                    return
                time.sleep(0.02)

    def kill(self, what: int) -> None:
        """Kill the server, the ingester or both, and the broker some of the time."""
        if what != 0:
            self.server.kill()
        if what != 1:
            self.ingester.kill()
            self.ingester.communicate()
        if what == 2:
            self.feed.kill()
        if what != 0:
            self.server = Server(self.models, self.data, "--listen", f"127.0.0.1:{self.port}")
        if what != 1:
            self.ingester = self.ingest("--follow")

    def finish(self) -> str:
        """Let a last run record what is left. Return what it says."""
        self.ingester.kill()
        self.ingester.communicate()
        self.feed.kill()
        last = self.ingest()
        output, _ = last.communicate(timeout=size(120, 1200))
        assert last.returncode in (0, 3), output
        return output


def run(trial: Trial, events: int, kills: int) -> None:
    """Record `events` through `kills`, and check that each is there once."""
    with contextlib.closing(trial):
        check(trial, events, kills)


def check(trial: Trial, events: int, kills: int) -> None:
    draw = random.Random(5)
    for kill in range(kills):
        first, last = kill * events // kills, (kill + 1) * events // kills
        growing = threading.Thread(target=grow, args=(trial.feed, first, last))
        growing.start()
        # Kills are spread over the whole stream. Some come at once, while what was killed before is starting.
        if draw.randrange(4):
            trial.wait_for(draw.uniform(first, last) - 50)
        time.sleep(draw.uniform(0, 0.2))
        trial.kill(kill % 3)
        growing.join()
    print(trial.finish())
    stream = trial.stream()
    assert stream is not None and stream.lag == 0
    with trial.server.client(collection="shop") as client:
        assert client.get_collection().event_count == stream.event_count == events
    assert trial.server.stop() == 0
    stored = Counter(value for (value,) in rows(trial.data, "SELECT value FROM events"))
    assert set(stored) == set(range(events)), "some were lost"
    assert max(stored.values()) == 1, "some were recorded twice"
    poison = {json.loads(line)["content"] for line in trial.rejected.read_text().splitlines()}
    assert len(poison) == events // POISON
    verify = [sys.executable, "-m", "itemlens_cli", "catalog", "verify", "--data", str(trial.data)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "equal" in done.stdout, done.stdout


def rows(data: Path, query: str) -> list[tuple[float]]:
    connection = sqlite3.connect(data / FILE)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.mark.timeout(size(600, 3600))
def test_a_file_through_kills_of_server_and_ingester(tiny: Tiny, tmp_path: Path) -> None:
    run(Trial(tiny.models, tmp_path, FileFeed(tmp_path)), EVENTS, KILLS)


@pytest.mark.timeout(size(600, 3600))
def test_a_redis_stream_through_kills_of_server_ingester_and_broker(tiny: Tiny, tmp_path: Path) -> None:
    broker = RedisServer(tmp_path)
    try:
        run(Trial(tiny.models, tmp_path, RedisFeed(broker)), size(1_500, 50_000), size(3, 30))
    finally:
        broker.close()
