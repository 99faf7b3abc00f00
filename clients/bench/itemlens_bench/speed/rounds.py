"""Interleaved rounds: each target does the same work in each, in an order that rotates, so that what else the machine
does meanwhile meets them all alike."""

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

    calls, texts: that were answered
    seconds:      from the first call to the last reply
    cpu_seconds:  processor time of all the target's processes
    load_seconds: processor time of the load processes, who share the machine with it
    latency:      seconds of each answered call; none where nothing is called
    counted:      what the server counted of itself meanwhile (see `ours.statistics`)
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
        """Throughput."""
        return self.texts / self.seconds

    @property
    def calls_per_second(self) -> float:
        """Throughput in calls."""
        return self.calls / self.seconds


class Contestant(Protocol):
    """What takes part in rounds."""

    @property
    def name(self) -> str:
        """As tables show it; no two are alike."""

    def measure(self, first: int, texts: int) -> Measured:
        """Work through `texts` texts, those from number `first` on."""


def rotated(order: Sequence[T], turn: int) -> list[T]:
    """`order`, begun `turn` places further on."""
    start = turn % len(order)
    return [*order[start:], *order[:start]]


def play(
    contestants: Sequence[Contestant], rounds: int, texts: int, then: Callable[[], None] = lambda: None
) -> dict[str, list[Measured]]:
    """Rounds of `texts` texts: what each contestant did in each, by name. A round has other texts than the one before.

    then: called after each turn.
    """
    measured: dict[str, list[Measured]] = {contestant.name: [] for contestant in contestants}
    for turn in range(rounds):
        for contestant in rotated(contestants, turn):
            measured[contestant.name].append(contestant.measure(turn * texts, texts))
            then()
    return measured
