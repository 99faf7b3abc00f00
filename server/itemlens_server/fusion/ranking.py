"""Selection of the largest values."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.rows import Ints


def top(values: Array, k: int) -> Ints:
    """Return the indices of the k largest values, largest first, ties by index."""
    if k <= 0:
        return np.zeros(0, np.int64)
    if k < len(values):
        threshold = np.partition(values, len(values) - k)[len(values) - k]
        chosen = np.flatnonzero(values >= threshold)
    else:
        chosen = np.arange(len(values))
    order = np.argsort(-values[chosen], kind="stable")
    return np.asarray(chosen[order][:k], np.int64)


def top_positive(values: Array, rows: Ints, depth: int) -> Ints:
    """Return those of `rows` that have the `depth` largest values above 0, ascending. values: of each row"""
    there = np.flatnonzero(values > 0)
    return np.sort(rows[there[top(values[there], depth)]])
