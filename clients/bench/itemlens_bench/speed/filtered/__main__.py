"""Measure filtered search in process beside embedded vector databases: searches a second at equal recall.

    python -m itemlens_bench.speed.filtered --questions 50                             # 100,000 rows
    python -m itemlens_bench.speed.filtered --rows 10000 --questions 30 --seconds 0.3  # 3 minutes, two busy processors

The first run installs each peer into an environment of its own. Each engine is tuned to the least depth with the wanted
recall for each filter. The engines are asked in turns, one at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from itemlens_bench.speed.filtered.engines.engine import Array, Condition, Rows
from itemlens_bench.speed.filtered.engines.run import K, Task
from itemlens_bench.speed.peers.environments import Environment
from itemlens_bench.speed.peers.known import CACHE
from itemlens_server.hardware import processor, processor_count

console = Console()
OURS = "ours"
PEERS: Mapping[str, Environment] = MappingProxyType(
    {
        "qdrant": Environment("qdrant-edge", ("qdrant-edge-py==0.9.0", "numpy==2.4.6")),
        "milvus": Environment("milvus-lite", ("milvus-lite==3.2.2", "numpy==2.4.6")),
    }
)
CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        "none": Condition(),
        "number .001": Condition(0.001),
        "number .01": Condition(0.01),
        "number .1": Condition(0.1),
        "number .5": Condition(0.5),
        "brand .1": Condition(brand="brand-0"),
        "number .5 and brand .1": Condition(0.5, "brand-0"),
    }
)
CALLERS = (1, 8)
CLUSTERS, LATENT, BRANDS = 200, 64, 10
# Lengths of the random part of a row beside its cluster's centre, and of a question beside its row.
ROW_NOISE, QUESTION_NOISE = 0.8, 0.3
EQUAL, COPIES = 0.25, 25
"""Share of rows with the vector of others, and how many have the same."""


def made_task(count: int, width: int, questions: int, seed: int) -> Task:
    """Make rows in clusters, with numbers spread evenly between 0 and 1, and questions near random rows."""
    rng = np.random.default_rng(seed)
    basis = rng.normal(size=(LATENT, width)) / np.sqrt(width)
    centres = unit(rng.normal(size=(CLUSTERS, width)))

    def noise(size: int) -> Array:
        return np.asarray(rng.normal(size=(size, LATENT)) @ basis / np.sqrt(LATENT), np.float32)

    vectors = unit(centres[rng.integers(0, CLUSTERS, count)] + ROW_NOISE * noise(count))
    equal = np.flatnonzero(rng.random(count) < EQUAL)
    vectors[equal] = vectors[rng.integers(0, max(1, int(count * EQUAL / COPIES)), len(equal))]
    brands = [f"brand-{n}" for n in rng.integers(0, BRANDS, count).tolist()]
    rows = Rows(vectors, rng.random(count), brands)
    asked = unit(vectors[rng.integers(0, count, questions)] + QUESTION_NOISE * noise(questions))
    scores = asked @ vectors.T
    worst = []
    for condition in CONDITIONS.values():
        own = np.sort(scores[:, condition.mask(rows)], axis=1)
        worst.append(own[:, -min(K, own.shape[1])] if own.shape[1] else np.zeros(questions))
    return Task(rows, asked, tuple(CONDITIONS.values()), np.asarray(worst, np.float32))


def unit(vectors: np.ndarray[Any, Any]) -> Array:
    """Return vectors of length 1, float32."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


class EngineProcess:
    """The process of an engine, which was filled."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self._process, self.name = process, name
        self.seconds = float(self._answer()["seconds"])

    def ask(self, **asked: float) -> dict[str, float]:
        """Return its answer; see engines.run.answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} ended with status {self._process.wait()}")
        found: dict[str, float] = json.loads(line)
        return found


@contextmanager
def started(name: str, folder: Path, cache: Path) -> Iterator[EngineProcess]:
    """Start and fill an engine. folder: has the task. cache: of environments."""
    if name == OURS:
        command, environment = (
            [sys.executable, "-m", "itemlens_bench.speed.filtered.engines.run"],
            {**os.environ},
        )
    else:
        command = [str(PEERS[name].python(cache)), "-m", "engines.run"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(
        [*command, name, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            yield EngineProcess(process, name)
        finally:
            process.kill()


def measure(engines: Sequence[EngineProcess], given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row for each filter and engine. Rates are medians of rounds, in which the engines take turns."""
    for number, name in enumerate(CONDITIONS):
        tuned = {e.name: e.ask(condition=number, at_least=given.recall) for e in engines}
        rates: dict[tuple[str, int], list[float]] = {}
        for _ in range(given.rounds):
            for callers in CALLERS:
                for engine in engines:
                    found = engine.ask(
                        condition=number,
                        depth=tuned[engine.name]["depth"],
                        callers=callers,
                        seconds=given.seconds,
                    )
                    rates.setdefault((engine.name, callers), []).append(found["rate"])
        for engine in engines:
            own = {f"QPS, {n} callers": float(np.median(rates[engine.name, n])) for n in CALLERS}
            yield {"filter": name, "engine": engine.name, **tuned[engine.name], **own}


def main() -> None:
    """Print a table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--recall", type=float, default=0.99, help="at least so much at k = 10")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each rate")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--peer", action="append", choices=list(PEERS), help="all by default")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the peers' environments")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as work, ExitStack() as stack:
        made_task(given.rows, given.width, given.questions, given.seed).save(Path(work) / "task.npz")
        engines = []
        for name in (OURS, *(given.peer or PEERS)):
            engines.append(stack.enter_context(started(name, Path(work), given.cache)))
            console.print(f"{name} filled in {engines[-1].seconds:.1f} s", highlight=False)
        for row in measure(engines, given):
            rows.append(row)
            console.print(json.dumps(row), highlight=False, soft_wrap=True)
    table = Table(
        title=f"{given.rows:,} rows of {given.width}; {processor_count()} processors, {processor()}"
    )
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*(v if isinstance(v, str) else f"{v:,.3g}" for v in row.values()))
    console.print(table)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
