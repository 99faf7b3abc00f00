"""Measure updates of attributes: their rates, when reads see them, and what a list costs beside them.

    python -m itemlens_bench.speed.updates --models models      # 100,000 items; 10 minutes
    python -m itemlens_bench.speed.updates --models models --items 5000 --bulk 50000 --rounds 2

Made-up items have a price, a stock, tags and users' events. Lists beside updates and without are asked in turns. The
updates come from a process of their own, so that they do not slow the caller's clock.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event as Switch
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from itemlens import Client, Item, ItemUpdate
from itemlens_bench.speed import filters, items
from itemlens_bench.speed.events.freshness import settle
from itemlens_bench.speed.events.rates import CALLERS
from itemlens_bench.speed.ours import Ours
from itemlens_bench.speed.running import running
from itemlens_bench.speed.usage import usage
from itemlens_server.engine.space_list import SpaceList
from itemlens_server.hardware import processor, processor_count

console = Console()
BATCH = 1000
# Updates a second beside lists, and in a call.
RATE, IN_A_CALL = 2000, 20
QUESTION = "price < 50 and in_stock"


def shop(count: int, seed: int) -> Iterator[Item]:
    """Yield items with a price, a stock and tags."""
    rng = random.Random(seed)
    for item in items.made_items(count, seed):
        own = {
            "price": rng.uniform(1, 100),
            "in_stock": rng.random() < 0.8,
            "tags": [f"t{rng.randrange(50)}"],
        }
        yield replace(item, attributes={**item.attributes, **own})


def changes(count: int, of: int, seed: int) -> list[ItemUpdate]:
    """Return updates of random items: a price and a stock."""
    rng = random.Random(seed)
    return [
        ItemUpdate(
            f"made-{rng.randrange(of)}", set={"price": rng.uniform(1, 100), "in_stock": rng.random() < 0.8}
        )
        for _ in range(count)
    ]


def over_a_stream(client: Client, updates: Sequence[ItemUpdate]) -> float:
    """Make updates over one stream in batches of `BATCH`. Return updates a second."""
    began = time.perf_counter()
    client.upload_updates(updates, batch_size=BATCH).raise_for_errors()
    return len(updates) / (time.perf_counter() - began)


def in_calls(client: Client, updates: Sequence[ItemUpdate], size: int, callers: int) -> float:
    """Make updates in calls of `size`, by some threads. Return updates a second."""

    def send(first: int) -> None:
        client.update_items(updates[first : first + size]).raise_for_errors()

    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        for _ in pool.map(send, range(0, len(updates), size)):
            pass
    return len(updates) / (time.perf_counter() - began)


def unseen(client: Client, of: int, asked: int) -> int:
    """Update items one by one, and return how many of the next lists, pages and items do not have the change."""
    missing = 0
    for n in range(asked):
        item_id, price = f"made-{n * 7919 % of}", 1000.0 + n
        client.update_items([ItemUpdate(item_id, set={"price": price})]).raise_for_errors()
        found = [item.item_id for item in client.recommend(text="red", filter=f"price = {price}", k=5)]
        paged = [item.item.item_id for item in client.list_items(filter=f"price = {price}")]
        [stored] = client.get_items([item_id])
        missing += [item_id] != found or [item_id] != paged or stored.item.attributes["price"] != price
    return missing


def update_while(target: str, of: int, on: Switch, off: Switch, made: Synchronized[int]) -> None:
    """Make `RATE` updates a second while `on` is set, until `off` is. made: gets their number."""
    with Client(target) as client:
        while not off.is_set():
            if not on.wait(0.05):
                continue
            due = time.perf_counter()
            while on.is_set():
                client.update_items(changes(IN_A_CALL, of, time.perf_counter_ns())).raise_for_errors()
                made.value += IN_A_CALL
                due += IN_A_CALL / RATE
                time.sleep(max(0.0, due - time.perf_counter()))


@contextmanager
def updating(target: str, of: int) -> Iterator[tuple[Switch, Synchronized[int]]]:
    """Start a process that updates. Yield what turns it on, and the number of its updates."""
    context = multiprocessing.get_context("spawn")
    on, off, made = context.Event(), context.Event(), context.Value("q")
    process = context.Process(target=update_while, args=(target, of, on, off, made), daemon=True)
    process.start()
    try:
        yield on, made
    finally:
        on.clear()
        off.set()
        process.join(60)


def lists(client: Client, users: int, seconds: float, seed: int) -> dict[str, list[float]]:
    """Ask for lists without and with a filter, one after the other. Return the milliseconds of each."""
    rng, end = random.Random(seed), time.perf_counter() + seconds
    found: dict[str, list[float]] = {"": [], QUESTION: []}
    while time.perf_counter() < end:
        for filter, own in found.items():
            user = f"u{rng.randrange(users)}"
            began = time.perf_counter()
            client.recommend(user_id=user, k=10, filter=filter)
            own.append(1000 * (time.perf_counter() - began))
    return found


def beside(client: Client, target: str, given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield the times of lists beside updates and without, in turns."""
    times: dict[tuple[str, bool], list[float]] = {(f, on): [] for f in ("", QUESTION) for on in (False, True)}
    seconds = 0.0
    with updating(target, given.items) as (on, made):
        on.set()
        while not made.value:  # the process has started
            time.sleep(0.05)
        on.clear()
        before = made.value
        for number in range(2 * given.rounds):
            if number % 2:
                on.set()
                began = time.perf_counter()
            for filter, own in lists(client, given.users, given.seconds, number // 2).items():
                times[filter, bool(number % 2)] += own
            if number % 2:
                on.clear()
                seconds += time.perf_counter() - began
            time.sleep(0.3)
        rate = (made.value - before) / seconds
    yield "updates/s beside lists", f"{rate:,.0f}"
    for filter in ("", QUESTION):
        name = f"filter {filter}" if filter else "no filter"
        without, there = (np.asarray(times[filter, on]) for on in (False, True))
        for said, found in (("without updates", without), ("beside them", there)):
            p50, p99 = np.median(found), np.quantile(found, 0.99)
            yield f"Recommend, {name}, {said}, p50 / p99", f"{p50:.1f} / {p99:.1f} ms ({len(found)} calls)"
        yield f"{name}: ratio of p99", f"{np.quantile(there, 0.99) / np.quantile(without, 0.99):.2f}"


def measure(client: Client, target: str, pid: int, given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield what was measured, one figure after the other."""
    bulk = changes(given.bulk, given.items, given.seed)
    half = len(bulk) // 2
    ours, theirs = time.process_time(), usage(pid).cpu_seconds
    yield f"updates/s, a stream of batches of {BATCH}", f"{over_a_stream(client, bulk[:half]):,.0f}"
    ours, theirs = time.process_time() - ours, usage(pid).cpu_seconds - theirs
    spent = (f"{1e6 * seconds / half:.0f}" for seconds in (ours, theirs))
    yield "processor time of such an update, us: client, server", ", ".join(spent)
    yield f"updates/s, calls of {BATCH} by 2 callers", f"{in_calls(client, bulk[half:], BATCH, 2):,.0f}"
    single = changes(given.single, given.items, given.seed + 1)
    yield f"updates/s, calls of 1 by {CALLERS} callers", f"{in_calls(client, single, 1, CALLERS):,.0f}"
    yield f"changes that the next read lacks, of {given.read}", f"{unseen(client, given.items, given.read)}"
    yield from beside(client, target, given)


def main() -> None:
    """Print a table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--bulk", type=int, default=400_000)
    parser.add_argument("--single", type=int, default=10_000)
    parser.add_argument("--read", type=int, default=200, help="updates after each of which it is read")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a turn with or without updates")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--port", type=int, default=50967)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    table = Table(
        "what", "figure", title=f"{given.items:,} items; {processor_count()} processors, {processor()}"
    )
    figures = {}
    with tempfile.TemporaryDirectory() as work:
        models = Path(work) / "models"
        shutil.copytree(given.models, models)
        space = next(iter(SpaceList.read(models).spaces))
        ours = Ours(models, space, Path(work) / "data")
        with running(ours, given.port) as (client, pid):
            console.print("uploading", highlight=False)
            client.upload(shop(given.items, given.seed)).raise_for_errors()
            events = filters.events(items.stored(client, "default"), given.users, given.seed)
            client.upload_events(events).raise_for_errors()
            settle(client)
            for what, figure in measure(client, f"127.0.0.1:{given.port}", pid, given):
                console.print(f"{what}: {figure}", highlight=False)
                table.add_row(what, figure)
                figures[what] = figure
        began = time.perf_counter()
        with running(ours, given.port):
            figures["start again, s"] = f"{time.perf_counter() - began:.1f}"
            table.add_row("start again, s", figures["start again, s"])
    console.print(table)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
