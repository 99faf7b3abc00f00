"""What users had, as matrices: rows are users, columns items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from ..rows import Floats
from .split import Events, Ids, Question, Split

KIND_WEIGHTS = {"view": 0.2, "click": 0.5, "cart": 0.8, "purchase": 1.0}
"""The server's default weights of event types."""


def taken(split: Split) -> sparse.csr_array:
    """1 where the user had the item; float32."""
    return matrix(split, split.events.user, split.events.item, np.ones(len(split.events)), binary=True)


def matrix(split: Split, user: Ids, item: Ids, weight: Floats, *, binary: bool = False) -> sparse.csr_array:
    """The sum of the weights of each pair, or 1; float32 [users, items]."""
    shape = (len(split.users), len(split.items))
    summed = sparse.csr_array((weight.astype(np.float32), (user, item)), shape)
    summed.sum_duplicates()
    if binary:
        summed.data[:] = 1.0
    return summed


def basket_ages(events: Events) -> Ids:
    """For each event the number of baskets that its user had after that one: 0 in the newest."""
    starts_basket = np.r_[
        True, (events.user[1:] != events.user[:-1]) | (events.basket[1:] != events.basket[:-1])
    ]
    number = np.cumsum(starts_basket)
    last = number[np.searchsorted(events.user, events.user, side="right") - 1]
    return np.asarray(last - number)


def newest_first(split: Split, question: Question, window: int | None, by_kind: bool) -> tuple[Ids, Floats]:
    """The user's last `window` different items at the time of the question, or all of them, the newest first.

    With them the weight of each: that of the kind of its events (the largest), or 1 without `by_kind`.
    """
    past = split.events.of(question.user)
    had = np.concatenate([past.item, question.since.item])[::-1]
    items, first, number = np.unique(had, return_index=True, return_inverse=True)
    weight = np.ones(len(items))
    if by_kind:
        kinds = np.concatenate([past.kind, question.since.kind])[::-1]
        weight[:] = 0.0
        np.maximum.at(weight, number, np.asarray([KIND_WEIGHTS.get(kind, 0.0) for kind in kinds.tolist()]))
    order = np.argsort(first)[:window]
    return items[order], weight[order]


def decayed(
    split: Split, questions: Sequence[Question], window: int | None, decay: float, by_kind: bool
) -> sparse.csr_array:
    """Weight * `decay` ** place of each question's last `window` different items; float32 [questions, items]."""
    histories = [newest_first(split, question, window, by_kind) for question in questions]
    items, weights = (np.concatenate(part) for part in zip(*histories, strict=True))
    sizes = np.asarray([len(history) for history, _ in histories])
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    values = (weights * decay**place).astype(np.float32)
    return sparse.csr_array((values, items, np.r_[0, np.cumsum(sizes)]), (len(questions), len(split.items)))
