"""The worst residual over many explanations of every kind, batched and single: do they add up to the score?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from itemlens import Explanation, UserSide

from .ask import Asking
from .rows import ReportRow

LIMIT = 1e-4
BATCH = 10


def sides_needed(queries: int) -> int:
    """The number of sides per kind whose explanations are about two thirds of `queries`: 2,000 of the default 3,000.

    Each side has BATCH explanations together and one alone.
    """
    return math.ceil(queries * 2 / 3 / (BATCH + 1))


@dataclass(frozen=True)
class Residuals:
    """The largest |residual| of some explanations, and their number."""

    worst: float = 0.0
    count: int = 0

    def __add__(self, other: Residuals) -> Residuals:
        return Residuals(max(self.worst, other.worst), self.count + other.count)


def residual_row(asking: Asking, sides: Mapping[str, Sequence[UserSide]], collection: str) -> ReportRow:
    """Explain the first BATCH items of each side's list in one call, and the first item again alone.

    `sides` is by kind. A residual is the largest of: the reply's `residual`, the differences of the score to its sums
    by place, by channel and by source, and the difference to Recommend's score.
    """
    worst = {kind: _worst(asking, kind, some, collection) for kind, some in sides.items()}
    total = sum(worst.values(), Residuals())
    by_kind = ", ".join(f"{kind} {residuals.worst:.0e}" for kind, residuals in worst.items())
    return ReportRow(f"{collection}: worst residual", total.worst, total.count, most=LIMIT, yardstick=by_kind)


def _worst(asking: Asking, kind: str, sides: Sequence[UserSide], collection: str) -> Residuals:
    def ask(side: UserSide) -> Residuals:
        listed = asking.client.recommend(side, k=BATCH, collection=collection)
        scores = {item.item_id: item.score for item in listed}
        explained = partial(asking.explain, recommendation_id=listed.recommendation_id, collection=collection)
        together, single = explained(list(scores)), explained([next(iter(scores))])
        residuals = [off(explanation, scores[explanation.item_id]) for explanation in (*together, *single)]
        return Residuals(max(residuals), len(residuals))

    return sum(asking.each(f"explaining: {kind}", ask, sides), Residuals())


def off(explained: Explanation, served: float) -> float:
    """The largest difference between an explanation's sums and its scores."""
    lists = (explained.by_place, explained.by_channel, explained.by_source)
    sums = [explained.score - sum(part.value for part in parts) for parts in lists]
    return max(abs(gap) for gap in (*sums, explained.residual, explained.score - served))
