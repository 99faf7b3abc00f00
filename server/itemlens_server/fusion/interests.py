"""A history read as several interests, and one list made of theirs.

Past items are clustered by average linkage, at most 5 clusters, as in A. Pal et al., "PinnerSage", KDD 2020; each
cluster is a query of its own. One mean vector would find what lies between a user's interests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

MAX_INTERESTS = 5
# Past items less alike than this are different interests, whatever else there is.
SAME_INTEREST = 0.6

Floats = np.ndarray[Any, np.dtype[np.float64]]


def cluster(similarity: Floats, most: int = MAX_INTERESTS) -> list[list[int]]:
    """Clusters of n past items by their cosines [n, n]: lists of their numbers, at most `most` lists."""
    n = len(similarity)
    if n == 1 or most == 1:
        return [list(range(n))]
    distance = np.clip(1.0 - (similarity + similarity.T) / 2, 0.0, 2.0)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average")
    labels = fcluster(tree, 1.0 - SAME_INTEREST, "distance")
    if labels.max() > most:
        labels = fcluster(tree, most, "maxclust")
    return [np.flatnonzero(labels == c).tolist() for c in np.unique(labels)]


def merge(lists: Sequence[Sequence[int]], weights: Sequence[float], k: int) -> list[tuple[int, int]]:
    """One list of k from several, which take turns in proportion to their weights (D'Hondt): (item, list number)."""
    taken: set[int] = set()
    merged: list[tuple[int, int]] = []
    given = [0] * len(lists)
    nexts = [0] * len(lists)
    while len(merged) < k:
        for n, items in enumerate(lists):
            while nexts[n] < len(items) and items[nexts[n]] in taken:
                nexts[n] += 1
        open_lists = [n for n, items in enumerate(lists) if nexts[n] < len(items)]
        if not open_lists:
            break
        n = max(open_lists, key=lambda n: weights[n] / (given[n] + 1))
        item = lists[n][nexts[n]]
        taken.add(item)
        merged.append((item, n))
        given[n] += 1
    return merged
