"""Saturated Encode: the server's throughput as a share of ONNX Runtime's by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np

from itemlens_bench.speed import echo
from itemlens_bench.speed.bench import Bench
from itemlens_bench.speed.contestants import BesideEcho, ByItself, Running, Served, Shape, running
from itemlens_bench.speed.figures import Spread, milliseconds, shares
from itemlens_bench.speed.raw import Raw
from itemlens_bench.speed.report import Chart, Figure, Row, Section
from itemlens_bench.speed.rounds import Contestant, Measured, play
from itemlens_bench.speed.target import Array
from itemlens_server.hardware import processor_count

SHAPES = (Shape(1, 64), Shape(32, 8))
COMPARED = 16
"""Number of texts whose vectors are compared with those of ONNX Runtime by itself."""


def encode(bench: Bench) -> list[Section]:
    """A section per shape: our server in each precision, the peers, and ONNX Runtime by itself."""
    with ExitStack() as stack:
        ceilings, best, rates, truth = [], {}, {}, {}
        for precision in bench.precisions:
            raw = stack.enter_context(bench.raw(precision))
            setup, rate = bench.best(raw, precision)
            ceilings.append(ByItself(f"raw {precision}", raw, setup))
            best[f"itemlens {precision}"] = ceilings[-1].name
            rates[ceilings[-1].name] = rate
            truth[f"itemlens {precision}"] = raw.call(Raw.vectors, bench.workload.texts[:COMPARED])
        servers = [stack.enter_context(bench.ours(precision)) for precision in bench.precisions]
        servers += [stack.enter_context(running(peer)) for peer in bench.peers]
        first = next(iter(truth.values()))
        for server in servers:
            truth.setdefault(server.target.name, first)
            best.setdefault(server.target.name, ceilings[0].name)
        return [_section(bench, shape, servers, ceilings, best, rates, truth) for shape in SHAPES]


def _section(
    bench: Bench, shape: Shape, servers: Sequence[Running], ceilings: Sequence[ByItself],
    best: Mapping[str, str], rates: Mapping[str, float], truth: Mapping[str, Array],
) -> Section:  # fmt: skip
    calls = bench.workload.calls(shape.size)
    # All do the same work: whole calls, several per caller.
    count = max(round(rates[ceilings[0].name] * bench.seconds / shape.size), 4 * shape.concurrency)
    with ExitStack() as stack:
        contestants: list[Contestant] = [*ceilings]
        floor = _echo(bench, shape, stack)
        beside = [BesideEcho(ceiling, floor, rates[ceiling.name]) for ceiling in ceilings]
        contestants += beside
        best = {**best, **{ceiling.name: ceiling.alone.name for ceiling in beside}}
        distances = {}
        for server in servers:
            load = stack.enter_context(server.load(calls, bench.processes))
            vectors = load.ask(list(bench.workload.texts[:COMPARED]))
            distances[server.target.name] = distance(vectors, truth[server.target.name])
            contestants.append(Served(server, load, shape))
        then = bench.turns(str(shape), bench.rounds * len(contestants))
        played = play(contestants, bench.rounds, count * shape.size, then)
    rows = []
    for name, measured in played.items():
        ceiling = played.get(best.get(name, ""))
        rows.append(
            Row(
                name,
                figures(measured, ceiling, processor_count()) | {"distance to raw": distances.get(name)},
            )
        )
    notes = [f"{bench.rounds} rounds of {count:,} calls each; {c.name}: {c.setup}" for c in ceilings]
    notes += sorted({error for of in played.values() for m in of for error in m.errors})
    return Section(f"Saturated Encode, {shape}", rows, notes, Chart(bars="texts/s"))


def _echo(bench: Bench, shape: Shape, stack: ExitStack) -> Served:
    """A bare gRPC server under a load of this shape, with requests and replies as long as Encode's."""
    server = stack.enter_context(running(echo.target(echo.VECTOR_BYTES * shape.size)))
    requests = ["".join(texts).encode() for texts in bench.workload.calls(shape.size)]
    return Served(server, stack.enter_context(server.load(requests, bench.processes)), shape)


def figures(
    measured: Sequence[Measured], ceiling: Sequence[Measured] | None, processors: int
) -> dict[str, Figure]:
    """The columns of a target's rounds. Shares are relative to the rounds of `ceiling`."""
    rates = [m.texts_per_second for m in measured]
    columns: dict[str, Figure] = {"texts/s": Spread.of(rates)}
    if ceiling:
        columns["share of raw"] = shares(rates, [m.texts_per_second for m in ceiling])
        # The load takes processor time from the server; ONNX Runtime by itself has the whole machine.
        left = [
            c.texts_per_second * (1 - m.load_seconds / m.seconds / processors)
            for m, c in zip(measured, ceiling, strict=True)
        ]
        columns["of what the load leaves"] = shares(rates, left)
    # A turn without answers has no cost per text.
    answered = [m for m in measured if m.texts]
    if answered:
        columns["CPU ms/text"] = Spread.of([1e3 * m.cpu_seconds / m.texts for m in answered])
    latency = np.concatenate([m.latency for m in measured])
    if len(latency):
        columns["load CPU ms/text"] = Spread.of([1e3 * m.load_seconds / m.texts for m in answered])
        columns |= milliseconds(latency, (50, 99))
    columns["RSS MB"] = max(m.rss_bytes for m in measured) / 1e6
    columns |= counted(measured)
    if len(latency):
        columns["refused"] = float(sum(m.refused for m in measured))
        columns["failed"] = float(sum(m.failed for m in measured))
    return columns


def counted(measured: Sequence[Measured]) -> dict[str, Figure]:
    """The columns of the server's own batch counters, over all rounds; empty if it has none."""
    total = {name: sum(m.counted.get(name, 0.0) for m in measured) for m in measured for name in m.counted}
    if not total.get("batches"):
        return {}
    return {
        "queue ms": 1e3 * total.get("queue_seconds", 0.0) / total["inputs"],
        "run ms/text": 1e3 * total.get("run_seconds", 0.0) / total["inputs"],
        "texts/batch": total["inputs"] / total["batches"],
        "padding %": 100 * (total["padded_tokens"] / total["tokens"] - 1),
    }


def distance(these: Array, those: Array) -> float:
    """The largest cosine distance between the same rows."""
    norms = np.linalg.norm(these, axis=1) * np.linalg.norm(those, axis=1)
    return float((1 - (these * those).sum(1) / norms).max())
