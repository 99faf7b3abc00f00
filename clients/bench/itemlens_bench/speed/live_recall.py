"""Live recall, as a server tells it, beside a full measurement of the same questions.

    python -m itemlens_bench.speed.live_recall

The items, questions and the full measurement are those of `filters`, with random encoders and few candidates, so that
lists miss items. The server makes a share of the lists again by itself.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from itemlens_bench.speed import items, random_space
from itemlens_bench.speed.events.freshness import settle
from itemlens_bench.speed.filters import events, questions, recall, wait_for_graphs
from itemlens_bench.speed.ours import Ours
from itemlens_bench.speed.random_space import SPREAD
from itemlens_bench.speed.running import running

# The questions of `filters`, with and without a filter, by the server's name of their kind.
KINDS = {
    ("two words", ""): "query",
    ("two words", f"{SPREAD} <= 0.5"): "query, filtered",
    ("a known user", ""): "user",
    ("words and a user", ""): "user+query",
}


def told(port: int) -> Mapping[str, tuple[float, float, float]]:
    """The questions, the items and how many of them were found, by kind."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
        text = reply.read().decode()
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("itemlens_live_recall") and "kind" in sample.labels:
                own = found.setdefault(sample.labels["kind"], {})
                own[sample.labels.get("found", "questions")] = sample.value
    return {kind: (own["questions"], own["yes"] + own["no"], own["yes"]) for kind, own in found.items()}


def main() -> None:
    """Print a row for each kind."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--questions", type=int, default=400, help="of each kind")
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--candidates", type=int, default=60, help="candidates_per_channel")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--port", type=int, default=50975)
    given = parser.parse_args()
    table = Table(
        "kind", "recall", "live recall", "95% interval", "questions", title=f"{given.items:,} items"
    )
    with tempfile.TemporaryDirectory() as work:
        models, data = Path(work) / "models", Path(work) / "data"
        settings = {
            "candidates_per_channel": str(given.candidates), "live_recall_share": str(given.share),
            "monitoring": f"127.0.0.1:{given.port + 1}",
        }  # fmt: skip
        with running(Ours(models, random_space.write(models), data, settings), given.port) as (client, _):
            client.upload(random_space.clustered_items(given.items, given.seed)).raise_for_errors()
            known = items.stored(client, "default")
            client.upload_events(events(known, given.questions, given.seed)).raise_for_errors()
            settle(client)
            wait_for_graphs(data, given.items)
            contents = {item.item_id: str(item.attributes.get("content", item.item_id)) for item in known}
            asked = questions(client, known, given.questions, given.seed)
            time.sleep(2)  # what `questions` itself has asked is not to count
            before = told(given.port + 1)
            full = {
                kind: np.asarray([recall(ask, filter, contents) for ask in asked[name]])
                for (name, filter), kind in KINDS.items()
            }
            time.sleep(2)
            after = told(given.port + 1)
    for kind, recalls in full.items():
        count, wanted, found = np.subtract(after[kind], before.get(kind, (0, 0, 0))).tolist()
        # The spread of a mean over so many of these questions.
        margin = 1.96 * float(recalls.std()) / max(count, 1) ** 0.5
        live = found / wanted
        table.add_row(
            kind,
            f"{recalls.mean():.3f}",
            f"{live:.3f}",
            f"{live - margin:.3f} to {live + margin:.3f}",
            f"{count:.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
