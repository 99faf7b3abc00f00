"""Do products get their places that are not among the most bought, of which co-counts know little?

The share of the right places of the lists that have such a product, over their share of the baskets: 1 is fair.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from itemlens import UserSide

from ..rows import Floats, ReportRow, resampled
from .histories import matrix
from .metrics import AT_ONCE, Scores
from .served import LISTED, Prepared
from .split import Ids, Split

MOST_BOUGHT = 6000


def measure(there: Prepared, *, split: Split, queries: int = 1000, least: float = 0.7) -> Iterator[ReportRow]:
    """The row of the server's lists, beside those of the yardsticks."""
    asked = split.sample(queries, there.seed)
    numbers = {item_id: n for n, item_id in enumerate(split.items)}
    beyond = np.ones(len(split.items), np.bool_)
    beyond[most_bought(split, MOST_BOUGHT)] = False

    def ask(user: int) -> Ids:
        side = UserSide(user_id=split.users[user])
        reply = there.asking.client.recommend(side, k=LISTED, exclude_seen=False, collection=there.collection)
        return np.asarray([numbers[item.item_id] for item in reply], np.int64)

    users = [question.user for question in asked.questions]
    lists = there.asking.each(f"{there.collection}: products beyond", ask, users)
    others = {
        name: ratio(_columns(_lists(yardstick.fit(split), asked), asked, beyond))
        for name, yardstick in there.yardsticks.items()
    }
    columns = _columns(lists, asked, beyond)
    drawn = resampled(columns, there.seed)
    low, high = np.quantile([ratio(row[None]) for row in drawn], (0.025, 0.975))
    yield ReportRow(
        f"products beyond the {MOST_BOUGHT:,} most bought: share of right places over share of baskets",
        ratio(columns), len(columns), (float(low), float(high)), least=least,
        yardstick="; ".join(f"{name} {value:.3f}" for name, value in others.items()),
    )  # fmt: skip


def most_bought(split: Split, count: int) -> Ids:
    """The items that most users took."""
    known = split.events
    takers = np.asarray(
        matrix(split, known.user, known.item, np.ones(len(known)), binary=True).sum(0)
    ).ravel()
    return np.argsort(-takers, kind="stable")[:count].astype(np.int64)


def ratio(columns: Floats) -> float:
    """The ratio of the shares from the columns of `_columns`, float64 [questions, 4]; NaN where nothing is beyond."""
    right_beyond, right, answers_beyond, answers = columns.sum(0).tolist()
    if not (right and answers_beyond):
        return float("nan")
    return float(right_beyond / right / (answers_beyond / answers))


def _columns(lists: list[Ids], split: Split, beyond: NDArray[np.bool_]) -> Floats:
    """Of each question: right places with an item beyond, right places, answers beyond, answers."""
    rows = []
    for found, question in zip(lists, split.questions, strict=True):
        right = np.intersect1d(found, question.answers)
        rows.append((beyond[right].sum(), len(right), beyond[question.answers].sum(), len(question.answers)))
    return np.asarray(rows, np.float64)


def _lists(scores: Scores, split: Split) -> list[Ids]:
    found = []
    for start in range(0, len(split.questions), AT_ONCE):
        for row in scores(split.questions[start : start + AT_ONCE]):
            found.append(np.argsort(-row, kind="stable")[:LISTED].astype(np.int64))
    return found
