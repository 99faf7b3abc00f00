"""What a fit chose, what it brought, and whether it is taken."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from itemlens_server.fusion.choice import Fitted
from itemlens_server.fusion.comparison import Answers
from itemlens_server.fusion.features import Feature
from itemlens_server.fusion.search_fit import SearchFit

NEW, NOW, DEFAULTS = "fitted", "serves now", "not fitted"
"""Names of systems in a report: the new weights, what the collection's space has, and what there is without a fit."""
FALLBACK = "default weights"
"""What the new head has for a question whose fitted weights are not taken, if that is not the same as DEFAULTS."""


@dataclass(frozen=True)
class Step:
    """A choice that the fit made: what, the value, what it brought, and on how many questions."""

    what: str
    chosen: str
    brought: str = ""
    sample: str = ""


@dataclass(frozen=True)
class Figure:
    """How one system answered the held-out questions of one kind.

    difference: how much better the fitted weights are, with its 95% interval; None for themselves, and where all
    questions are of one user or item. For nll, in nats.
    """

    question: str
    system: str
    measure: str
    value: float
    difference: float | None
    low: float | None
    high: float | None
    questions: int


@dataclass(frozen=True)
class WeightLine:
    """A fitted weight, nats per unit, with its standard error. states: the items that it counts for."""

    question: str
    name: str
    states: str
    transform: str
    weight: float
    standard_error: float


@dataclass(frozen=True)
class Verdict:
    """Whether the fitted weights of a question are "better", "equal" or "worse" than the defaults and than what serves
    now. taken: whether the fitted weights are in the new head; the defaults otherwise."""

    question: str
    than_defaults: str
    than_now: str
    taken: bool


@dataclass(frozen=True)
class FitReport:
    """The report of a fit. taken: whether the new head is better than what serves now."""

    steps: tuple[Step, ...]
    figures: tuple[Figure, ...]
    weights: tuple[WeightLine, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def better(self) -> bool:
        """Whether some question is answered better than now, and none worse."""
        than_now = [verdict.than_now for verdict in self.verdicts]
        return "better" in than_now and "worse" not in than_now

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "better": self.better,
            **{name: [asdict(row) for row in getattr(self, name)] for name in _PARTS},
        }


_PARTS = ("verdicts", "figures", "weights", "steps")


def figures(answers: Answers) -> list[Figure]:
    """Return the figures of all systems on the questions of one kind, the fitted weights first."""
    found = []
    for measure in answers.measures.get(NEW, {}):
        for system in answers.measures:
            value = answers.mean(system, measure)
            if value is None:
                continue
            d = answers.difference(NEW, system, measure) if system != NEW else None
            known = d is not None and math.isfinite(d.error)
            mean, low, high = (d.mean, d.low, d.high) if d and known else (None, None, None)
            count = answers.count(system, measure)
            found.append(Figure(answers.question, system, measure, value, mean, low, high, count))
    return found


def verdict(answers: Answers) -> Verdict:
    """Return whether the fitted weights of a question are better than not fitting and than what serves now.

    They are taken if they are better than not fitting or than what they replace, and no worse than either.
    """
    fallback = FALLBACK if FALLBACK in answers.measures else DEFAULTS
    than_defaults = answers.verdict(NEW, DEFAULTS)
    both = {than_defaults, answers.verdict(NEW, fallback)}
    taken = "better" in both and "worse" not in both
    own = NEW if taken else fallback
    now = NOW if NOW in answers.measures else DEFAULTS
    return Verdict(answers.question, than_defaults, answers.verdict(own, now), taken)


def feature_lines(question: str, features: Sequence[Feature], fitted: Fitted) -> list[WeightLine]:
    """Return the lines of weights that were fitted to choices of users."""
    return [
        WeightLine(question, f.name, " ".join(s.name for s in f.states), str(f.transform), w, error)
        for f, w, error in zip(
            features, fitted.weights.tolist(), fitted.standard_errors.tolist(), strict=True
        )
    ]


def search_lines(fits: Iterable[SearchFit]) -> list[WeightLine]:
    """Return the lines of the weights of searches: w, theta and theta' of each channel."""
    lines = []
    for fit in fits:
        for name, w in fit.channels.items():
            error = fit.errors[name]
            numbers: Mapping[str, tuple[float, float]] = {
                f"CHANNEL.{name}": (w.weight, error.weight),
                f"theta.{name}": (w.threshold, error.threshold),
                f"theta'.{name}": (w.imputed_threshold, error.imputed_threshold),
            }
            lines += [
                WeightLine(fit.question, what, "", "identity", value, e)
                for what, (value, e) in numbers.items()
            ]
    return lines
