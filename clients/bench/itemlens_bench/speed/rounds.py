"""Interleaved rounds: each target does the same work in every round, in a rotating order, so that other activity on the
machine affects all targets alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from itemlens_bench.speed.figures import Floats

T = TypeVar("T")
NO_LATENCIES: Floats = np.zeros(0, np.float64)


@dataclass(frozen=True)
class Measured:
    """One target's round.

    calls, texts: number of answered calls and texts
    seconds:      from the first call to the last reply
    cpu_seconds:  processor time of all the target's processes
    load_seconds: processor time of the load processes, which share the machine with it
    latency:      seconds of each answered call; empty if the target is not called
    counted:      the server's own counters in this time (see `ours.statistics`)
    """

    calls: int
    texts: int
    seconds: float
    cpu_seconds: float
    rss_bytes: int
    latency: Floats = field(default_factory=lambda: NO_LATENCIES)
    refused: int = 0
    failed: int = 0
    errors: tuple[str, ...] = ()
    load_seconds: float = 0.0
    counted: Mapping[str, float] = field(default_factory=dict)

    @property
    def texts_per_second(self) -> float:
        """Throughput in texts."""
        return self.texts / self.seconds

    @property
    def calls_per_second(self) -> float:
        """Throughput in calls."""
        return self.calls / self.seconds


class Contestant(Protocol):
    """A target that takes part in rounds."""

    @property
    def name(self) -> str:
        """A unique name for the tables."""

    def measure(self, first: int, texts: int) -> Measured:
        """Process `texts` texts, from number `first` on."""


def rotated(order: Sequence[T], turn: int) -> list[T]:
    """`order`, rotated by `turn` places."""
    start = turn % len(order)
    return [*order[start:], *order[:start]]


def play(
    contestants: Sequence[Contestant], rounds: int, texts: int, then: Callable[[], None] = lambda: None
) -> dict[str, list[Measured]]:
    """Play rounds of `texts` texts each. Return the results of each contestant by name, one per round.

    Every round has different texts. `then` is called after each turn.
    """
    measured: dict[str, list[Measured]] = {contestant.name: [] for contestant in contestants}
    for turn in range(rounds):
        for contestant in rotated(contestants, turn):
            measured[contestant.name].append(contestant.measure(turn * texts, texts))
            then()
    return measured
