"""Yardstick for baskets: TIFU-KNN, the user's own frequencies, decayed twice, mixed with those of similar users.

H. Hu, X. He, J. Gao, Z. Zhang, "Modeling Personalized Item Frequency Information for Next-basket Recommendation",
SIGIR 2020. A user's baskets form groups of `group` (the oldest may be smaller). Within a group of n the i-th basket
counts within ** (n - i) / n, and of N groups the i-th counts between ** (N - i) / N. The score is
own * the user's vector + (1 - own) * the mean vector of the `neighbours` nearest other users by Euclidean distance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .histories import basket_ages, matrix
from .metrics import Scores
from .split import Ids, Question, Split
from .tuning import Figure, best_with_value

STEPS: Mapping[str, Sequence[Any]] = {
    "group": (1, 2, 3, 5, 7, 10, 14),
    "within": (0.7, 0.8, 0.9, 0.95, 1.0),
    "between": (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0),
}
NEIGHBOURS = (30, 100, 300, 900)
OWN = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class TifuKnn:
    """The paper's m, r_b, r_g, k and alpha. The defaults are those of its code for Ta-Feng."""

    group: int = 7
    within: float = 0.9
    between: float = 0.7
    neighbours: int = 300
    own: float = 0.7

    def vectors(self, split: Split) -> sparse.csr_array:
        """The users' vectors; float32 [users, items]."""
        known, age = split.events, basket_ages(split.events)
        oldest = np.zeros(len(split.users), np.int64)
        np.maximum.at(oldest, known.user, age)
        groups = oldest // self.group + 1
        number = age // self.group  # from the newest
        first = number == groups[known.user] - 1
        size = np.where(first, oldest[known.user] % self.group + 1, self.group)
        weight = self.within ** (age % self.group) / size * self.between**number / groups[known.user]
        return matrix(split, known.user, known.item, weight)

    def fit(self, split: Split) -> Scores:
        """See `Yardstick`."""
        vectors = self.vectors(split)

        def scores(questions: Sequence[Question]) -> NDArray[np.floating]:
            users = np.asarray([question.user for question in questions])
            others = _means(vectors, _nearest(vectors, users, self.neighbours))
            return self._mix(vectors[users].toarray(), others)

        return scores

    def prepared(self, users: Ids, own: NDArray[np.floating], others: NDArray[np.floating]) -> Scores:
        """The scores for these users, whose own and neighbours' vectors are known already, [users, items] each."""
        row = {user: n for n, user in enumerate(users.tolist())}

        def scores(questions: Sequence[Question]) -> NDArray[np.floating]:
            rows = [row[question.user] for question in questions]
            return self._mix(own[rows], others[rows])

        return scores

    def _mix(self, own: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.floating]:
        return self.own * own + (1.0 - self.own) * others


def tuned(split: Split, figure: Figure) -> TifuKnn:
    """One parameter of the vectors after the other, from the defaults, until none gets better.

    `neighbours` and `own` are chosen anew for each choice of the others, since they share vectors and distances.
    """
    users = np.unique([question.user for question in split.questions])

    def value(option: TifuKnn) -> tuple[float, TifuKnn]:
        return best_with_value(_same_vectors(split, users, option), split, figure)

    found = value(TifuKnn())
    tried = {replace(found[1], neighbours=0, own=0.0)}
    improved = True
    while improved:
        improved = False
        for name, choices in STEPS.items():
            for choice in choices:
                option = replace(found[1], **{name: choice}, neighbours=0, own=0.0)
                if option not in tried:
                    tried.add(option)
                    if (other := value(option))[0] > found[0]:
                        found, improved = other, True
    return found[1]


def _same_vectors(split: Split, users: Ids, option: TifuKnn) -> Iterator[tuple[TifuKnn, Scores]]:
    vectors = option.vectors(split)
    nearest, own = _nearest(vectors, users, max(NEIGHBOURS)), vectors[users].toarray()
    for neighbours in NEIGHBOURS:
        others = _means(vectors, nearest[:, :neighbours])
        for share in OWN:
            variant = replace(option, neighbours=neighbours, own=share)
            yield variant, variant.prepared(users, own, others)


def _nearest(vectors: sparse.csr_array, users: Ids, count: int) -> Ids:
    """The `count` nearest other users of each, the nearest first; [users, count or one less than all]."""
    square = np.asarray(vectors.multiply(vectors).sum(1)).ravel()
    count = min(count, vectors.shape[0] - 1)
    found = np.empty((len(users), count), np.int64)
    transposed = vectors.T.tocsr()
    for start in range(0, len(users), 500):
        some = users[start : start + 500]
        distance = square[None] - 2.0 * (vectors[some] @ transposed).toarray()  # less the own square
        distance[np.arange(len(some)), some] = np.inf
        near = np.argpartition(distance, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(distance, near, 1), axis=1, kind="stable")
        found[start : start + 500] = np.take_along_axis(near, order, 1)
    return found


def _means(vectors: sparse.csr_array, nearest: Ids) -> NDArray[np.floating]:
    """The mean vector of each row's users; float32 [rows, items]."""
    rows, count = nearest.shape
    chosen = sparse.csr_array(
        (np.full(rows * count, 1.0 / count, np.float32), nearest.ravel(), np.arange(rows + 1) * count),
        (rows, vectors.shape[0]),
    )
    return np.asarray((chosen @ vectors).toarray())
