"""Clusters a history into interests, and merges their lists into one.

Past items are clustered by average linkage into at most 5 clusters, as in A. Pal et al., "PinnerSage", KDD 2020. Each
cluster is a separate query. A single mean vector would find items between a user's interests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

MAX_INTERESTS = 5
# Past items with a lower cosine always belong to different interests.
SAME_INTEREST = 0.6

Floats = np.ndarray[Any, np.dtype[np.float64]]


def cluster(similarity: Floats, most: int = MAX_INTERESTS) -> list[list[int]]:
    """Cluster n past items by their cosines [n, n]. Return lists of item numbers, at most `most` lists."""
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
    """Merge several lists into one of k, in which they take turns in proportion to their weights (D'Hondt). Return
    (item, list number)."""
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
