"""Recall at 10 of the served lists, against an exact scan by the same server."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from itemlens import Recommendations, UserSide

from .ask import Asking
from .rows import Floats, ReportRow, mean

K = 10
LEAST_RECALL = 0.99
MOST_BAD = 0.01
BAD = 0.5
ROUNDED = 1e-5
"""Nats. Scores are sums of float32 numbers, less ln Z."""


def recall_rows(
    asking: Asking, kind: str, sides: Sequence[UserSide], collection: str, seed: int
) -> list[ReportRow]:
    """Mean recall of the served lists, and the share of them that lost more than half."""
    recalls = np.asarray(
        asking.each(f"{collection}: recall, {kind}", lambda s: _recall(asking, s, collection), sides)
    )
    return [
        mean(
            f"{collection}: recall@{K}, {kind}", recalls, seed, least=LEAST_RECALL, yardstick="exact scan: 1"
        ),
        mean(f"{collection}: lists under {BAD}, {kind}", recalls < BAD, seed, most=MOST_BAD),
    ]


def _recall(asking: Asking, side: UserSide, collection: str) -> float:
    served = asking.client.recommend(side, k=K, collection=collection, query_vectors=True)
    vector = served.interests[0].query_vector
    # A query has one vector u, which is sent again to skip the encoding. A history has several; it is sent as it was.
    again = side if side.history else UserSide(query_vector=vector)
    exact = asking.client.recommend(again, k=K, collection=collection, exact=True)
    return recall(served, exact)


def recall(served: Recommendations, exact: Recommendations) -> float:
    """The share of the exact list that the served list has. Both are lists as served, with their interests merged.

    A served item is correct if it scores at least as much as the last item of its interest in the exact list. So it
    does not matter which of several equal items is served. Where not all items are scored, Z is a sum over a sample,
    so the scores of an interest are off by a constant, which its items in both lists tell.
    """
    truth = {item.item_id: item for item in exact}
    last: dict[int, float] = {}
    for item in exact:
        last[item.interest] = min(item.score, last.get(item.interest, np.inf))
    right = 0
    for interest, least in last.items():
        own = [item for item in served if item.interest == interest]
        shifts = [
            truth[i.item_id].score - i.score
            for i in own
            if i.item_id in truth and truth[i.item_id].interest == interest
        ]
        shift = float(np.median(shifts)) if shifts else 0.0
        right += sum(item.score + shift >= least - ROUNDED for item in own)
    return min(right / len(exact), 1.0)


def scan_row(
    asking: Asking, sides: Sequence[UserSide], collection: str, item_ids: Sequence[str], batch: int = 500
) -> ReportRow:
    """The largest difference between scores of `exact` and a numpy scan over the ITEM vectors of all items.

    The sides must have one interest, and only channels may speak for an item: u and h then tell the whole score,
    ln P = dot(h, u) - ln Z.
    """
    parts = [item_ids[n : n + batch] for n in range(0, len(item_ids), batch)]

    def vectors(part: Sequence[str]) -> Floats:
        stored = asking.client.get_items(part, vectors=True, collection=collection)
        return np.stack([entry.vector.values for entry in stored if entry.vector is not None]).astype(
            np.float64
        )

    h = np.concatenate(asking.each(f"{collection}: vectors", vectors, parts))
    worst = 0.0
    for side in sides:
        exact = asking.client.recommend(
            side,
            k=K,
            collection=collection,
            exact=True,
            exclude_seen=False,
            query_vectors=True,
        )
        query = exact.interests[0].query_vector
        assert query is not None
        scanned = np.sort(h @ query.values.astype(np.float64))[::-1]
        scanned -= np.logaddexp.reduce(scanned)
        worst = max(worst, float(np.abs(scanned[:K] - [item.score for item in exact]).max()))
    return ReportRow(f"{collection}: exact list against numpy, worst score", worst, len(sides), most=1e-4)
