"""Measure live behaviour with a made-up shop.

    python -m itemlens_bench.speed.events --models models                        # all but the start; 10 minutes
    python -m itemlens_bench.speed.events --models models --start-events 10000000

The spaces in `models` are copied. A server without the user to be forgotten is filled and fitted first. A second one,
over the same space, is filled while the rates are measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from itemlens import Client
from itemlens_bench.speed.events import forgetting, freshness, rates, start
from itemlens_bench.speed.events.made_up import Shop, purchase
from itemlens_bench.speed.ours import Ours
from itemlens_bench.speed.running import running
from itemlens_bench.speed.usage import usage
from itemlens_server.engine.space_list import SpaceList
from itemlens_server.hardware import processor, processor_count

console = Console()
# Calls with batches of events at a time.
BATCH_CALLERS = (1, 2)


def fill(client: Client, shop: Shop) -> None:
    """Upload the items."""
    client.upload(shop.catalogue()).raise_for_errors()


def fitted(models: Path, folder: Path, port: int) -> str:
    """Fit the collection of a running server. Return the id of its new space."""
    command = [sys.executable, "-m", "itemlens_cli", "fit", "--force", "--models", str(models)]
    command += ["--data", str(folder), "--target", f"127.0.0.1:{port}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with Client(f"127.0.0.1:{port}") as client:
        return client.get_collection().space_id


def percentiles(values: freshness.Floats) -> str:
    """Return the median and the 99th percentile."""
    return f"{np.median(values):.1f} / {np.quantile(values, 0.99):.1f} ms ({len(values)} calls)"


def measure(models: Path, folder: Path, shop: Shop, given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield what was measured, one figure after the other."""
    events = list(shop.history())
    space = next(iter(SpaceList.read(models).spaces))
    with running(Ours(models, space, folder / "never"), given.port) as (never, _):
        fill(never, shop)
        rates.in_batches(never, events)
        freshness.settle(never, freshness.LONGEST_FIT)
        console.print(f"{shop.items:,} items, {len(events):,} events; fitting", highlight=False)
        space = fitted(models, folder / "never", given.port)
        with running(Ours(models, space, folder / "own"), given.port + 1) as (client, pid):
            fill(client, shop)
            before = usage(pid).rss_bytes
            all_events = list(forgetting.with_the_user(shop, events))
            recorded = rates.in_turns(client, all_events, BATCH_CALLERS)
            for callers, rate in zip(BATCH_CALLERS, recorded, strict=True):
                yield f"events/s, calls of {rates.BATCH}, {callers} at a time", f"{rate:,.0f}"
            yield "the server's memory for them, MB", f"{(usage(pid).rss_bytes - before) / 1e6:,.0f}"
            freshness.settle(never)
            freshness.settle(client)
            users = [f"u{n}" for n in range(0, shop.users, max(shop.users // given.compared, 1))]
            seconds, other, differing = forgetting.forget(client, never, users)
            yield (
                f"a user with {forgetting.THEIR_EVENTS} of the events is deleted: other answers before / after, "
                f"of {len(users)}; seconds",
                f"{other} / {differing}; {seconds:.1f}",
            )
    with running(Ours(models, space, folder / "own"), given.port + 1) as (client, pid):
        freshness.settle(client, freshness.LONGEST_FIT)
        found = []
        for number in range(given.rounds):
            found.append(freshness.seen(client, shop, number))
            freshness.settle(client, freshness.LONGEST_FIT)
        yield (
            "an event and the next read of another user's list, ms",
            f"{np.median([s.read for s in found]):.1f}",
        )
        yield (
            "parts that changed at the next read, in every round",
            ", ".join(sorted(frozenset.intersection(*(s.kinds for s in found)))),
        )
        waits = [s.behaviour for s in found]
        yield "until BEHAVIOUR changed, s: median, most", f"{np.median(waits):.1f}, {max(waits):.1f}"
        computing, quiet = freshness.computing_and_not(client, shop, given.rounds)
        yield "Recommend, p50 / p99, while BEHAVIOUR is computed", percentiles(computing)
        yield "the same, while it is not", percentiles(quiet)
        ratio = np.quantile(computing, 0.99) / np.quantile(quiet, 0.99)
        yield "ratio of p99", f"{ratio:.2f}"
        single = [
            purchase(f"u{n % shop.users}", event.item_id, 10 * shop.events + n)
            for n, event in enumerate(events[: given.single])
        ]
        yield f"events/s, calls of 1 by {rates.CALLERS} callers", f"{rates.one_by_one(client, single):,.0f}"
    if given.start_events:
        yield from _start(models, space, folder / "many", shop, given)


def _start(
    models: Path, space: str, folder: Path, shop: Shop, given: argparse.Namespace
) -> Iterator[tuple[str, str]]:
    many = Shop(shop.items, given.start_users, given.start_events)
    ours = Ours(models, space, folder)
    with running(ours, given.port) as (client, _):
        fill(client, shop)
    start.fill(folder, many)
    serves, counted, again = start.first_and_second(
        partial(ours.start, given.port), f"127.0.0.1:{given.port}", folder
    )
    yield f"start with {many.events:,} events of {many.users:,} users, s", f"{again:.1f}"
    yield (
        "the same without a file of counts: serves / lists use the events, s",
        f"{serves:.1f} / {counted:.1f}",
    )


def main() -> None:
    """Print a table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--items", type=int, default=6000)
    parser.add_argument("--users", type=int, default=2400)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--compared", type=int, default=300, help="users whose answers are compared")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--single", type=int, default=20_000, help="events in calls of one")
    parser.add_argument("--start-events", type=int, default=0)
    parser.add_argument("--start-users", type=int, default=200_000)
    parser.add_argument("--port", type=int, default=50961)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    table = Table("what", "figure", title=f"{processor_count()} processors, {processor()}")
    figures = {}
    with tempfile.TemporaryDirectory() as work:
        models = Path(work) / "models"
        shutil.copytree(given.models, models)
        shop = Shop(given.items, given.users, given.events)
        for what, figure in measure(models, Path(work), shop, given):
            console.print(f"{what}: {figure}", highlight=False)
            table.add_row(what, figure)
            figures[what] = figure
    console.print(table)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
