"""One server with one catalogue: filled, fitted, asked, written to, and started again, under watch."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from itemlens import Client, Lexical
from itemlens_bench.speed.ours import Ours
from itemlens_bench.speed.sizing import spaces
from itemlens_bench.speed.sizing.catalogues import Catalogue
from itemlens_bench.speed.sizing.memory import Watch, memory, on_disk
from itemlens_bench.speed.usage import usage
from itemlens_server.config import Settings
from itemlens_server.index.segments import MANIFEST

MIB = 1 << 20
# Caches small enough to be full after some hundred lists.
CACHE = 4 * MIB
SETTINGS = Settings(
    recommendation_memory_bytes=CACHE,
    user_memory_bytes=CACHE,
    embedding_cache_bytes=CACHE,
    answers_bytes=CACHE // 16,
)
SEGMENT_ROWS: int = Settings.model_fields["segment_rows"].default
MINIMUM_EVENTS = 100
CALLERS = 4
LISTS = 1000
SERVED, AGAIN = "serve", "start again"
SHARE_WRITTEN = 0.02
QUIET_SECONDS, LOOK_SECONDS, GIVE_UP_SECONDS = 4.0, 0.5, 1200.0


@dataclass
class Measured:
    """Bytes of memory and disk: the most by phase, and after a phase, when the server has nothing to do.

    list_seconds: processor time of a list. seconds: of the phases
    """

    memory: dict[str, int] = field(default_factory=dict)
    disk: dict[str, int] = field(default_factory=dict)
    memory_after: dict[str, int] = field(default_factory=dict)
    disk_after: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    list_seconds: float = 0.0

    @property
    def peak(self) -> int:
        """The most bytes of memory of all phases."""
        return max(self.memory.values())

    def take(self, watch: Watch) -> None:
        """Take over the most of each phase."""
        for own, found in ((self.memory, watch.memory), (self.disk, watch.disk)):
            for phase, size in found.items():
                own[phase] = max(own.get(phase, 0), size)


@dataclass(frozen=True)
class _Running:
    """A server that is watched."""

    client: Client
    watch: Watch
    pid: int
    data: Path


def measure(of: Catalogue, folder: Path, port: int, say: Callable[[str], None] = lambda _: None) -> Measured:
    """Measure a server that holds a catalogue, in an empty folder. say: gets a line on each phase"""
    models, data, found = folder / "models", folder / "data", Measured()
    space = spaces.write(models, of)
    settings = {name: str(getattr(SETTINGS, name)) for name in SETTINGS.model_fields_set}
    ours = Ours(models, space, data, settings)

    @contextmanager
    def phase(running: _Running, name: str) -> Iterator[Client]:
        began = time.monotonic()
        with running.watch.phase(name):
            yield running.client
            settle(running.client, data)
        found.take(running.watch)
        found.seconds[name] = time.monotonic() - began
        found.memory_after[name], found.disk_after[name] = memory(running.pid), on_disk(data)
        told = (
            f"at most {found.memory[name] / MIB:,.0f} MiB, {found.memory_after[name] / MIB:,.0f} afterwards"
        )
        say(f"{of.name}, {name}: {found.seconds[name]:.0f} s, {told}")

    with _running(ours, port) as running:
        with phase(running, "load") as client:
            client.create_collection("default", lexical=Lexical() if of.has_texts else None)
            client.upload(of.catalogue()).raise_for_errors()
            client.upload_events(of.history()).raise_for_errors()
        if of.fitted:
            with phase(running, "fit") as client:
                client.update_collection("default", space=spaces.write_fitted(models, space, 1))
        with phase(running, SERVED) as client, ThreadPoolExecutor(1) as writer:
            written = writer.submit(write_more, client, of)
            ask(client, of, LISTS)
            written.result()
        if of.fitted:
            with phase(running, "fit again") as client:
                client.update_collection("default", space=spaces.write_fitted(models, space, 2))
    with _running(ours, port) as running, phase(running, AGAIN) as client:
        settle(client, data)
        before = usage(running.pid).cpu_seconds
        ask(client, of, LISTS // 2)
        found.list_seconds = (usage(running.pid).cpu_seconds - before) / (LISTS // 2)
    return found


@contextmanager
def _running(ours: Ours, port: int) -> Iterator[_Running]:
    process = ours.start(port)
    try:
        with (
            Watch(process.pid, ours.folder) as watch,
            Client(f"127.0.0.1:{port}", timeout=600) as client,
        ):
            yield _Running(client, watch, process.pid, ours.folder)
    finally:
        process.terminate()
        process.wait(600)


def settle(client: Client, folder: Path) -> None:
    """Wait until the server has computed and saved what it derives.

    Raises:
        TimeoutError: it takes too long.
    """
    quiet, before, until = 0.0, None, time.monotonic() + GIVE_UP_SECONDS
    while quiet < QUIET_SECONDS:
        if time.monotonic() > until:
            raise TimeoutError("the server goes on computing")
        time.sleep(LOOK_SECONDS)
        known = client.get_collection()
        counts = known.event_count >= MINIMUM_EVENTS
        busy = counts and known.behaviour_sequence_number < known.sequence_number
        busy |= known.item_count - graph_rows(folder) >= max(SEGMENT_ROWS, known.item_count // 10)
        files = {path: path.stat().st_mtime_ns for path in folder.glob("collections/*/*") if path.exists()}
        quiet = 0.0 if busy or files != before else quiet + LOOK_SECONDS
        before = files


def graph_rows(folder: Path) -> int:
    """Number of rows in the saved graphs of a server with one collection."""
    newest, rows = 0.0, 0
    for manifest in folder.glob(f"collections/*/graphs-*/{MANIFEST}"):
        with suppress(FileNotFoundError):  # a new snapshot takes its place
            if not manifest.parent.suffix and manifest.stat().st_mtime > newest:
                snapshot = json.loads(manifest.read_text(encoding="utf-8"))["snapshot"]
                newest = manifest.stat().st_mtime
                rows = sum(segment["rows"] for segment in snapshot["segments"])
    return rows


def ask(client: Client, of: Catalogue, lists: int) -> None:
    """Ask for lists of users and of pasts in turns, from several callers."""

    def ask_one(number: int) -> None:
        rng = random.Random(number)
        if of.users and number % 2:
            client.recommend(of.user_id(rng.randrange(of.users)), k=10)
        else:
            client.recommend(history=[of.item_id(rng.randrange(of.items)) for _ in range(10)], k=10)

    with ThreadPoolExecutor(CALLERS) as pool:
        for _ in pool.map(ask_one, range(lists)):
            pass


def write_more(client: Client, of: Catalogue) -> None:
    """Replace a share of the items by others of the same ids, then record events."""
    other = replace(of, seed=of.seed + 1)
    client.upload(islice(other.catalogue(), int(of.items * SHARE_WRITTEN))).raise_for_errors()
    client.upload_events(islice(other.history(), int(of.events * SHARE_WRITTEN))).raise_for_errors()
