"""How well systems answer held-out questions, and whether one is better than another.

Every system scores all items of every question. A difference is that of two systems on the same questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.measures import Interval, hits, nll
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.rows import Bools, Ints


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
