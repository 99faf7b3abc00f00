"""Yardstick for baskets: how often the user had this very item, what is long ago counting less.

Without decay this is the personal top frequency of M. Li et al., "A Next Basket Recommendation Reality Check", TOIS
2023 (P-TopFreq), and with `fill` their GP-TopFreq.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from ..rows import Floats
from .histories import basket_ages, matrix
from .metrics import Scores
from .popularity import Popularity
from .split import Question, Split

DECAYS = (1.0, 0.99, 0.97, 0.95, 0.9, 0.85, 0.8, 0.7)
SHARES = (1.0, 0.1, 0.02)
WEEK = 7 * 24 * 3600.0
ALL_TIME = Popularity()


@dataclass(frozen=True)
class OwnFrequency:
    """A basket counts `decay` ** its age. `by_week`: the age is in weeks before the newest known event, not in
    baskets of the user. `fill`: the items that the user never had come last, by `popularity`, which also breaks
    ties."""

    decay: float = 1.0
    by_week: bool = False
    fill: bool = True
    popularity: Popularity = ALL_TIME

    def table(self, split: Split) -> sparse.csr_array:
        """The decayed counts; float32 [users, items]."""
        known = split.events
        age = (known.time.max() - known.time) / WEEK if self.by_week else basket_ages(known)
        return matrix(split, known.user, known.item, self.decay ** age.astype(np.float64))

    def fit(self, split: Split) -> Scores:
        """See `Yardstick`."""
        table = self.table(split)
        behind = np.zeros(len(split.items))
        if self.fill:
            counts = self.popularity.counts(split)
            behind = 1e-6 * counts / max(counts.max(), 1.0)  # below any own count that matters

        def scores(questions: Sequence[Question]) -> Floats:
            own = table[[question.user for question in questions]].toarray().astype(np.float64)
            return np.asarray(own + behind)

        return scores


def options(split: Split) -> Iterator[tuple[OwnFrequency, Scores]]:
    """All decays; ages in weeks and lately popular fillers where the data set has times."""
    ages = (False, True) if split.timed else (False,)
    grid = [OwnFrequency(decay, by_week) for decay in DECAYS for by_week in ages]
    fillers = [Popularity(share) for share in (SHARES if split.timed else SHARES[:1])]
    for base in grid:
        for popularity in fillers:
            option = replace(base, popularity=popularity)
            yield option, option.fit(split)
