"""Memory over ten minutes of calls of random sizes and texts of random lengths."""

from __future__ import annotations

import random

import numpy as np

from itemlens_bench.speed.bench import Bench
from itemlens_bench.speed.patterns import Closed, Outcome
from itemlens_bench.speed.report import Chart, Line, Row, Section
from itemlens_bench.speed.usage import Watch

SOAK_SECONDS = 600.0
CALLS, MOST_TEXTS, CONCURRENCY = 500, 64, 4
WARM_SHARE = 0.1
"""Share of the time in which memory may grow; after it memory should be flat."""


def soak(bench: Bench) -> list[Section]:
    """One section, of our server in the first precision."""
    seconds = SOAK_SECONDS * bench.stretch
    rng = random.Random(bench.seed)
    texts = bench.workload.texts
    calls = [[rng.choice(texts) for _ in range(rng.randint(1, MOST_TEXTS))] for _ in range(CALLS)]
    task = bench.turns(f"calls of random sizes for {seconds:.0f} s", 1)
    with (
        bench.ours(bench.precisions[0]) as server,
        server.load(calls, bench.processes) as load,
        Watch(server.pid, seconds=max(0.5, seconds / 600)) as watch,
    ):
        recording = load.run(Closed(CONCURRENCY, range(CALLS), seconds))
        at = load.at
    task()
    samples = watch.rss_bytes(at, at + seconds)
    times = np.asarray([t for t, _ in samples])
    resident = np.asarray([b / 1e6 for _, b in samples])
    warm = times >= WARM_SHARE * seconds
    growth = float(np.polyfit(times[warm] / 60, resident[warm], 1)[0])
    figures = {
        "RSS MB warm": float(resident[warm][0]),
        "RSS MB at the end": float(resident[-1]),
        "RSS MB at most": float(resident.max()),
        "growth MB/min": growth,
        "calls": float(recording.count(Outcome.OK)),
        "refused": float(recording.count(Outcome.REFUSED)),
        "failed": float(recording.count(Outcome.FAILED)),
    }
    chart = Chart(lines=[Line("resident MB", times.tolist(), resident.tolist())], x="s", y="MB")
    title = f"Memory over {seconds:.0f} s of calls of 1 to {MOST_TEXTS} texts"
    return [Section(title, [Row(server.target.name, figures)], recording.errors, chart)]
