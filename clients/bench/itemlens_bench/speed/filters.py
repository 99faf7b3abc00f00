"""Measure lists under a filter: recall@10 against an exact scan, and the time of a call beside one without a filter.

    python -m itemlens_bench.speed.filters --items 10000                          # with random encoders
    python -m itemlens_bench.speed.filters --items 30000 --models models          # with those of a space

Items lie in clusters. With random encoders half of the contents have no picture, and a quarter of the items have the
content of others (see random_space). Each item has a number that is spread evenly between 0 and 1, so that a filter
leaves any share of them. Users take items of two kinds. A boost spreads by two standard deviations of the scores. Calls
with each filter, and without one, are asked in turns. So are lists of one item of each category, of which there are few
and large ones, and of one item of each text, which few items share.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from itemlens import Boost, Client, Event, Item, Linear, Recommendations
from itemlens_bench.speed import items, random_space
from itemlens_bench.speed.events.freshness import settle
from itemlens_bench.speed.ours import Ours
from itemlens_bench.speed.random_space import LIFT, SPREAD
from itemlens_bench.speed.running import running
from itemlens_server.config import Settings
from itemlens_server.engine.space_list import SpaceList
from itemlens_server.hardware import processor, processor_count
from itemlens_server.index.segments import MANIFEST

console = Console()
SHARES = (0.001, 0.01, 0.1, 0.5, 1.0)
NO_FILTER = "none"
GROUPED_BY = ("category", "content")
K = 10
# Items of which the spread of scores is measured.
SCORED = 200
# So many new items, or a tenth of all, are in no graph yet.
FRESH: int = Settings.model_fields["segment_rows"].default
GRAPH_SECONDS = 3600

Ask = Callable[..., Recommendations]


def shop_items(count: int, seed: int) -> Iterator[Item]:
    """Yield the items of the scenario `recommend`, with evenly spread numbers."""
    rng = random.Random(seed)
    for item in items.made_items(count, seed):
        yield replace(item, attributes={**item.attributes, SPREAD: rng.random(), LIFT: rng.random()})


def questions(client: Client, known: Sequence[Item], asked: int, seed: int) -> Mapping[str, list[Ask]]:
    """Return calls by kind of question."""
    histories = items.histories(known, asked, seed)
    liked = [past[:1] for past in histories]
    words = items.words(known, asked, seed)
    found: dict[str, list[Ask]] = {
        "two words": [partial(client.recommend, text=text, k=K) for text in words],
        "a history of ten": [partial(client.recommend, history=past, k=K) for past in histories],
        "a liked item": [partial(client.recommend, liked=ids, k=K) for ids in liked],
        "a known user": [partial(client.recommend, user_id=f"u{n}", k=K) for n in range(asked)],
        "words and a user": [
            partial(client.recommend, text=text, user_id=f"u{n}", k=K) for n, text in enumerate(words)
        ],
    }
    for kind in ("two words", "a history of ten"):
        boost = strong_boost(found[kind][0], [item.item_id for item in known[:SCORED]])
        found[f"{kind}, boosted"] = [partial(ask, boosts=[boost]) for ask in found[kind]]
    return found


def strong_boost(ask: Ask, some: Sequence[str]) -> Boost:
    """Return a boost that spreads by two standard deviations of the scores of some items."""
    deviation = float(np.std([item.score for item in ask(candidates=some, exclude_seen=False, k=len(some))]))
    # A number that is spread evenly from 0 to 1 has a standard deviation of 1 / sqrt(12).
    return Boost("lift", LIFT, Linear(slope=2 * deviation * 12**0.5, origin=0.5))


def events(known: Sequence[Item], users: int, seed: int) -> list[Event]:
    """Return what users took."""
    return [
        Event(f"u{n}", item_id, "purchase")
        for n, past in enumerate(items.histories(known, users, seed + 1))
        for item_id in past
    ]


def recall(ask: Ask, filter: str, contents: Mapping[str, str]) -> float:
    """Return the share of an exact list that a list has; 1 where both are empty. Items of equal content stand for each
    other. contents: by item."""
    exact = Counter(contents[item.item_id] for item in ask(filter=filter, exact=True))
    found = Counter(contents[item.item_id] for item in ask(filter=filter))
    return (exact & found).total() / exact.total() if exact else 1.0


def group_recall(ask: Ask, groups: Mapping[str, str]) -> float:
    """Return the share of an exact list's groups that a list has, of calls with `group_by`. groups: by item.

    Raises:
        AssertionError: a list has two items of a group.
    """
    exact, found = ([groups[item.item_id] for item in ask(**how)] for how in ({"exact": True}, {}))
    assert len(set(found)) == len(found) and len(set(exact)) == len(exact), "two items of a group"
    return len(set(exact) & set(found)) / len(exact) if exact else 1.0


def wait_for_graphs(data: Path, count: int) -> None:
    """Wait until a server has graphs of all items but those that it searches exactly for now. data: its folder."""
    end = time.monotonic() + GRAPH_SECONDS
    while time.monotonic() < end:
        built = 0
        with suppress(FileNotFoundError):  # the server replaces the folder of graphs meanwhile
            for manifest in data.rglob(MANIFEST):
                segments = json.loads(manifest.read_text(encoding="utf-8"))["snapshot"]["segments"]
                built = max(built, sum(segment["rows"] for segment in segments))
        if count - built < max(FRESH, count // 10):
            return
        time.sleep(1)
    raise TimeoutError(f"no graphs of {count} items within {GRAPH_SECONDS} s")


def milliseconds(ask: Ask, **how: str) -> float:
    """Return the time of a call."""
    began = time.perf_counter()
    ask(**how)
    return 1000 * (time.perf_counter() - began)


def measure(client: Client, given: argparse.Namespace) -> Iterator[dict[str, float | str]]:
    """Yield a row for each kind of question and filter."""
    known = items.stored(client, "default")
    contents = {item.item_id: str(item.attributes.get("content", item.item_id)) for item in known}
    filters = {NO_FILTER: "", **{f"{share:g}": f"{SPREAD} <= {share}" for share in SHARES}}
    groups = {
        name: {item.item_id: str(item.attributes.get(name, item.item_id)) for item in known}
        for name in GROUPED_BY
        if any(name in item.attributes for item in known)
    }
    calls = {name: {"filter": filter} for name, filter in filters.items()}
    calls |= {f"one of each {name}": {"group_by": name} for name in groups}
    for kind, asks in questions(client, known, given.questions, given.seed).items():
        times: dict[str, list[float]] = {name: [] for name in calls}
        for n, ask in enumerate(asks):
            # Each is the first as often as the others: the first call reads what later ones find in memory.
            for name in np.roll(list(calls), n).tolist():
                times[name].append(milliseconds(ask, **calls[name]))
        for name, own in times.items():
            how = calls[name]
            if "group_by" in how:
                of = groups[how["group_by"]]
                found = np.asarray([group_recall(partial(ask, **how), of) for ask in asks])
            else:
                found = np.asarray([recall(ask, how["filter"], contents) for ask in asks])
            yield {
                "question": kind,
                "share": name,
                "recall": float(found.mean()),
                "under .5": float((found < 0.5).mean()),
                "p50 ms": float(np.median(own)),
                "p99 ms": float(np.quantile(own, 0.99)),
                "p50 against no filter": float(np.median(own) / np.median(times[NO_FILTER])),
            }


def main() -> None:
    """Print a table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, help="a folder of spaces; without it, random encoders")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--questions", type=int, default=100, help="of each kind")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--port", type=int, default=50965)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    table = Table(title=f"{given.items:,} items; {processor_count()} processors, {processor()}")
    rows: list[dict[str, float | str]] = []
    with tempfile.TemporaryDirectory() as work:
        models, data = Path(work) / "models", Path(work) / "data"
        if given.models is None:
            space, made = random_space.write(models), random_space.clustered_items
        else:
            shutil.copytree(given.models, models)
            space, made = next(iter(SpaceList.read(models).spaces)), shop_items
        with running(Ours(models, space, data), given.port) as (client, _):
            began = time.monotonic()
            client.upload(made(given.items, given.seed)).raise_for_errors()
            console.print(f"uploaded in {time.monotonic() - began:.0f} s", highlight=False)
            known = items.stored(client, "default")
            client.upload_events(events(known, given.users, given.seed)).raise_for_errors()
            settle(client)
            wait_for_graphs(data, given.items)
            console.print(f"ready after {time.monotonic() - began:.0f} s", highlight=False)
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
