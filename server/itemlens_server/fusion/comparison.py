"""How well systems answer held-out questions, and whether one is better than another.

Every system scores all items of every question. A difference is that of two systems on the same questions, with a 95%
interval by bootstrap over users (B. Efron, 1979): the questions of a user are not independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.rows import Bools, Ints

RESAMPLES = 1000
TIED = 1e-6


def hits(scores: Array, chosen: Ints, k: int) -> float:
    """Return the share of the chosen items among the first k by scores, float32 [items]. Ties count by expectation."""
    own = scores[chosen][:, None]
    above, tied = (scores > own + TIED).sum(1), (np.abs(scores - own) <= TIED).sum(1)
    return float(np.clip((k - above) / np.maximum(tied, 1), 0.0, 1.0).mean())


def nll(scores: Array, chosen: Ints) -> float:
    """Return the mean -ln P of the chosen items if P is the softmax of the scores, nats."""
    s = scores.astype(np.float64)
    largest = s.max()
    return float(largest + np.log(np.exp(s - largest).sum()) - s[chosen].mean())


@dataclass(frozen=True)
class Interval:
    """The mean difference of two systems, with a 95% interval."""

    mean: float
    low: float
    high: float

    @staticmethod
    def of(differences: Floats, groups: Ints, seed: int = 0) -> Interval:
        """Return the interval of differences by question, float64 [questions], NaN where there is none; groups: the
        user, or the item, of each question."""
        there = ~np.isnan(differences)
        if not there.any():
            return Interval(0.0, 0.0, 0.0)
        _, group = np.unique(groups[there], return_inverse=True)
        counts = np.bincount(group).astype(np.float64)
        sums = np.bincount(group, differences[there])
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), RESAMPLES)
        means = (drawn @ sums) / (drawn @ counts)
        low, high = np.quantile(means, (0.025, 0.975))
        return Interval(float(sums.sum() / counts.sum()), float(low), float(high))

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


@dataclass(frozen=True)
class Answers:
    """What systems scored on the questions of one kind.

    question: such as "next". measures: by system and measure ("R@20", "nll"), float64 [questions], NaN if a question
    does not count. groups: the user or item that each question is about, int64 [questions].
    """

    question: str
    measures: Mapping[str, Mapping[str, Floats]]
    groups: Ints

    def mean(self, system: str, measure: str) -> float | None:
        """Return the mean over the questions that count; None if the system was not measured in this way."""
        values = self.measures[system].get(measure)
        if values is None or np.isnan(values).all():
            return None
        return float(np.nanmean(values))

    def count(self, system: str, measure: str) -> int:
        """Return the number of questions that count."""
        return int((~np.isnan(self.measures[system][measure])).sum())

    def difference(self, system: str, other: str, measure: str) -> Interval | None:
        """Return how much better `system` is than `other`, with the sign turned for nll; None if not measured."""
        a, b = (self.measures.get(name, {}).get(measure) for name in (system, other))
        if a is None or b is None:
            return None
        sign = -1.0 if measure == "nll" else 1.0
        return Interval.of(sign * (a - b), self.groups)

    def verdict(self, system: str, other: str) -> str:
        """Return "better", "equal" or "worse".

        It is better if recall is clearly higher, or if the likelihood is clearly higher and recall is at most one
        standard error lower: then the lists are as good, and their probabilities are better.
        """
        recalls = [
            d for m in self.measures[system] if m != "nll" and (d := self.difference(system, other, m))
        ]
        likelihood = self.difference(system, other, "nll")
        if any(d.worse for d in recalls):
            return "worse"
        if any(d.better for d in recalls):
            return "better"
        if likelihood and likelihood.better and all(d.mean >= -d.error for d in recalls):
            return "better"
        return "equal"


class Collected:
    """Collects the measures of systems question by question."""

    def __init__(self, question: str, k: int) -> None:
        self._question, self._k = question, k
        self._rows: list[dict[str, dict[str, float]]] = []
        self._groups: list[int] = []

    def add(
        self,
        group: int,
        scores: Mapping[str, Array],
        chosen: Ints,
        had: Bools,
        probabilities: Sequence[str] = (),
    ) -> None:
        """Measure one question: scores of all items by system, float32 [items]; positions of the chosen items; what the
        user had, bool [items]. probabilities: the systems whose scores are log-odds."""
        new = chosen[~had[chosen]]
        measured: dict[str, dict[str, float]] = {}
        for system, s in scores.items():
            own = measured[system] = {f"R@{self._k}": hits(s, chosen, self._k)}
            if had.any():
                fresh = np.where(had, np.float32(-np.inf), s)
                own[f"explore R@{self._k}"] = hits(fresh, new, self._k) if len(new) else np.nan
            if system in probabilities:
                own["nll"] = nll(s, chosen)
        self._rows.append(measured)
        self._groups.append(group)

    def answers(self) -> Answers:
        """Return what was collected."""
        measures: dict[str, dict[str, Any]] = {}
        for system in self._rows[0] if self._rows else ():
            names = dict.fromkeys(name for row in self._rows for name in row[system])
            measures[system] = {
                name: np.asarray([row[system].get(name, np.nan) for row in self._rows]) for name in names
            }
        return Answers(self._question, measures, np.asarray(self._groups, np.int64))
