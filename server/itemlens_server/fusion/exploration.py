"""Places for items without events, so that something is learnt about them.

    n = floor(share k + U)                      places of k, U uniform in [0, 1): share k on average
    i drawn with probability P(i) / sum_j P(j)  for each of them, without replacement, of the items j without events

The places are drawn uniformly, so that items with and without events can be compared at the same places. An item is
tried by the users who are most likely to take it.
"""

from __future__ import annotations

import math

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.rows import Ints

# Items that are drawn from at most. Of more, each call takes others at random.
POOL = 1024


def places(k: int, share: float, random: np.random.Generator) -> Ints:
    """Return the places of a list of `k` that are given to items without events, from 0, in any order."""
    count = min(math.floor(share * k + random.random()), k)
    return random.choice(k, count, replace=False).astype(np.int64)


def pool(positions: Ints, random: np.random.Generator) -> Ints:
    """Return the positions to draw from, ascending: all, or `POOL` of them at random."""
    if len(positions) <= POOL:
        return positions
    return np.sort(random.choice(positions, POOL, replace=False))


def order(log_p: Array, random: np.random.Generator) -> Ints:
    """Return the indices of items in the order in which they are drawn. log_p: ln P of each, float32 [items].

    Adding Gumbel noise and sorting draws without replacement in proportion to P (W. Kool et al., ICML 2019).
    """
    return np.argsort(-(log_p.astype(np.float64) + random.gumbel(size=len(log_p)))).astype(np.int64)
