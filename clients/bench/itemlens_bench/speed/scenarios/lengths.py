"""Encode by length of text and size of call, with the utilisation of the processor's or GPU's arithmetic."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import numpy as np

from itemlens_bench.speed.arithmetic import most_a_second, operations
from itemlens_bench.speed.bench import Bench
from itemlens_bench.speed.contestants import ByItself, Running, Served, Shape
from itemlens_bench.speed.figures import Spread, milliseconds, shares
from itemlens_bench.speed.raw import Raw
from itemlens_bench.speed.remote import Remote
from itemlens_bench.speed.report import Chart, Figure, Line, Row, Section
from itemlens_bench.speed.rounds import Measured, play
from itemlens_bench.speed.workload import texts_of

LENGTHS = (16, 32, 128, 512)
SIZES = (1, 8, 64, 256, 1024)
TEXTS_UNDER_WAY = 512
# Throughput is measured, so no call may be refused for its size or its waiting time.
PATIENT = {"max_inputs": str(SIZES[-1]), "max_wait_seconds": "300", "max_queue_seconds": "300"}
LEAST_CALLERS, MOST_CALLERS = 4, 64


def lengths(bench: Bench) -> list[Section]:
    """A section for each length that the encoder accepts, of our server in the first precision."""
    bench = replace(bench, settings={**PATIENT, **bench.settings})
    precision = bench.precisions[0]
    most = most_a_second(precision, bench.provider, bench.processors)
    graph = bench.space.graph(precision)
    sections = []
    with bench.ours(precision) as server:
        for tokens in (n for n in LENGTHS if n <= bench.space.preprocessing.max_tokens):
            texts = texts_of(
                tokens,
                len(bench.workload.texts),
                bench.seed,
                bench.space.directory,
                bench.space.preprocessing,
            )
            with Remote(partial(Raw, graph, texts, bench.processors, bench.provider)) as raw:
                sections.append(
                    _section(bench, server, raw, texts, tokens, operations(graph.path, tokens), most)
                )
    return sections


def _section(
    bench: Bench, server: Running, raw: Remote[Raw], texts: list[str], tokens: int, cost: float | None, most: float
) -> Section:  # fmt: skip
    setup, rate = bench.best(raw, bench.precisions[0])
    ceiling = ByItself("raw", raw, setup)
    rows, lines = [], []
    for size in SIZES:
        callers = min(MOST_CALLERS, max(LEAST_CALLERS, TEXTS_UNDER_WAY // size))
        count = max(round(rate * bench.seconds / size), 2 * callers)
        calls = [[texts[n % len(texts)] for n in range(at, at + size)] for at in range(0, count * size, size)]
        with ExitStack() as stack:
            served = Served(
                server, stack.enter_context(server.load(calls, bench.processes)), Shape(size, callers)
            )
            then = bench.turns(f"{tokens} tokens, calls of {size}", 2 * bench.rounds)
            played = play([ceiling, served], bench.rounds, count * size, then)
        rows.append(
            Row(
                f"calls of {size} at concurrency {callers}",
                _figures(played[ceiling.name], played[served.name], cost, most),
            )
        )
        lines.append(float(np.median([m.texts_per_second for m in played[served.name]])))
    title = f"Encode, texts of {tokens} tokens"
    notes = [
        f"raw: {setup}; {bench.rounds} rounds; a product of large matrices reaches {most / 1e12:.2f} TFLOP/s here"
    ]
    chart = Chart(lines=[Line("itemlens", list(SIZES), lines)], x="texts a call", y="texts/s", x_scale="log")
    return Section(title, rows, notes, chart)


def _figures(raw: list[Measured], ours: list[Measured], cost: float | None, most: float) -> dict[str, Figure]:
    rates, ceiling = ([m.texts_per_second for m in rounds] for rounds in (ours, raw))
    columns: dict[str, Figure] = {
        "texts/s": Spread.of(rates),
        "raw texts/s": Spread.of(ceiling),
        "share of raw": shares(rates, ceiling),
    }
    if cost is not None:
        columns["FLOP utilisation"] = Spread.of([rate * cost / most for rate in rates])
        columns["of raw"] = Spread.of([rate * cost / most for rate in ceiling])
    columns |= milliseconds(np.concatenate([m.latency for m in ours]), (50, 99))
    columns["failed"] = float(sum(m.failed + m.refused for m in ours))
    return columns
