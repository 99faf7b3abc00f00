"""One server with one catalogue: filled, asked, written to, and started again, under watch."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from itemlens import Client, Lexical
from itemlens_bench.speed.ours import Ours
from itemlens_bench.speed.sizing.catalogues import Catalogue, write_fitted, write_space
from itemlens_server.config import Settings
from itemlens_server.index.segments import MANIFEST
from itemlens_bench.speed.sizing.memory import Watch, memory, on_disk

MIB = 1 << 20
# Caches small enough to be full after some hundred lists.
SETTINGS = {
    "recommendation_memory_bytes": 16 * MIB,
    "user_memory_bytes": 8 * MIB,
    "embedding_cache_bytes": 8 * MIB,
    "answers_bytes": 16 * MIB,
}
CALLERS = 4
LISTS = 2000
SHARE_WRITTEN = 0.02
SEGMENT_ROWS: int = Settings.model_fields["segment_rows"].default
GIVE_UP_SECONDS = 1200.0


@dataclass(frozen=True)
class Measured:
    """Bytes: the most memory and disk by phase, and what stays when the server has nothing to do."""

    memory: Mapping[str, int]
    steady: Mapping[str, int]
    disk: Mapping[str, int]
    disk_steady: int
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def peak(self) -> int:
        return max(self.memory.values())


def settle(client: Client, folder: Path) -> None:
    """Wait until the server has nothing left to do: what it derives is computed and saved."""
    quiet, began = 0.0, time.monotonic()
    seen: object = None
    while quiet < 6.0:
        time.sleep(0.5)
        files = sorted((str(p), p.stat().st_mtime_ns) for p in folder.glob("collections/*/*") if p.exists())
        known = client.get_collection()
        now = (files, known.behaviour_sequence_number)
        due = (known.event_count >= 100 and not known.behaviour_sequence_number) or waiting_rows(folder, known.item_count)
        quiet = 0.0 if now != seen or due else quiet + 0.5
        seen = now
        if time.monotonic() > began + GIVE_UP_SECONDS:
            raise TimeoutError("the server goes on computing")


def waiting_rows(folder: Path, items: int) -> bool:
    """Whether so many items are in no graph yet that the server is building one."""
    rows = 0
    for manifest in folder.glob(f"collections/*/graphs-*/{MANIFEST}"):
        if manifest.parent.suffix:
            continue
        with suppress(FileNotFoundError):
            snapshot = json.loads(manifest.read_text(encoding="utf-8"))["snapshot"]
            rows = max(rows, sum(segment["rows"] for segment in snapshot["segments"]))
    return items - rows >= max(SEGMENT_ROWS, items // 10)


def ask_and_write(client: Client, of: Catalogue, lists: int) -> None:
    """Ask for lists of users and of pasts from several callers, while items and events are written."""

    def ask(number: int) -> None:
        rng = random.Random(number)
        if of.users and number % 2:
            client.recommend(f"user-{rng.randrange(of.users):06}", k=10)
        else:
            client.recommend(history=[of.id_of(rng.randrange(of.items)) for _ in range(10)], k=10)

    with ThreadPoolExecutor(CALLERS + 1) as pool:
        written = pool.submit(write_again, client, of)
        for _ in pool.map(ask, range(lists)):
            pass
        written.result()


def write_again(client: Client, of: Catalogue) -> None:
    """Replace a share of the items by others of the same ids, and record a share of the events again."""
    count = max(int(of.items * SHARE_WRITTEN), 1)
    client.upload(list(islice(replace(of, seed=of.seed + 1).catalogue(), count))).raise_for_errors()
    if of.events:
        events = list(islice(of.history(seed=2), int(of.events * SHARE_WRITTEN)))
        client.upload_events(events).raise_for_errors()


def measure(of: Catalogue, folder: Path, port: int, say: Callable[[str], None]) -> Measured:
    """Measure a server that holds a catalogue."""
    models, data = folder / "models", folder / "data"
    space = write_space(models, of)
    ours = Ours(models, space, data, {name: str(value) for name, value in SETTINGS.items()})
    peaks: dict[str, int] = {}
    disk: dict[str, int] = {}
    steady: dict[str, int] = {}
    seconds: dict[str, float] = {}

    @contextmanager
    def server() -> Iterator[tuple[Client, Watch, int]]:
        process = ours.start(port)
        with Watch(process.pid, data) as watch:
            try:
                with Client(f"127.0.0.1:{port}", timeout=600) as client:
                    yield client, watch, process.pid
            finally:
                process.terminate()
                process.wait(600)
        for found, into in ((watch.memory, peaks), (watch.disk, disk)):
            for phase, size in found.items():
                into[phase] = max(into.get(phase, 0), size)

    @contextmanager
    def phase(watch: Watch, name: str) -> Iterator[None]:
        began = time.monotonic()
        with watch.phase(name):
            yield
        seconds[name] = time.monotonic() - began
        os.system(f"for p in {watch._pid} $(pgrep -P {watch._pid}); do echo $p $(grep -E 'VmHWM|VmRSS|RssAnon' /proc/$p/status); done")
        say(f"{of.name}, {name}: {seconds[name]:.0f} s, {watch.memory[name] / MIB:,.0f} MiB")

    with server() as (client, watch, pid):
        time.sleep(1)
        steady["empty"] = memory(pid)
        with phase(watch, "load"):
            client.create_collection("default", lexical=None if of.dims else Lexical())
            client.upload(of.catalogue()).raise_for_errors()
            if of.events:
                client.upload_events(of.history()).raise_for_errors()
            settle(client, data)
        steady["loaded"] = memory(pid)
        if of.fitted:
            with phase(watch, "fit"):
                client.update_collection("default", space=write_fitted(models, space))
                settle(client, data)
            steady["fitted"] = memory(pid)
        with phase(watch, "serve"):
            ask_and_write(client, of, LISTS)
            settle(client, data)
        steady["served"] = memory(pid)
    disk_steady = on_disk(data)
    began = time.monotonic()
    with server() as (client, watch, pid):
        seconds["start"] = time.monotonic() - began
        with phase(watch, "again"):
            settle(client, data)
            ask_and_write(client, of, LISTS // 2)
            settle(client, data)
        steady["again"] = memory(pid)
    return Measured(peaks, steady, disk, disk_steady, seconds)
