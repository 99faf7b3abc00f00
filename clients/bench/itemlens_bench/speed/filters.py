"""Measure lists under a filter: recall@10 against an exact scan, and the time of a call beside one without a filter.

    python -m itemlens_bench.speed.filters --models models --items 30000          # 8 minutes on two processors

Made-up items have a number that is spread evenly between 0 and 1, so that a filter leaves any share of them. Users take
items of two kinds. Calls with each filter, and without one, are asked in turns.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from itemlens import Client, Event, Item, Recommendations
from itemlens_bench.speed import items
from itemlens_bench.speed.events.freshness import settle
from itemlens_bench.speed.ours import Ours
from itemlens_bench.speed.running import running
from itemlens_server.engine.space_list import SpaceList
from itemlens_server.hardware import processor, processor_count

console = Console()
SHARES = (0.001, 0.01, 0.05, 0.2, 0.5, 0.9)
K = 10
SPREAD = "spread"

Ask = Callable[..., Recommendations]


def catalogue(count: int, seed: int) -> Iterator[Item]:
    """Yield items with evenly spread numbers."""
    rng = random.Random(seed)
    for item in items.made_items(count, seed):
        yield replace(
            item, attributes={**item.attributes, SPREAD: rng.random(), "in_stock": rng.random() < 0.8}
        )


def questions(client: Client, known: Sequence[Item], asked: int, seed: int) -> Mapping[str, list[Ask]]:
    """Return calls by kind of question."""
    histories = items.histories(known, asked, seed)
    liked = [past[:1] for past in histories]
    words = items.words(known, asked, seed)
    return {
        "two words": [partial(client.recommend, text=text, k=K) for text in words],
        "a history of ten": [partial(client.recommend, history=past, k=K) for past in histories],
        "a liked item": [partial(client.recommend, liked=ids, k=K) for ids in liked],
        "a known user": [partial(client.recommend, user_id=f"u{n}", k=K) for n in range(asked)],
        "words and a user": [
            partial(client.recommend, text=text, user_id=f"u{n}", k=K) for n, text in enumerate(words)
        ],
    }


def events(known: Sequence[Item], users: int, seed: int) -> list[Event]:
    """Return what users took."""
    return [
        Event(f"u{n}", item_id, "purchase")
        for n, past in enumerate(items.histories(known, users, seed + 1))
        for item_id in past
    ]


def recall(ask: Ask, filter: str) -> float:
    """Return the share of an exact list that a list has; 1 where both are empty."""
    exact = [item.item_id for item in ask(filter=filter, exact=True)]
    found = {item.item_id for item in ask(filter=filter)}
    return len(found.intersection(exact)) / len(exact) if exact else 1.0


def milliseconds(ask: Ask, filter: str) -> float:
    """Return the time of a call."""
    began = time.perf_counter()
    ask(filter=filter)
    return 1000 * (time.perf_counter() - began)


def measure(client: Client, given: argparse.Namespace) -> Iterator[dict[str, float | str]]:
    """Yield a row for each kind of question and share."""
    known = items.stored(client, "default")
    filters = {share: f"{SPREAD} < {share}" for share in SHARES}
    for kind, asks in questions(client, known, given.questions, given.seed).items():
        times: dict[float, list[float]] = {share: [] for share in (*SHARES, 1.0)}
        for ask in asks:
            for share in times:
                times[share].append(milliseconds(ask, filters.get(share, "")))
        for share, own in times.items():
            found = np.asarray([recall(ask, filters.get(share, "")) for ask in asks])
            yield {
                "question": kind,
                "share": share,
                "recall": float(found.mean()),
                "under .5": float((found < 0.5).mean()),
                "p50 ms": float(np.median(own)),
                "p99 ms": float(np.quantile(own, 0.99)),
                "p50 against no filter": float(np.median(own) / np.median(times[1.0])),
            }


def main() -> None:
    """Print a table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--items", type=int, default=30_000)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--questions", type=int, default=100, help="of each kind")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--port", type=int, default=50965)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    table = Table(title=f"{given.items:,} items; {processor_count()} processors, {processor()}")
    rows: list[dict[str, float | str]] = []
    with tempfile.TemporaryDirectory() as work:
        models = Path(work) / "models"
        shutil.copytree(given.models, models)
        space = next(iter(SpaceList.read(models).spaces))
        with running(Ours(models, space, Path(work) / "data"), given.port) as (client, _):
            console.print("uploading", highlight=False)
            client.upload(catalogue(given.items, given.seed)).raise_for_errors()
            known = items.stored(client, "default")
            client.upload_events(events(known, given.users, given.seed)).raise_for_errors()
            settle(client)
            for row in measure(client, given):
                if not rows:
                    for name in row:
                        table.add_column(name)
                rows.append(row)
                table.add_row(*(v if isinstance(v, str) else f"{v:.3g}" for v in row.values()))
                console.print(json.dumps(row), highlight=False)
    console.print(table)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
