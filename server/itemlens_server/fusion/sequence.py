"""T, the directed item-item table of "what was taken soon after X".

    T_ji = amount of (j, i) / sqrt((takers_j + 1) (takers_i + 1))        amounts: see `counts.successions`

So T is like a cosine that looks in one direction. An item after itself is left out: that is a repeat.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from itemlens_server.fusion.counts.counted import Counted
from itemlens_server.fusion.counts.successions import UNIT
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.rows import Ints

KEPT_PER_ROW = 400
_BLOCK = 512


def table(counted: Counted, kept: int = KEPT_PER_ROW) -> sparse.csr_matrix:
    """Return T, CSR float32 [items, items], with the `kept` largest entries of each row."""
    n = len(counted.item_ids)
    scale = scale_of(counted.takers)
    blocks = []
    for start in range(0, n, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n))
        block = counted.ordered(rows)
        blocks.append(scaled(block, scale[rows], scale, kept))
    return sparse.vstack(blocks, "csr") if blocks else sparse.csr_matrix((n, n), dtype=np.float32)


def scale_of(takers: Ints) -> Array:
    """Return 1 / sqrt(takers + 1), float32."""
    return (1 / np.sqrt(takers + 1)).astype(np.float32)


def scaled(
    amounts: sparse.csr_matrix, own: Array, scale: Array, kept: int = KEPT_PER_ROW
) -> sparse.csr_matrix:
    """Return rows of T from their amounts, CSR float32 [rows, items], which are overwritten.

    own: scale of the rows' items, float32 [rows]. scale: that of all items, float32 [items].
    """
    sizes = np.diff(amounts.indptr)
    amounts.data = amounts.data / np.float32(UNIT) * np.repeat(own, sizes) * scale[amounts.indices]
    return largest(amounts, kept)


def largest(rows: sparse.csr_matrix, kept: int) -> sparse.csr_matrix:
    """Return the `kept` largest entries of each row. Of equal ones, those of the first items are kept."""
    rows.sort_indices()
    chosen = np.ones(rows.nnz, np.bool_)
    for row in np.flatnonzero(np.diff(rows.indptr) > kept).tolist():
        own = slice(int(rows.indptr[row]), int(rows.indptr[row + 1]))
        values = rows.data[own]
        least = np.partition(values, -kept)[-kept]
        above = values > least
        equal = np.flatnonzero(values == least)[: kept - int(above.sum())]
        above[equal] = True
        chosen[own] = above
    sizes = np.minimum(np.diff(rows.indptr), kept)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return sparse.csr_matrix((rows.data[chosen], rows.indices[chosen], starts), rows.shape)
