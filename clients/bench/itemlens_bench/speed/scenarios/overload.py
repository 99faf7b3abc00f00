"""Overload: a flood for a minute, then 80% of capacity without a pause, in one open loop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlens_bench.speed.bench import Bench
from itemlens_bench.speed.contestants import Running, Served, Shape
from itemlens_bench.speed.figures import milliseconds, percentile
from itemlens_bench.speed.patterns import Outcome, Recording, poisson
from itemlens_bench.speed.report import Chart, Figure, Line, Row, Section
from itemlens_bench.speed.rounds import Measured
from itemlens_bench.speed.usage import Watch

FLOOD_SECONDS, NORMAL_SECONDS, AFTER_SECONDS = 60.0, 20.0, 6.0
NORMAL_SHARE = 0.8
FLOODS = ((Shape(1, 64), 2.0), (Shape(32, 8), 5.0))
"""Shape of the calls, and the offered load in multiples of capacity."""


def overload(bench: Bench) -> list[Section]:
    """A section per shape, of our server in the first precision."""
    sections = []
    for shape, factor in FLOODS:
        with bench.ours(bench.precisions[0]) as server:
            sections.append(_section(bench, server, shape, factor))
    return sections


@dataclass(frozen=True)
class Phase:
    """Calls that were due from `begin` to `end` (monotonic seconds), of `size` texts each."""

    name: str
    recording: Recording
    begin: float
    end: float
    size: int

    @property
    def due(self) -> Recording:
        """The phase's calls."""
        return self.recording.where((self.recording.due >= self.begin) & (self.recording.due < self.end))

    @property
    def p99(self) -> float:
        """The p99 latency of the phase's answered calls, in seconds."""
        return percentile(self.due.of(Outcome.OK).latency, 99)

    def figures(self, peak: float) -> dict[str, Figure]:
        """The columns of every phase. Goodput counts the replies that came within the phase."""
        due = self.due
        answered = due.of(Outcome.OK)
        seconds = self.end - self.begin
        good = self.size * self.goodput_calls / seconds
        return {
            "offered texts/s": self.size * len(due) / seconds,
            "goodput texts/s": good,
            "share of peak": good / peak,
            "refused %": 100 * due.count(Outcome.REFUSED) / max(1, len(due)),
            **milliseconds(answered.latency, (50, 99)),
            "failed": float(due.count(Outcome.FAILED)),
            "unsent": float(due.count(Outcome.UNSENT)),
        }

    @property
    def goodput_calls(self) -> int:
        """The number of calls whose replies came within the phase."""
        done = self.recording.of(Outcome.OK).done
        return int(np.count_nonzero((done >= self.begin) & (done < self.end)))


def _section(bench: Bench, server: Running, shape: Shape, factor: float) -> Section:
    flood, size = FLOOD_SECONDS * bench.stretch, shape.size
    steps = bench.turns(f"overload, {shape.size}-text calls", 4)
    with server.load(bench.workload.calls(size), bench.processes) as load:
        served = Served(server, load, shape)
        peaks = [served.capacity(2 * bench.seconds)]
        steps()
        rate = peaks[0].calls_per_second
        normal_seconds = NORMAL_SECONDS * min(1.0, bench.stretch)
        normally = load.run(poisson(NORMAL_SHARE * rate, normal_seconds, bench.seed))
        normal = Phase(f"{NORMAL_SHARE:.0%} load", normally, load.at, load.at + normal_seconds, size)
        steps()
        pattern = poisson(factor * rate, flood, bench.seed + 1, len(normally))
        after = poisson(NORMAL_SHARE * rate, AFTER_SECONDS, bench.seed + 2, len(normally) + len(pattern.due))
        with Watch(server.pid) as watch:
            recording = load.run(pattern.then(after))
        at = load.at
        steps()
        peaks.append(served.capacity(2 * bench.seconds))
        steps()
    phases = [
        normal,
        Phase(f"{factor:g}x overload, {flood:.0f} s", recording, at, at + flood, size),
        Phase("the second after", recording, at + flood, at + flood + 1, size),
        Phase("then", recording, at + flood + 1, at + flood + AFTER_SECONDS, size),
    ]
    peak = float(np.mean([m.texts_per_second for m in peaks]))
    rows = [Row(f"peak, {shape}", {"goodput texts/s": peak, "share of peak": 1.0})]
    rows += [Row(phase.name, phase.figures(peak)) for phase in phases]
    notes = _notes(peaks, phases, watch)
    resident = watch.rss_bytes(at, at + flood + AFTER_SECONDS)
    lines = [
        Line("answered texts/s", *_by_second(recording, at, size)),
        Line("resident MB", [t for t, _ in resident], [b / 1e6 for _, b in resident]),
    ]
    return Section(f"Overload, {size}-text calls", rows, notes, Chart(lines=lines, x="s", y=""))


def _notes(peaks: list[Measured], phases: list[Phase], watch: Watch) -> list[str]:
    normal, flood = phases[:2]
    refused = flood.recording.count(Outcome.REFUSED)
    # The cost of the answered texts, as at peak, is subtracted. The rest is the cost of the refused calls.
    per_text = float(np.mean([m.cpu_seconds / m.texts for m in peaks]))
    spent = watch.cpu_seconds(flood.begin, flood.end)
    refusals = spent - per_text * flood.goodput_calls * flood.size
    before, during = normal.p99, flood.p99
    rss = watch.rss_bytes(flood.begin, flood.end)
    return [
        f"p99 of answered calls {during / before:.2f} times that at {normal.name}",
        f"a refusal costs {1e3 * refusals / refused:.3f} ms of processor time" if refused else "no refusals",
        f"resident memory {rss[0][1] / 1e6:.0f} MB at the start, {rss[-1][1] / 1e6:.0f} MB at the end, "
        f"at most {max(b for _, b in rss) / 1e6:.0f} MB",
        f"peak before {peaks[0].texts_per_second:.0f}, after {peaks[1].texts_per_second:.0f} texts/s",
        *flood.recording.errors,
    ]


def _by_second(recording: Recording, at: float, size: int) -> tuple[list[float], list[float]]:
    done = recording.of(Outcome.OK).done - at
    counts = np.bincount(np.maximum(done, 0).astype(np.int64))
    return [float(n) for n in range(len(counts))], [float(c * size) for c in counts]
