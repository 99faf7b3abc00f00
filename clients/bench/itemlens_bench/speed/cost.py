"""What it costs Recommend that answers are remembered: servers with the same items, one of which remembers.

    python -m itemlens_bench.speed.answers_cost --models models

They are asked in turns, a block of calls each, because the machine's speed changes; blocks are paired. Two servers do
not remember: what they differ in is noise. The processor time is that of the server's process, its background
threads included.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from itemlens import Client, Event, Item
from itemlens_bench.speed.ours import Ours
from itemlens_bench.speed.usage import usage
from itemlens_server.engine.space_list import SpaceList

WORDS = (
    *(
        "red",
        "blue",
        "green",
        "light",
        "heavy",
        "small",
        "large",
        "wool",
        "cotton",
        "leather",
        "steel",
        "wooden",
    ),
    *(
        "classic",
        "modern",
        "garden",
        "kitchen",
        "winter",
        "summer",
        "shoe",
        "boot",
        "tent",
        "kettle",
        "lamp",
        "hat",
    ),
)
USERS, HISTORY, K = 200, 10, 10
OFF = {"answers_bytes": "0"}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Running:
    """A server that runs, and its client."""

    client: Client
    pid: int

    def block(self, calls: int, callers: int, seed: int) -> tuple[Floats, float]:
        """Ask as `callers` at once. Return the milliseconds of each call, float64 [calls], and the server's processor
        milliseconds a call."""
        users = np.random.default_rng(seed).integers(0, USERS, calls)

        def ask(user: int) -> float:
            began = time.perf_counter()
            self.client.recommend(f"u{user}", k=K, surface="home")
            return 1000 * (time.perf_counter() - began)

        before = usage(self.pid).cpu_seconds
        with ThreadPoolExecutor(callers) as pool:
            latencies = np.asarray(list(pool.map(ask, users.tolist())))
        return latencies, 1000 * (usage(self.pid).cpu_seconds - before) / calls


@contextmanager
def running(
    models: Path, space: str, folder: Path, port: int, settings: Mapping[str, str]
) -> Iterator[Running]:
    """Start a server for the duration of the block."""
    process = Ours(models, space, folder, settings).start(port)
    try:
        with Client(f"127.0.0.1:{port}", timeout=600) as client:
            yield Running(client, process.pid)
    finally:
        process.terminate()
        process.wait(60)


def fill(client: Client, items: int) -> None:
    """Add items of random words, and users with events."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 5)) for _ in range(items)]
    client.upload(Item(f"item-{n}", text=text) for n, text in enumerate(texts)).raise_for_errors()
    client.upload_events(
        Event(f"u{u}", f"item-{i}", "purchase") for u in range(USERS) for i in rng.integers(0, items, HISTORY)
    ).raise_for_errors()


def main() -> None:
    """Print the cost at 1 and at 16 callers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--blocks", type=int, default=100)
    parser.add_argument("--calls", type=int, default=50, help="calls of a block")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--port", type=int, default=50951)
    given = parser.parse_args()
    space = next(iter(SpaceList.read(given.models).spaces))
    with tempfile.TemporaryDirectory() as work, ExitStack() as stack:
        filled = Path(work) / "filled"
        with running(given.models, space, filled, given.port, OFF) as server:
            fill(server.client, given.items)
        servers = {}
        for n, (name, settings) in enumerate({"kept": {}, "off": OFF, "off again": OFF}.items()):
            folder = Path(work) / name
            shutil.copytree(filled, folder)
            servers[name] = stack.enter_context(
                running(given.models, space, folder, given.port + n, settings)
            )
        for callers in given.callers:
            for server in servers.values():
                server.block(given.calls, callers, 0)
            rows = np.zeros((given.blocks, len(servers), 3))
            for block in range(given.blocks):
                for turn in range(len(servers)):
                    n = (turn + block) % len(servers)
                    latencies, cpu = list(servers.values())[n].block(given.calls, callers, block)
                    rows[block, n] = np.median(latencies), np.quantile(latencies, 0.99), cpu
            print(f"{callers} callers, {given.blocks} blocks of {given.calls} calls each")
            show(rows)


def show(rows: Floats) -> None:
    """Print means over the blocks, float64 [blocks, servers, 3 figures], and their ratios to those of the second
    server, with 95% intervals by bootstrap over blocks."""
    drawn = np.random.default_rng(0).integers(0, len(rows), (2000, len(rows)))
    for n, figure in enumerate(("p50, ms", "p99, ms", "processor ms a call")):
        kept, off, again = rows[:, :, n].T
        for name, values in (("kept", kept), ("off again", again)):
            low, high = np.quantile(values[drawn].mean(1) / off[drawn].mean(1), (0.025, 0.975))
            print(
                f"  {figure}: {name} {values.mean():.3f}, off {off.mean():.3f}; "
                f"ratio {values.mean() / off.mean():.3f} ({low:.3f} - {high:.3f})"
            )


if __name__ == "__main__":
    main()
