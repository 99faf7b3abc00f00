"""Unloaded latency: one caller, one text at a time, compared with tokenise + session.run in process, and with the same
behind a bare gRPC server, the least that a server in Python adds."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from itemlens_bench.speed import echo
from itemlens_bench.speed.bench import Bench
from itemlens_bench.speed.contestants import Served, Shape, running, within
from itemlens_bench.speed.figures import Spread, milliseconds, percentile
from itemlens_bench.speed.raw import Raw
from itemlens_bench.speed.remote import Remote
from itemlens_bench.speed.report import Figure, Row, Section, latency_chart, latency_line
from itemlens_bench.speed.rounds import Contestant, Measured, play
from itemlens_bench.speed.usage import usage

ONE = Shape(1, 1)
WARM_UP = 20


@dataclass(frozen=True)
class InProcess:
    """Single texts, one after another, through ONNX Runtime with `threads` threads."""

    name: str
    raw: Remote[Raw]
    threads: int

    def measure(self, first: int, texts: int) -> Measured:
        """See Contestant."""
        self.raw.call(Raw.latencies, self.threads, first + texts, WARM_UP)
        before = usage(self.raw.pid)
        latency = self.raw.call(Raw.latencies, self.threads, first, texts)
        after = usage(self.raw.pid)
        cpu = after.cpu_seconds - before.cpu_seconds
        return Measured(texts, texts, float(latency.sum()), cpu, after.rss_bytes, latency)


def latency(bench: Bench) -> list[Section]:
    """One section: p50 over the rounds, and its difference to the faster in-process set-up in the same rounds."""
    with ExitStack() as stack:
        contestants: list[Contestant] = []
        floors: dict[str, list[str]] = {}
        calls = bench.workload.calls(1)
        texts = [text.encode() for [text] in calls]
        for precision in bench.precisions:
            raw = stack.enter_context(bench.raw(precision))
            floor = [
                InProcess(f"in process {precision}, {n} {'thread' if n == 1 else 'threads'}", raw, n)
                for n in sorted({1, bench.processors})
            ]
            server = stack.enter_context(bench.ours(precision))
            load = stack.enter_context(server.load(calls, 1))
            served = Served(server, load, ONE)
            bare = within(f"bare gRPC {precision}", raw.pid, raw.call(Raw.listen, bench.processors))
            least = Served(bare, stack.enter_context(bare.load(texts, 1)), ONE)
            floors |= {key: [contestant.name for contestant in floor] for key in (served.name, least.name)}
            contestants += [*floor, served, least]
        floor_of_a_call = stack.enter_context(running(echo.target(echo.VECTOR_BYTES)))
        contestants.append(Served(floor_of_a_call, stack.enter_context(floor_of_a_call.load(texts, 1)), ONE))
        for peer in bench.peers:
            server = stack.enter_context(running(peer))
            served = Served(server, stack.enter_context(server.load(calls, 1)), ONE)
            floors[served.name] = next(iter(floors.values()))
            contestants.append(served)
        # As many texts as the first contestant can do in the time of a turn.
        pace = contestants[0].measure(0, 50)
        count = max(20, round(bench.seconds * pace.texts_per_second))
        then = bench.turns("single texts, one caller", bench.rounds * len(contestants))
        played = play(contestants, bench.rounds, count, then)
    return [_section(bench, played, floors, count)]


def _section(
    bench: Bench, played: dict[str, list[Measured]], floors: dict[str, list[str]], count: int
) -> Section:
    rows, lines = [], []
    for name, rounds in played.items():
        middle = _p50(rounds)
        latencies = np.concatenate([m.latency for m in rounds])
        figures: dict[str, Figure] = {"p50 ms": Spread.of(middle)}
        figures |= milliseconds(latencies, (90, 99, 99.9))
        lines.append(latency_line(name, latencies))
        if name in floors:
            # Find the set-up that is faster over all rounds, then take the difference within each round.
            best = min((_p50(played[floor]) for floor in floors[name]), key=lambda p: Spread.of(p).median)
            added = [mine - floor for mine, floor in zip(middle, best, strict=True)]
            figures["p50 over in process, ms"] = Spread.of(added)
        figures["CPU ms/text"] = Spread.of([1e3 * m.cpu_seconds / m.texts for m in rounds])
        rows.append(Row(name, figures))
    notes = [f"{bench.rounds} rounds of {count:,} texts each, the same for all"]
    return Section("Unloaded latency: single texts, one caller", rows, notes, latency_chart(lines))


def _p50(rounds: list[Measured]) -> list[float]:
    return [1e3 * percentile(m.latency, 50) for m in rounds]
