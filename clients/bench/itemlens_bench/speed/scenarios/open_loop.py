"""Open loop: calls at 80% of each target's capacity, and our server at 80% of each peer's capacity."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from itemlens_bench.speed.bench import Bench
from itemlens_bench.speed.contestants import Served, Shape, measured, running
from itemlens_bench.speed.figures import Spread, milliseconds, percentile
from itemlens_bench.speed.patterns import poisson
from itemlens_bench.speed.report import Chart, Figure, Row, Section
from itemlens_bench.speed.rounds import Measured, play

SHAPES = (Shape(1, 64), Shape(32, 8))
SHARE = 0.8
CAPACITY_ROUNDS = 3
P99 = "p99 ms by round"
TURNS = 2
"""Length of a turn in multiples of `seconds`: a p99 needs many calls."""


@dataclass(frozen=True)
class Arriving:
    """Calls that arrive at a served target at a given rate."""

    name: str
    served: Served
    calls_per_second: float
    seconds: float
    seed: int

    def measure(self, first: int, texts: int) -> Measured:
        """See Contestant. The number of texts depends on the rate."""
        size = self.served.shape.size
        arrivals = poisson(self.calls_per_second, self.seconds, self.seed + first, first // size)
        return measured(self.served.server, size, lambda: self.served.load.run(arrivals))


def open_loop(bench: Bench) -> list[Section]:
    """A section per shape."""
    with ExitStack() as stack:
        ours = [stack.enter_context(bench.ours(precision)) for precision in bench.precisions]
        peers = [stack.enter_context(running(peer)) for peer in bench.peers]
        sections = []
        for shape in SHAPES:
            with ExitStack() as own:
                served = [
                    Served(
                        s, own.enter_context(s.load(bench.workload.calls(shape.size), bench.processes)), shape
                    )
                    for s in (*ours, *peers)
                ]
                sections.append(_section(bench, shape, served[: len(ours)], served[len(ours) :]))
        return sections


def _section(bench: Bench, shape: Shape, ours: list[Served], peers: list[Served]) -> Section:
    then = bench.turns(f"capacity, {shape}", CAPACITY_ROUNDS * len((*ours, *peers)))
    capacities: dict[str, list[float]] = {}
    for turn in range(CAPACITY_ROUNDS):
        for served in (*ours, *peers):
            calls = served.capacity(bench.seconds, turn * 1000).calls_per_second
            capacities.setdefault(served.name, []).append(calls)
            then()
    capacity = {name: Spread.of(rates).median for name, rates in capacities.items()}
    seconds = TURNS * bench.seconds
    contestants = [
        Arriving(f"{s.name} at its {SHARE:.0%}", s, SHARE * capacity[s.name], seconds, bench.seed)
        for s in (*ours, *peers)
    ]
    contestants += [
        Arriving(f"{s.name} at {SHARE:.0%} of {p.name}", s, SHARE * capacity[p.name], seconds, bench.seed)
        for s in ours
        for p in peers
    ]
    then = bench.turns(f"open loop, {shape}", bench.rounds * len(contestants))
    played = play(contestants, bench.rounds, int(seconds * max(capacity.values())) * shape.size, then)
    rows = []
    for contestant in contestants:
        rounds = played[contestant.name]
        latency = np.concatenate([m.latency for m in rounds])
        figures: dict[str, Figure] = {"offered texts/s": shape.size * contestant.calls_per_second}
        figures |= milliseconds(latency)
        figures[P99] = Spread.of([1e3 * percentile(m.latency, 99) for m in rounds])
        figures["calls"] = float(len(latency))
        figures["refused"] = float(sum(m.refused for m in rounds))
        figures["failed"] = float(sum(m.failed for m in rounds))
        rows.append(Row(contestant.name, figures))
    notes = ["capacity: " + ", ".join(f"{n} {c * shape.size:.0f} texts/s" for n, c in capacity.items())]
    return Section(f"Open loop, {shape.size}-text calls", rows, notes, Chart(bars=P99))
