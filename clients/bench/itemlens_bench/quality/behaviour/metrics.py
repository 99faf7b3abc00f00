"""Where right answers stand in lists, and what that is worth. Ties count by expectation, as if broken at random.

Every figure is an array over questions, so that the difference of two systems has a paired interval (`quality.rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..rows import Floats
from .split import Ids, Question, Split

Scores = Callable[[Sequence[Question]], NDArray[np.floating]]
"""What a system says to a batch of questions: the scores of all items, [questions, items], a new array each time."""

AT_ONCE = 500
"""Number of questions whose scores are in memory at a time."""


@dataclass(frozen=True, eq=False)
class Places:
    """The places of all answers. One entry an answer: its question's number, how many items score above it, and how
    many equal it, itself included."""

    questions: int
    question: Ids
    above: Ids
    equal: Ids

    def recall(self, k: int) -> Floats:
        """The expected share of the answers among the first `k`; with one answer the hit rate (HR). [questions]"""
        found = self._by_question(np.clip((k - self.above) / self.equal, 0.0, 1.0))
        return np.asarray(found / self._answers())

    def ndcg(self, k: int) -> Floats:
        """The expected normalised discounted cumulative gain of the first `k`. [questions]

        K. Järvelin, J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002; gain 1.
        """
        gains = np.r_[0.0, np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))]  # of the first n places
        start, stop = np.minimum(self.above, k), np.minimum(self.above + self.equal, k)
        ideal = gains[np.minimum(self._answers(), k)]
        found = self._by_question((gains[stop] - gains[start]) / self.equal)
        return np.asarray(found / ideal)

    def _by_question(self, values: Floats) -> Floats:
        return np.bincount(self.question, values, self.questions).astype(np.float64)

    def _answers(self) -> Ids:
        return np.bincount(self.question, minlength=self.questions).astype(np.int64)


def places(scores: Scores, split: Split) -> Places:
    """Asks all questions. An answer that is left out of the list because it was had is below everything.

    Raises:
        ValueError: the split has no questions.
    """
    asked = split.questions
    if not asked:
        raise ValueError(f"{split.name} has no questions")
    found: list[tuple[Ids, Ids]] = []
    for start in range(0, len(asked), AT_ONCE):
        batch = asked[start : start + AT_ONCE]
        for question, row in zip(batch, scores(batch), strict=True):
            if question.without_had:
                row[split.had(question)] = -np.inf
            found.append(_place(row, question.answers))
    return Places(
        len(asked),
        np.repeat(np.arange(len(asked)), [len(question.answers) for question in asked]),
        np.concatenate([above for above, _ in found]),
        np.concatenate([equal for _, equal in found]),
    )


def _place(scores: NDArray[np.floating], answers: Ids) -> tuple[Ids, Ids]:
    own = scores[answers][:, None]
    return (scores > own).sum(1), (scores == own).sum(1)
