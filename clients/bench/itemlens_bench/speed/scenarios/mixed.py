"""Mixed traffic: interactive calls of single texts while a bulk stream fills a collection."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

import numpy as np

from itemlens import Client
from itemlens_bench.speed.bench import Bench
from itemlens_bench.speed.bulk_call import BulkCaller
from itemlens_bench.speed.contestants import Running, Served, Shape
from itemlens_bench.speed.figures import milliseconds, percentile
from itemlens_bench.speed.load import Load
from itemlens_bench.speed.patterns import Closed, Outcome, Recording, poisson
from itemlens_bench.speed.report import Figure, Row, Section, latency_chart, latency_line

MIXED_SECONDS, ALONE_SHARE = 120.0, 0.5
INTERACTIVE_SHARE = 0.1
"""Interactive load as a share of capacity."""
BULK_ITEMS, BULK_IN_FLIGHT = 64, 4
COLLECTION = "bulk"
SETTLE_SECONDS = 1.0


def mixed(bench: Bench) -> list[Section]:
    """One section: each kind of traffic alone, and both together."""
    seconds = MIXED_SECONDS * bench.stretch
    steps = bench.turns("interactive calls beside a bulk stream", 4)
    with (
        bench.ours(bench.precisions[0]) as server,
        server.load(bench.workload.calls(1), 1) as interactive,
    ):
        with Client(server.address) as client:
            client.create_collection(COLLECTION)
        capacity = Served(server, interactive, Shape(1, 64)).capacity(bench.seconds)
        steps()
        rate = INTERACTIVE_SHARE * capacity.calls_per_second
        make = partial(BulkCaller, bench.space.channel, COLLECTION, server.address)
        stream = Closed(BULK_IN_FLIGHT, range(1 << 20))
        with Load(make, bench.workload.calls(BULK_ITEMS)) as bulk:
            alone = interactive.run(poisson(rate, ALONE_SHARE * seconds, bench.seed))
            steps()
            bulk_alone = bulk.run(_lasting(stream, ALONE_SHARE * seconds))
            steps()
            counted = server.counts(server.address) or {}
            bulk.begin(_lasting(stream, seconds + 2 * SETTLE_SECONDS))
            time.sleep(SETTLE_SECONDS)  # the stream is at full speed before the first call is due
            together = interactive.run(poisson(rate, seconds, bench.seed + 1))
            bulk_together = bulk.finish()
            batch = _batch_seconds(counted, server)
            steps()
    at, end = together.due.min(), together.due.max()
    items = BULK_ITEMS * np.count_nonzero((bulk_together.done > at) & (bulk_together.done < end)) / (end - at)
    items_alone = BULK_ITEMS * bulk_alone.count(Outcome.OK) / bulk_alone.seconds
    rows = [
        Row("interactive, alone", _interactive(alone)),
        Row("interactive, beside the bulk stream", _interactive(together)),
        Row("bulk stream, alone", {"items/s": items_alone, "share of alone": 1.0, **_failures(bulk_alone)}),
        Row(
            "bulk stream, beside the interactive calls",
            {"items/s": items, "share of alone": items / items_alone, **_failures(bulk_together)},
        ),
    ]
    idle, busy = (1e3 * percentile(r.of(Outcome.OK).latency, 99) for r in (alone, together))
    notes = [
        f"interactive p99 {busy:.1f} ms beside the bulk stream, {idle:.1f} ms alone: {busy / idle:.2f} times"
    ]
    if batch is not None:
        notes.append(
            f"a batch takes {1e3 * batch:.1f} ms on average: 1.5 times idle and a batch are "
            f"{1.5 * idle + 1e3 * batch:.1f} ms"
        )
    lines = [
        latency_line("alone", alone.of(Outcome.OK).latency),
        latency_line("beside the bulk stream", together.of(Outcome.OK).latency),
    ]
    title = f"Interactive calls at {rate:.0f} texts/s beside a bulk stream, {seconds:.0f} s"
    return [Section(title, rows, notes, latency_chart(lines))]


def _lasting(stream: Closed, seconds: float) -> Closed:
    return Closed(stream.concurrency, stream.numbers, seconds)


def _interactive(recording: Recording) -> Mapping[str, Figure]:
    return {**milliseconds(recording.of(Outcome.OK).latency), **_failures(recording)}


def _failures(recording: Recording) -> Mapping[str, Figure]:
    return {
        "refused": float(recording.count(Outcome.REFUSED)),
        "failed": float(recording.count(Outcome.FAILED)),
    }


def _batch_seconds(before: Mapping[str, float], server: Running) -> float | None:
    """Mean seconds of a batch since the counters `before`; None if the server has no counters."""
    after = server.counts(server.address)
    if after is None or not after.get("batches"):
        return None
    return (after["run_seconds"] - before.get("run_seconds", 0.0)) / (
        after["batches"] - before.get("batches", 0.0)
    )
