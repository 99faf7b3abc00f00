"""Measure lists under boosts: recall@10 against an exact scan, without encoders and a server.

    python -m itemlens_bench.speed.boosts --items 60000          # two minutes on two processors

Vectors are drawn in clusters, as those of products are; half of the items have no picture. Boosts are of several
shapes, by chance or by cluster, and of half a standard deviation of the evidence, or of two.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from itemlens_server.config import Settings
from itemlens_server.derived import DerivedFolder
from itemlens_server.fusion.boosts import AppliedBoost
from itemlens_server.fusion.caps import NO_CAPS
from itemlens_server.fusion.head import Array, Head, HeadChannel, unit
from itemlens_server.fusion.history import CLICK, Interaction
from itemlens_server.fusion.query import Query, ask
from itemlens_server.fusion.rows import Bools, Rows
from itemlens_server.fusion.scoring import Scorer, bind
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.weights import NEXT, SIMILAR, ChannelWeights, QuestionWeights, search_question
from itemlens_server.hardware import processor, processor_count
from itemlens_server.index.exact import ExactIndex
from itemlens_server.index.hnsw import HnswIndex, block_list
from itemlens_server.services.lists import best

console = Console()
K, WIDTH, CLUSTERS, NEARNESS, KINDS = 10, 48, 300, 0.6, 4
CHANNELS = {"text": 2.0, "image": 1.5}
"""Nats of a channel for each standard deviation of the cosines between random items."""
SHARES = (0.001, 0.01, 0.05, 0.2, 0.5, 0.9, 1.0)
STRENGTHS = (0.5, 2.0)

Rng = np.random.Generator


@dataclass(frozen=True)
class Shop:
    """Items in a graph. clusters: of each item, int64 [items]; spread: evenly from 0 to 1, float64 [items]."""

    snapshot: Snapshot
    index: HnswIndex
    clusters: np.ndarray
    spread: np.ndarray


def shop(count: int, folder: Path, rng: Rng) -> Shop:
    """Return made-up items."""
    clusters = rng.integers(0, CLUSTERS, count)
    e = {name: drawn(clusters, rng) for name in CHANNELS}
    pictured = rng.random(count) < 0.5
    head = Head(
        tuple(HeadChannel(n, np.zeros(WIDTH, np.float32)) for n in CHANNELS), questions(e), fitted=True
    )
    h = np.zeros((count, head.dimension), np.float32)
    for name, own in e.items():
        block = head.block(name)
        here = pictured if name == "image" else np.ones(count, np.bool_)
        h[:, block] = own * here[:, None]
        h[:, block.stop] = here
    rows = Rows(head.dimension)
    rows.append(np.arange(1, count + 1), [f"i{n}" for n in range(count)], h)
    view = rows.view()
    settings = Settings()
    index = HnswIndex(
        block_list(head), folder=DerivedFolder(folder), name="graphs", identity={}, segment_rows=settings.segment_rows,
        candidates_per_channel=settings.candidates_per_channel,
    )  # fmt: skip
    while index.build(view):
        pass
    snapshot = Snapshot("made up", head, view, None, np.full(count, -1, np.int64))
    return Shop(snapshot, index, clusters, rng.random(count))


def drawn(clusters: np.ndarray, rng: Rng) -> Array:
    """Return unit vectors around the centres of clusters, float32 [items, WIDTH]."""
    centres = unit(rng.normal(size=(CLUSTERS, WIDTH)).astype(np.float32))
    noise = unit(rng.normal(size=(len(clusters), WIDTH)).astype(np.float32))
    return unit(NEARNESS * centres[clusters] + (1 - NEARNESS) * noise)


def questions(e: Mapping[str, Array]) -> dict[str, QuestionWeights]:
    """Return weights of so many nats a standard deviation."""
    channels = {}
    for name, nats in CHANNELS.items():
        cosines = e[name][:2000] @ e[name][-2000:].T
        channels[name] = ChannelWeights(nats / float(cosines.std()), float(cosines.mean()))
    own = QuestionWeights(channels)
    asked = (search_question({"text": 0}), search_question({"text": 0, "image": 0}))
    return dict.fromkeys((NEXT, SIMILAR, *asked), own)


def queries(made: Shop, count: int, rng: Rng) -> Iterator[tuple[str, Query]]:
    """Yield questions with their kinds: words, words and a picture, a liked item, a history of ten of two clusters."""
    view, head = made.snapshot.view, made.snapshot.head
    pictured = np.flatnonzero(head.present(view.h, "image"))
    for _ in range(count):
        item = int(rng.choice(pictured))
        near = {
            n: unit(view.h[item, head.block(n)] + 0.1 * rng.normal(size=WIDTH).astype(np.float32))
            for n in CHANNELS
        }
        yield "words", Query(content={"text": near["text"]})
        yield "words and a picture", Query(content=near)
        yield "a liked item", Query(liked=[view.item_ids[item]])
        two = rng.choice(CLUSTERS, 2, replace=False)
        past = rng.choice(np.flatnonzero(np.isin(made.clusters, two)), 10, replace=False)
        yield "a history of ten", Query([Interaction(view.item_ids[p], CLICK) for p in past.tolist()])


def boosts(made: Shop, rng: Rng) -> Iterator[tuple[str, Array]]:
    """Yield boosts of one standard deviation, or of one nat for few items."""
    count = len(made.spread)
    yield "a normal number", rng.normal(size=count).astype(np.float32)
    yield "a half-life", (np.exp2(-rng.exponential(2.0, count)) / 0.29).astype(np.float32)
    for share in (0.002, 0.01, 0.03, 0.1, 0.5):
        yield f"{share:g} of the items", (rng.random(count) < share).astype(np.float32)
    for share in (0.01, 0.1, 0.5):
        chosen = rng.permutation(CLUSTERS)[: round(share * CLUSTERS)]
        yield f"{share:g} of the clusters", np.isin(made.clusters, chosen).astype(np.float32)
    few = (rng.random((3, count)) < 0.02).sum(0)
    yield "a sum of three", few.astype(np.float32)


def measure(made: Shop, asked: int, rng: Rng) -> Iterator[dict[str, float | str]]:
    """Yield a row for each boost, strength and kind of question."""
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    known = list(queries(made, asked, rng))
    for name, nats in boosts(made, rng):
        for number, (kind, query) in enumerate(known):
            plain = bind(ask(made.snapshot, query, Settings().type_weights()))
            deviation = float(plain.scores(0, np.arange(0, len(nats), 7)).std())
            turn = number // KINDS
            strength, share = STRENGTHS[turn % len(STRENGTHS)], SHARES[turn % len(SHARES)]
            mask = made.spread < share
            applied = AppliedBoost(name, strength * deviation * nats)
            boosted = bind(replace(plain.asking, boosts=(applied,)))
            found.setdefault((name, kind), []).append(compared(made, boosted, plain, mask))
    for (name, kind), rows in found.items():
        recall, times, plain_times = np.asarray(rows).T
        yield {
            "boost": name, "question": kind, "recall": float(recall.mean()), "under .5": float((recall < 0.5).mean()),
            "p50 ms": float(np.median(times)), "p50 ms without": float(np.median(plain_times)),
        }  # fmt: skip


def compared(made: Shop, boosted: Scorer, plain: Scorer, mask: Bools) -> tuple[float, float, float]:
    """Return the recall of a list, and the milliseconds of it and of the list without boosts."""
    _, _, exact = best(boosted, ExactIndex(), mask, K, NO_CAPS)
    times = []
    for scorer in (boosted, plain):
        began = time.perf_counter()
        _, _, listed = best(scorer, made.index, mask, K, NO_CAPS)
        times.append(1000 * (time.perf_counter() - began))
        if scorer is boosted:
            there = {item.item_id for item in listed}
    wanted = {item.item_id for item in exact}
    return (len(there & wanted) / len(wanted) if wanted else 1.0), times[0], times[1]


def main() -> None:
    """Print a table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=60_000)
    parser.add_argument("--questions", type=int, default=28, help="of each kind, for each boost")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    table = Table(title=f"{given.items:,} items; {processor_count()} processors, {processor()}")
    rng = np.random.default_rng(given.seed)
    rows: list[dict[str, float | str]] = []
    with tempfile.TemporaryDirectory() as work:
        made = shop(given.items, Path(work), rng)
        for row in measure(made, given.questions, rng):
            if not rows:
                for name in row:
                    table.add_column(name)
            rows.append(row)
            table.add_row(*(v if isinstance(v, str) else f"{v:.3g}" for v in row.values()))
    console.print(table)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
