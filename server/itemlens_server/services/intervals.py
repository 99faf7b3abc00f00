"""Rates with 95% intervals where what is counted comes in groups: the answers of one user are not independent.

Both intervals are cluster-robust: what varies is the user, not the answer (W. G. Cochran, Sampling Techniques, 1977, on
ratio estimates; E. L. Korn and B. I. Graubard, 1998, on shares with an effective sample size).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

Floats = np.ndarray[Any, np.dtype[np.float64]]
UPPER = 0.975


@dataclass(frozen=True)
class Rate:
    """A rate with its interval.

    value is None where nothing was counted, low and high where the groups say nothing of others.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None


def ratio(amounts: Floats, counts: Floats, least: float = float("-inf")) -> Rate:
    """Return the sum of `amounts` over that of `counts`, both by group, float64 [groups].

    Groups that are all the same, such as all without a purchase, say nothing of how far others may differ: then there
    is no interval. least: the smallest that a rate can be
    """
    total = counts.sum()
    if not total:
        return Rate()
    value = float(amounts.sum() / total)
    if len(counts) < 2:
        return Rate(value)
    variance = _variance(amounts, counts, value)
    if not variance > 1e-24 * max(value * value, 1e-12):
        return Rate(value)
    half = float(stdtrit(len(counts) - 1, UPPER)) * variance**0.5
    return Rate(value, max(least, value - half), value + half)


def share(hits: Floats, counts: Floats) -> Rate:
    """Return the share of `hits` among `counts`, both by group, float64 [groups], with Wilson's interval.

    Its sample size is that of independent trials with the same variance, at most what was counted. Where all or none
    are hits, the variance is not known, and each group counts as one trial.
    """
    total = counts.sum()
    if not total:
        return Rate()
    value = float(hits.sum() / total)
    if len(counts) < 2:
        return Rate(value)
    if 0 < value < 1:
        size = min(total, value * (1 - value) / max(_variance(hits, counts, value), 1e-300))
    else:
        size = float(np.count_nonzero(counts))
    squared = float(stdtrit(len(counts) - 1, UPPER)) ** 2 / size
    middle = (value + squared / 2) / (1 + squared)
    half = (squared * value * (1 - value) + squared**2 / 4) ** 0.5 / (1 + squared)
    return Rate(value, max(0.0, middle - half), min(1.0, middle + half))


def _variance(amounts: Floats, counts: Floats, value: float) -> float:
    """Return the variance of a ratio of sums over groups, by its first-order terms."""
    groups = len(counts)
    return float(groups / (groups - 1) * np.square(amounts - value * counts).sum() / counts.sum() ** 2)
