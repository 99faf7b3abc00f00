"""How well questions are answered, and whether the difference of two systems is more than chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.scoring import log_sum

RESAMPLES = 1000
TIED = 1e-6


def gains(scores: Array, targets: Ints) -> Floats:
    """Return 1 / log2(1 + rank) of each row's target column, float64 [rows]. scores: float32 [rows, items].

    It is the discounted gain of a list with one right answer (K. Järvelin and J. Kekäläinen, 2002). It distinguishes
    lists where recall at 10 of a small catalogue is always 1. Ties count by their mean rank.
    """
    better, tied = _places(scores, targets)
    return np.asarray(1.0 / np.log2(1.0 + better + (tied + 1) / 2))


def recall(scores: Array, targets: Ints, k: int) -> Floats:
    """Return the hit rate at k of each row's target column, float64 [rows]. Ties count by expectation."""
    better, tied = _places(scores, targets)
    return np.asarray(np.clip((k - better) / tied, 0.0, 1.0))


def hits(scores: Array, chosen: Ints, k: int) -> float:
    """Return the share of the chosen items among the first k by scores, float32 [items]. Ties count by expectation."""
    return float(recall(np.broadcast_to(scores, (len(chosen), len(scores))), chosen, k).mean())


def nll(scores: Array, chosen: Ints) -> float:
    """Return the mean -ln P of the chosen items if P is the softmax of the scores, nats."""
    return log_sum(scores) - float(scores[chosen].astype(np.float64).mean())


def _places(scores: Array, targets: Ints) -> tuple[Ints, Ints]:
    """Return the number of items above each row's target, and of those with its score, itself included."""
    own = scores[np.arange(len(scores)), targets][:, None]
    return np.asarray((scores > own + TIED).sum(1)), np.asarray((np.abs(scores - own) <= TIED).sum(1))


@dataclass(frozen=True)
class Interval:
    """The mean difference of two systems, with a 95% interval by bootstrap over users or items (B. Efron, 1979): the
    questions of one are not independent. One alone says nothing of the others: its interval has no ends."""

    mean: float
    low: float
    high: float

    @staticmethod
    def of(differences: Floats, groups: Ints, seed: int = 0) -> Interval:
        """Return the interval of differences by question, float64 [questions], NaN where there is none; groups: the
        user, or the item, of each question."""
        there = ~np.isnan(differences)
        if not there.any():
            return Interval(0.0, -np.inf, np.inf)
        _, group = np.unique(groups[there], return_inverse=True)
        counts = np.bincount(group).astype(np.float64)
        sums = np.bincount(group, differences[there])
        mean = float(sums.sum() / counts.sum())
        if len(counts) < 2:
            return Interval(mean, -np.inf, np.inf)
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), RESAMPLES)
        low, high = np.quantile((drawn @ sums) / (drawn @ counts), (0.025, 0.975))
        return Interval(mean, float(low), float(high))

    @property
    def error(self) -> float:
        """The standard error."""
        return (self.high - self.low) / 3.92

    @property
    def better(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0

    @property
    def worse(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.high < 0
