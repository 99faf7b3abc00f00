"""Clusters a history into interests, and deals the places of a list to them.

Past items are clustered by average linkage into at most 5 clusters, as in A. Pal et al., "PinnerSage", KDD 2020. Each
cluster is a separate query. A single mean vector would find items between a user's interests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from itemlens_server.fusion.caps import FREE, NO_CAPS, Caps
from itemlens_server.fusion.rows import Ints

MAX_INTERESTS = 5
SAME_INTEREST = 1.0
"""Nats. Groups of past items are one interest if an item of one speaks more than this for one of the other."""

CLEAR_INTEREST = 4.0
"""Nats. Where equal items say less for each other, other terms decide, and all past items are one interest.

Equal items then make each other e^4 = 55 times as likely. It lies between what fits to events found for a shop whose
users take by habit (Complete Journey, 0) and for one where likeness counts (the bundled catalogue, 5); without events
it is 12. No list was measured in between."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


def cluster(evidence: Floats, most: int = MAX_INTERESTS) -> list[list[int]]:
    """Cluster n past items by what each adds to the log-odds of the others, nats, float64 [n, n]; it is about 0 for
    items that have nothing in common. Return lists of item numbers, at most `most` lists.
    """
    n = len(evidence)
    if n == 1 or most == 1:
        return [list(range(n))]
    evidence = (evidence + evidence.T) / 2
    # A distance may not be negative: the largest evidence has distance 0.
    largest = max(float(evidence.max()), SAME_INTEREST)
    distance = largest - evidence
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average")
    labels = fcluster(tree, largest - SAME_INTEREST, "distance")
    clusters = [np.flatnonzero(labels == c).tolist() for c in np.unique(labels)]
    if len(clusters) <= most:
        return clusters
    # Outliers join the cluster that is most like them: they shall not make two large clusters one.
    clusters.sort(key=lambda c: (-len(c), c))
    kept = [list(c) for c in clusters[:most]]
    likeness = np.stack([evidence[:, c].mean(1) for c in clusters[:most]], axis=1)
    for number in sorted(n for c in clusters[most:] for n in c):
        kept[int(likeness[number].argmax())].append(number)
    return [sorted(c) for c in kept]


def merge(
    lists: Sequence[Sequence[int] | Ints],
    shares: Sequence[float],
    k: int,
    caps: Caps = NO_CAPS,
    placed: Sequence[int] = (),
) -> list[tuple[int, int]]:
    """Deal k places to lists by their shares, which add up to 1. Return (item, list number) by position. placed: items
    that have places besides these.

    Each place goes to the list that is furthest behind its share of the places dealt by then. An item that is in
    several lists is taken once; one for which `caps` have no room any more is passed over. Shares of exhausted lists go
    to the others.
    """
    # Under caps the lists are long and parts of them are taken away; else they are as short as the list that is made.
    left: list[Any] = [np.asarray(items) if caps.codes else np.asarray(items).tolist() for items in lists]
    taken = set(placed)
    merged: list[tuple[int, int]] = []
    given = [0] * len(left)
    nexts = [0] * len(left)
    counts: list[dict[int, int]] = [{} for _ in caps.codes]

    def count(item: int) -> None:
        for most, codes, own in zip(caps.most, caps.codes, counts, strict=True):
            code = int(codes[item])
            own[code] = own.get(code, 0) + 1
            if code != FREE and own[code] == most:  # all others of this value leave the lists
                for m, items in enumerate(left):
                    rest = items[nexts[m] :]
                    left[m], nexts[m] = rest[codes[rest] != code], 0

    for item in placed:
        count(item)
    while len(merged) < k:
        for n, items in enumerate(left):
            while nexts[n] < len(items) and items[nexts[n]] in taken:
                nexts[n] += 1
        open_lists = [n for n, items in enumerate(left) if nexts[n] < len(items)]
        if not open_lists:
            break
        whole = sum(shares[n] for n in open_lists) or 1.0
        dealt = sum(given[n] for n in open_lists) + 1
        n = max(open_lists, key=lambda n: shares[n] / whole * dealt - given[n])
        item = int(left[n][nexts[n]])
        taken.add(item)
        merged.append((item, n))
        given[n] += 1
        count(item)
    return merged
