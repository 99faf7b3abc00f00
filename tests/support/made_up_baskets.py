"""Tiny data sets for the tests of the behavioural benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from itemlens_bench.quality.behaviour.split import Question, Split, events, last_baskets

ITEMS, USERS = 30, 24


def circle(user: int) -> list[list[int]]:
    """Baskets of two out of a third of the items, which is the user's own."""
    return [[(user + 3 * n) % ITEMS, (user + 3 * n + 3) % ITEMS] for n in range(5)]


def split(
    baskets: Sequence[Sequence[Sequence[int]]],
    items: int,
    questions: Sequence[Question] = (),
    *,
    timed: bool = False,
) -> Split:
    """`baskets[user]` holds the user's baskets, oldest first; basket n happens in week n."""
    rows = [(u, i, n) for u, all_of in enumerate(baskets) for n, basket in enumerate(all_of) for i in basket]
    user, item, number = np.asarray(rows).T
    return Split(
        "made up",
        tuple(str(n) for n in range(items)),
        tuple(str(n) for n in range(len(baskets))),
        events(user, item, number * 7 * 24 * 3600.0, number),
        tuple(questions),
        partial(last_baskets, without_had=False),
        timed,
    )


def ask(user: int, *answers: int, without_had: bool = False) -> Question:
    """A question."""
    return Question(user, np.asarray(answers), without_had)
