"""Yardsticks with EASE: what goes together with what the user had, and the same added to the user's own frequency.

H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019; see `ease`. A history's items count
decay ** place from the newest, the last `window` different ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .ease import from_gram
from .histories import decayed, taken
from .metrics import Scores
from .own_frequency import OwnFrequency
from .split import Question, Split
from .tuning import Figure, best

LAMBDAS = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
WINDOWS = (5, 20, 50, 200, None)
DECAYS = (1.0, 0.99, 0.95, 0.9, 0.8, 0.6)
WEIGHTS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True)
class Ease:
    """`window` None: the whole history. `by_kind`: its events count by the server's weights of event types."""

    regularisation: float = 300.0
    window: int | None = None
    decay: float = 1.0
    by_kind: bool = False

    def table(self, split: Split) -> NDArray[np.float32]:
        """B; float32 [items, items]."""
        x = taken(split)
        return from_gram((x.T @ x).toarray(), self.regularisation)

    def fit(self, split: Split) -> Scores:
        """See `Yardstick`."""
        return self.with_table(split, self.table(split))

    def with_table(self, split: Split, table: NDArray[np.float32]) -> Scores:
        """`fit` with B computed already."""

        def scores(questions: Sequence[Question]) -> NDArray[np.floating]:
            return np.asarray(self._history(split, questions) @ table)

        return scores

    def _history(self, split: Split, questions: Sequence[Question]) -> sparse.csr_array:
        return decayed(split, questions, self.window, self.decay, self.by_kind)


def tuned(split: Split, figure: Figure, lambdas: Sequence[float] = LAMBDAS) -> Ease:
    """Lambda with the whole history and with the newest items, then all windows and decays with that lambda."""
    first = best(
        _with_tables(split, (Ease(x, *last) for x in lambdas for last in ((None, 1.0), (50, 0.9)))),
        split,
        figure,
    )
    kinds = (False, True) if len(np.unique(split.events.kind)) > 1 else (False,)
    histories = (Ease(first.regularisation, *history) for history in product(WINDOWS, DECAYS, kinds))
    return best(_with_tables(split, histories), split, figure)


def _with_tables(split: Split, options: Iterable[Ease]) -> Iterator[tuple[Ease, Scores]]:
    """The options with their scores; B is computed once for options in a row that have the same lambda."""
    for _, same in groupby(options, key=lambda option: option.regularisation):
        table = None
        for option in same:
            table = option.table(split) if table is None else table
            yield option, option.with_table(split, table)


@dataclass(frozen=True)
class OwnAndEase:
    """Own frequency + weight * EASE."""

    own: OwnFrequency
    ease: Ease
    weight: float

    def fit(self, split: Split) -> Scores:
        """See `Yardstick`."""
        return self._sum(self.own.fit(split), self.ease.fit(split))

    def _sum(self, own: Scores, ease: Scores) -> Scores:
        return lambda questions: own(questions) + self.weight * ease(questions)


def sums(split: Split, own: OwnFrequency, ease: Ease) -> Iterator[tuple[OwnAndEase, Scores]]:
    """All weights, with the two parts as they were chosen alone."""
    own_scores, ease_scores = own.fit(split), ease.fit(split)
    for weight in WEIGHTS:
        option = OwnAndEase(own, ease, weight)
        yield option, option._sum(own_scores, ease_scores)
