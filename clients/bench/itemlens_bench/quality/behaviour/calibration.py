"""Whether `probability` says how often an item of a list is really taken.

The first 20 of all lists are pooled and cut into ten bins of equal number by their probability. The figure is the mean
absolute difference of a bin's mean probability and its share of right answers, over the mean share.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from itemlens import UserSide

from ..rows import Floats, ReportRow, resampled
from .served import Prepared
from .split import Ids, Question, Split

LISTED, BINS = 20, 10


def measure(there: Prepared, *, split: Split, most: float) -> Iterator[ReportRow]:
    """The row of a data set. One yardstick gives all items of the lists the same, right probability; the other is what
    right probabilities of these lists would show, by chance alone."""

    def ask(question: Question) -> tuple[list[float], list[float]]:
        answers = {split.items[n] for n in question.answers.tolist()}
        reply = there.asking.client.recommend(
            UserSide(user_id=split.users[question.user]), k=LISTED, exclude_seen=question.without_had,
            probabilities=True, collection=there.collection,
        )  # fmt: skip
        return [item.probability or 0.0 for item in reply], [float(i.item_id in answers) for i in reply]

    known = set(split.events.user.tolist())
    questions = [question for question in split.questions if question.user in known]
    found = there.asking.each(f"{there.collection}: probabilities", ask, questions)
    probability = np.concatenate([p for p, _ in found])
    right = np.concatenate([r for _, r in found])
    figure = error(probability, right)
    owners = np.repeat(np.arange(len(found)), [len(p) for p, _ in found])
    by_chance = noise(probability, right, owners, there.seed)
    same = error(np.full(len(right), right.mean()), right, by=probability)
    yield ReportRow(
        "error of `probability` over the mean share of right answers", figure, len(found),
        interval(figure, by_chance), most=most,
        yardstick=f"the same for all {same:.3f}; right ones, by chance {by_chance.mean():.3f}",
    )  # fmt: skip


def error(probability: Floats, right: Floats, by: Floats | None = None) -> float:
    """The mean absolute difference in ten bins of equal number by `by`, over the mean share of right answers."""
    bins = _bins(probability if by is None else by)
    differences = np.bincount(bins, probability - right, BINS) / np.bincount(bins, minlength=BINS)
    return float(np.abs(differences).mean() / max(float(right.mean()), 1e-12))


def noise(probability: Floats, right: Floats, owners: Ids, seed: int) -> Floats:
    """The mean absolute change of the bins' differences if whole lists are resampled; float64 [resamples].

    The bins are those of the whole sample: they do not move with the resamples. owners: number of each item's list
    """
    bins, lists = _bins(probability), int(owners.max()) + 1

    def by_list(values: Floats) -> Floats:
        sums = np.bincount(owners * BINS + bins, values, lists * BINS).astype(np.float64)
        return sums.reshape(lists, BINS)

    ones = np.ones(len(right))
    columns = np.hstack([by_list(probability - right), by_list(ones), by_list(right)])

    def differences(sums: Floats) -> Floats:
        of_bins, sizes, answers = np.split(sums, 3, axis=1)
        share = answers.sum(1, keepdims=True) / sizes.sum(1, keepdims=True)
        return np.asarray(of_bins / np.maximum(sizes, 1.0) / np.maximum(share, 1e-12))

    changes = differences(resampled(columns, seed)) - differences(columns.sum(0, keepdims=True))
    return np.asarray(np.abs(changes).mean(1))


def interval(figure: float, by_chance: Floats) -> tuple[float, float]:
    """An interval that holds the true error in at least 95% of samples.

    Noise adds to absolute differences, so resampled figures lie above the figure, and their quantiles are no interval.
    But a mean of absolute values moves by no more than the mean absolute noise, by the triangle inequality.
    """
    most = float(np.quantile(by_chance, 0.95))
    return max(figure - most, 0.0), figure + most


def _bins(by: Floats) -> NDArray[np.int64]:
    """The number of each value's bin; ten bins of equal number, the lowest first."""
    bins = np.empty(len(by), np.int64)
    for number, own in enumerate(np.array_split(np.argsort(by, kind="stable"), BINS)):
        bins[own] = number
    return bins
