"""A list of different kinds of items, for a user of whom nothing is known: what one kind has, the next need not have.

    place n goes to   argmax over items i  of  alpha_i - LIKENESS max(0, max over items j above of cos(e_i, e_j))

This is maximal marginal relevance (J. Carbonell, J. Goldstein, SIGIR 1998), in nats.
"""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.head import Array, Head, unit
from itemlens_server.fusion.ranking import top
from itemlens_server.fusion.rows import Ints

MOST = 100
LIKENESS = 0.25
"""Nats that an item loses if it is equal to one above it."""


def pool_size(k: int) -> int:
    """Return how many of the best items a list of `k` is chosen from."""
    return 3 * k + 50


def best_newest_first(alpha: Array, count: int) -> Ints:
    """Return the indices of the largest of alpha, float32 [items], the largest first; of equal ones the last first."""
    last = len(alpha) - 1
    return np.asarray(last - top(alpha[::-1], count), np.int64)


def contents(head: Head, h: Array) -> Array:
    """Return the contents of rows of h by which they are alike, unit length or 0; float32 [rows, numbers]."""
    return unit(np.concatenate([h[:, head.block(name)] for name in head.names], axis=1))


def spread(alpha: Array, e: Array, k: int) -> Ints:
    """Return the indices of k items by place.

    alpha: float32 [items]; of items that are worth the same, the first comes first. e: `contents` of the items. After
    the first MOST places, the rest come by alpha.
    """
    left, common, places = alpha.astype(np.float64), np.zeros(len(alpha)), []
    for _ in range(min(k, MOST, len(alpha))):
        best = int((left - LIKENESS * common).argmax())
        places.append(best)
        left[best] = -np.inf
        np.maximum(common, e @ e[best], out=common)
    rest = np.argsort(-left, kind="stable")[: max(min(k, len(alpha)) - len(places), 0)]
    return np.concatenate([np.asarray(places, np.int64), rest])
