"""The yardstick for the next item: EASE, in an implementation that shares no code with the server.

H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. B = I - P / diag(P) with P the inverse of
the Gram matrix of the 0/1 user-item matrix plus lambda. A history's score is sum_j a_j B_j, a_j = decay by place over
the last `WINDOW` different items, with the server's defaults. Items of the history are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs

from .rows import Floats

F = TypeVar("F", np.float32, np.float64)

WINDOW = 50
DECAY = 0.9
BLOCK = 1024
"""Rows that are mirrored at a time."""
LAMBDAS = (100.0, 300.0, 500.0, 1000.0, 2000.0, 3000.0)


@dataclass(frozen=True)
class Taken:
    """The fields of one event that the yardstick uses."""

    user: str
    item: str
    time: float
    wanted: bool = True
    weight: float = 1.0


@dataclass(frozen=True)
class Next:
    """A question: which item comes after `history` (oldest first)? No item of it is an answer."""

    user: str
    history: tuple[Taken, ...]
    answer: str


def split(events: Sequence[Taken], share: float) -> tuple[list[Taken], list[Taken]]:
    """The first `share` of the events by time, and the rest; equal times stay together."""
    ordered = sorted(events, key=lambda e: e.time)
    cut = ordered[round(share * len(ordered))].time
    return [e for e in ordered if e.time < cut], [e for e in ordered if e.time >= cut]


def questions(past: Sequence[Taken], later: Sequence[Taken], least_history: int = 3) -> list[Next]:
    """One question for each wanted later event whose user has at least `least_history` earlier events.

    The history is all that the user did before that event, later events included.
    """
    before: dict[str, list[Taken]] = {}
    for event in past:
        before.setdefault(event.user, []).append(event)
    asked = []
    for event in later:
        history = before.setdefault(event.user, [])
        seen = {past_event.item for past_event in history}
        if event.wanted and len(history) >= least_history and event.item not in seen:
            asked.append(Next(event.user, tuple(history), event.item))
        history.append(event)
    return asked


def matrix(events: Sequence[Taken], items: Mapping[str, int]) -> Floats:
    """The 0/1 user-item matrix."""
    users = {user: n for n, user in enumerate(dict.fromkeys(e.user for e in events))}
    x = np.zeros((len(users), len(items)))
    for event in events:
        x[users[event.user], items[event.item]] = 1.0
    return x


def ease(x: Floats, regularisation: float) -> Floats:
    """B, float64 [items, items] with a zero diagonal. Row j is what having taken j says about the other items."""
    return from_gram(x.T @ x, regularisation)


def from_gram(gram: NDArray[F], regularisation: float) -> NDArray[F]:
    """B from the items' Gram matrix x' x, in its precision; in the memory of one copy.

    Raises:
        numpy.linalg.LinAlgError: the Gram matrix plus lambda is not positive definite.
    """
    cholesky, inverse = get_lapack_funcs(("potrf", "potri"), (gram,))
    p = np.array(gram, order="F")
    p[np.diag_indices_from(p)] += regularisation
    p, failed = cholesky(p, lower=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError(f"the Gram matrix plus {regularisation:g} is not positive definite")
    p, _ = inverse(p, lower=1, overwrite_c=1)
    for start in range(0, len(p), BLOCK):  # LAPACK fills the lower triangle only
        p[:start, start : start + BLOCK] = p[start : start + BLOCK, :start].T
        block = p[start : start + BLOCK, start : start + BLOCK]
        block[:] = np.tril(block) + np.tril(block, -1).T
    p /= -np.diag(p).copy()[None, :]
    np.fill_diagonal(p, 0.0)
    return np.asarray(p)


def shares(history: Sequence[Taken], window: int = WINDOW, decay: float = DECAY) -> dict[str, float]:
    """a_j of the last `window` different items: an item's largest event weight x decay ** its place from the newest."""
    weights: dict[str, float] = {}
    for event in reversed(history):
        weights[event.item] = max(event.weight, weights.get(event.item, 0.0))
    newest_first = list(weights.items())[:window]
    return {item: weight * decay**n for n, (item, weight) in enumerate(newest_first)}


def hits(asked: Sequence[Next], items: Mapping[str, int], k: int, b: Floats) -> Floats:
    """Whether each answer is among the k best of the items that are not in the history."""

    def score(question: Next) -> Floats:
        known = {items[item]: a for item, a in shares(question.history).items() if item in items}
        return np.asarray(list(known.values())) @ b[list(known)] if known else np.zeros(len(items))

    return _hits(asked, items, k, score)


def popular(asked: Sequence[Next], items: Mapping[str, int], k: int, counts: Floats) -> Floats:
    """The same for a ranking by popularity."""
    return _hits(asked, items, k, lambda _: counts.copy())


def _hits(asked: Sequence[Next], items: Mapping[str, int], k: int, score: Callable[[Next], Floats]) -> Floats:
    hits = np.zeros(len(asked))
    for n, question in enumerate(asked):
        if (target := items.get(question.answer)) is not None:
            scores = score(question)
            scores[[items[event.item] for event in question.history if event.item in items]] = -np.inf
            hits[n] = (scores > scores[target]).sum() < k
    return hits


def tuned(past: Sequence[Taken], k: int) -> float:
    """The lambda with the most hits on the last tenth of `past`."""
    earlier, slice_ = split(past, 0.9)
    items = columns(earlier)
    asked, x = questions(earlier, slice_), matrix(earlier, items)
    return max(LAMBDAS, key=lambda r: float(hits(asked, items, k, ease(x, r)).mean()))


def columns(events: Sequence[Taken]) -> dict[str, int]:
    """A column for each item that was taken."""
    return {item: n for n, item in enumerate(sorted({event.item for event in events}))}
