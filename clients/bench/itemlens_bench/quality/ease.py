"""The yardstick for "what comes next": EASE, written again so that it shares no code with what it measures.

H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. B = I - P / diag(P) with P the inverse of
the Gram matrix of the 0/1 user-item matrix plus lambda. A history's score is sum_j a_j B_j, a_j = decay by place over
the last `WINDOW` different items, the same as the server's defaults; what was seen is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .rows import Floats

WINDOW = 50
DECAY = 0.9
LAMBDAS = (100.0, 300.0, 500.0, 1000.0, 2000.0, 3000.0)


@dataclass(frozen=True)
class Taken:
    """One event, as far as the yardstick looks at it."""

    user: str
    item: str
    time: float
    wanted: bool = True


@dataclass(frozen=True)
class Next:
    """A question: which item comes after `history` (oldest first, with repeats)? All of it was seen."""

    user: str
    history: tuple[str, ...]
    answer: str


def split(events: Sequence[Taken], share: float) -> tuple[list[Taken], list[Taken]]:
    """The first `share` of the events by time, and the rest; equal times stay together."""
    ordered = sorted(events, key=lambda e: e.time)
    cut = ordered[round(share * len(ordered))].time
    return [e for e in ordered if e.time < cut], [e for e in ordered if e.time >= cut]


def questions(past: Sequence[Taken], later: Sequence[Taken], least_history: int = 3) -> list[Next]:
    """A question for each wanted later event of a user with `least_history` events in `past`; all that the user did
    before it, later events too, is its history."""
    before: dict[str, list[str]] = {}
    for event in past:
        before.setdefault(event.user, []).append(event.item)
    known = {user for user, items in before.items() if len(items) >= least_history}
    found = []
    for event in later:
        history = before.setdefault(event.user, [])
        if event.user in known and event.wanted and event.item not in history:
            found.append(Next(event.user, tuple(history), event.item))
        history.append(event.item)
    return found


def matrix(events: Sequence[Taken], items: Mapping[str, int]) -> Floats:
    """The 0/1 user-item matrix."""
    users = {user: n for n, user in enumerate(dict.fromkeys(e.user for e in events))}
    x = np.zeros((len(users), len(items)))
    for event in events:
        x[users[event.user], items[event.item]] = 1.0
    return x


def ease(x: Floats, regularisation: float) -> Floats:
    """B, [items, items] with a zero diagonal: row j is what having taken j says of the others."""
    gram = x.T @ x
    p = np.linalg.inv(gram + regularisation * np.eye(len(gram)))
    b = -p / np.diag(p)[None, :]
    np.fill_diagonal(b, 0.0)
    return np.asarray(b)


def shares(history: Sequence[str], window: int = WINDOW, decay: float = DECAY) -> dict[str, float]:
    """a_j of the last `window` different items, the newest 1."""
    newest_first = list(dict.fromkeys(reversed(history)))[:window]
    return {item: decay**n for n, item in enumerate(newest_first)}


def hits(asked: Sequence[Next], items: Mapping[str, int], k: int, b: Floats | None, popularity: Floats) -> Floats:
    """Whether each answer is in the k best by B, or by popularity without one."""
    found = np.zeros(len(asked))
    for n, question in enumerate(asked):
        target = items.get(question.answer)
        if target is None:
            continue
        if b is None:
            scores = popularity.copy()
        else:
            scores = np.zeros(len(items))
            for item, a in shares(question.history).items():
                if item in items:
                    scores += a * b[items[item]]
        scores[[items[i] for i in set(question.history) if i in items]] = -np.inf
        found[n] = (scores > scores[target]).sum() < k
    return found


def tuned(past: Sequence[Taken], k: int) -> float:
    """The lambda that serves best on the last tenth of `past`."""
    earlier, slice_ = split(past, 0.9)
    items = {item: n for n, item in enumerate(sorted({e.item for e in earlier}))}
    asked, x = questions(earlier, slice_), matrix(earlier, items)
    popularity = x.sum(0)
    return max(LAMBDAS, key=lambda r: float(hits(asked, items, k, ease(x, r), popularity).mean()))
