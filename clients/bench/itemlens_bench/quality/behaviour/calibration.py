"""Whether `probability` says how often an item of a list is really taken.

The first 20 of all lists are pooled and cut into ten bins of equal number by their probability. The figure is the mean
absolute difference of a bin's mean probability and its share of right answers, over the mean share.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from itemlens import UserSide

from ..ask import Asking
from ..rows import Floats, ReportRow
from .split import Question, Split

LISTED, BINS = 20, 10


def measure(asking: Asking, collection: str, seed: int, *, split: Split, most: float) -> Iterator[ReportRow]:
    """The row of a data set. The yardstick gives all items of the lists the same, right probability.

    The interval is of resampled lists, whose figures are larger: noise adds to absolute differences.
    """

    def ask(question: Question) -> tuple[list[float], list[float]]:
        answers = {split.items[n] for n in question.answers.tolist()}
        reply = asking.client.recommend(
            UserSide(user_id=split.users[question.user]), k=LISTED, exclude_seen=question.without_had,
            probabilities=True, collection=collection,
        )  # fmt: skip
        return [item.probability or 0.0 for item in reply], [float(i.item_id in answers) for i in reply]

    known = set(split.events.user.tolist())
    questions = [question for question in split.questions if question.user in known]
    found = asking.each(f"{collection}: probabilities", ask, questions)
    probability = np.concatenate([p for p, _ in found])
    right = np.concatenate([r for _, r in found])
    rng, owners = np.random.default_rng(seed), np.repeat(np.arange(len(found)), [len(p) for p, _ in found])
    starts = np.searchsorted(owners, np.arange(len(found) + 1))
    drawn = []
    for _ in range(200):
        some = rng.integers(0, len(found), len(found))
        rows = np.concatenate([np.arange(starts[n], starts[n + 1]) for n in some.tolist()])
        drawn.append(error(probability[rows], right[rows]))
    low, high = np.quantile(drawn, (0.025, 0.975))
    same = error(np.full(len(right), right.mean()), right, by=probability)
    yield ReportRow(
        "error of `probability` over the mean share of right answers", error(probability, right), len(found),
        (float(low), float(high)), most=most, yardstick=f"the same for all {same:.3f}",
    )  # fmt: skip


def error(probability: Floats, right: Floats, by: Floats | None = None) -> float:
    """The mean absolute difference in ten bins of equal number by `by`, over the mean share of right answers."""
    order = np.argsort(probability if by is None else by, kind="stable")
    bins = np.array_split(order, BINS)
    differences = [abs(float(probability[own].mean() - right[own].mean())) for own in bins]
    return float(np.mean(differences) / max(float(right.mean()), 1e-12))
