"""Figures of measured rounds: percentiles, medians with their spread, and ratios taken within a round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
PERCENTILES = (50.0, 90.0, 99.0, 99.9)


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of the rounds' values."""

    median: float
    least: float
    most: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """The spread of one value per round; there must be at least one."""
        return Spread(float(np.median(values)), float(min(values)), float(max(values)))


def shares(these: Sequence[float], those: Sequence[float]) -> Spread:
    """The shares of `these` in `those`, taken round by round: a slow round slows both sides."""
    return Spread.of([mine / yours for mine, yours in zip(these, those, strict=True)])


def percentile(values: Floats, q: float) -> float:
    """The smallest of `values` that at least `q` percent of them do not exceed; nan if there are none."""
    return float(np.percentile(values, q, method="inverted_cdf")) if len(values) else float("nan")


def milliseconds(latency: Floats, which: Sequence[float] = PERCENTILES) -> dict[str, float]:
    """Percentiles of latencies in seconds, in milliseconds, by the column that shows them ("p99 ms")."""
    return {f"p{q:g} ms": 1e3 * percentile(latency, q) for q in which}
