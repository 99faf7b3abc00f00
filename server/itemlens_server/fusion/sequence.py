"""T, the directed item-item table of "what was taken soon after X".

    T_ji = sum over users and pairs of their baskets a < b, b - a <= horizon, with j in a and i in b, of
           step ^ (b - a - 1) / sqrt((takers_j + 1) (takers_i + 1))

So T is like a cosine that looks in one direction. An item after itself is left out: that is a repeat. So are baskets of
more than 200 items.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from itemlens_server.fusion.event_log import EventLog

STEP = 0.6
HORIZON = 10
KEPT_PER_ROW = 400
# Large baskets have many pairs: the horizon ends before their number exceeds this.
MOST_PAIRS = 100_000_000
# What is larger is an import of old events rather than a basket, and says nothing of order.
LARGEST_BASKET = 200


def fit(log: EventLog, step: float = STEP, kept: int = KEPT_PER_ROW) -> sparse.csr_matrix:
    """Return T over the items of `log`, CSR float32 [items, items], with the `kept` largest entries of each row."""
    n = len(log.item_ids)
    baskets = log.baskets()
    users = log.users[log.basket_starts]
    sizes = np.diff(baskets.indptr)
    small = sizes <= LARGEST_BASKET
    table = sparse.csr_matrix((n, n), dtype=np.float32)
    pairs = 0
    for gap in range(1, HORIZON + 1):
        follow = (users[gap:] == users[:-gap]) & small[gap:] & small[:-gap]
        earlier = np.flatnonzero(follow)
        pairs += int(sizes[earlier].astype(np.int64) @ sizes[earlier + gap])
        if len(users) <= gap or (gap > 1 and pairs > MOST_PAIRS):
            break
        later = baskets[earlier + gap] * np.float32(step ** (gap - 1))
        table = table + baskets[earlier].T @ later
    takers = np.asarray(log.takers().sum(0)).ravel()
    scale = sparse.diags((1 / np.sqrt(takers + 1)).astype(np.float32))
    table = (scale @ table @ scale).tocsr().astype(np.float32)
    table.setdiag(0)
    table.eliminate_zeros()
    return _largest(table, kept)


def _largest(table: sparse.csr_matrix, kept: int) -> sparse.csr_matrix:
    """Return the `kept` largest entries of each row. Of equal ones, those of the first items are kept."""
    table.sort_indices()
    sizes = np.diff(table.indptr)
    owners = np.repeat(np.arange(table.shape[0]), sizes)
    order = np.lexsort((table.indices, -table.data, owners))
    ranks = np.arange(len(order)) - np.repeat(table.indptr[:-1], sizes)
    chosen = np.sort(order[ranks < kept])
    starts = np.concatenate([[0], np.cumsum(np.minimum(sizes, kept))])
    return sparse.csr_matrix((table.data[chosen], table.indices[chosen], starts), table.shape)
