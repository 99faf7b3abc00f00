"""Yardstick: the number of users who took an item, of all time or lately. It is the same list for everybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..rows import Floats
from .histories import matrix
from .metrics import Scores
from .split import Question, Split

SHARES = (1.0, 0.5, 0.25, 0.1, 0.05, 0.02)


@dataclass(frozen=True)
class Popularity:
    """`share`: the newest part of the known time that counts, as a share of all of it; 1 where times are no times."""

    share: float = 1.0

    def counts(self, split: Split) -> Floats:
        """The takers of each item; float64 [items]."""
        known = split.events
        if self.share < 1.0:
            known = known[known.time > known.time.max() - self.share * np.ptp(known.time)]
        pairs = matrix(split, known.user, known.item, np.ones(len(known)), binary=True)
        return np.asarray(pairs.sum(0), np.float64)

    def fit(self, split: Split) -> Scores:
        """See `Yardstick`."""
        counts = self.counts(split)

        def scores(questions: Sequence[Question]) -> Floats:
            return np.repeat(counts[None], len(questions), axis=0)

        return scores


def options(split: Split) -> Iterator[tuple[Popularity, Scores]]:
    """Of all time, and lately where the data set has times."""
    for share in SHARES if split.timed else SHARES[:1]:
        yield Popularity(share), Popularity(share).fit(split)
