"""Rows of SEQUENCE that changed since the tables were computed, as the counts have them now.

A row changes with its own ordered pairs. That other items have more takers than before changes all rows a little; this
counts when the tables are computed again.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from itemlens_server.fusion import sequence
from itemlens_server.fusion.counts.counts import Counts
from itemlens_server.fusion.counts.matrices import Square
from itemlens_server.fusion.rows import Bools, Ints

# Rows by their number, each with the version of its last change.
Cache = dict[int, tuple[int, sparse.csr_matrix]]


class FreshRows:
    """The rows of tables that changed up to this moment. A row is computed when it is first asked for, and stays."""

    def __init__(self, counts: Counts, ordered: Square, codes: Ints, version: int, cache: Cache) -> None:
        """`ordered`: those of the counts. codes: of the tables' items, int64 [n]. version: that of the counts that the
        tables are of. cache: rows that may be used again; it is changed."""
        self._counts, self._ordered, self._codes, self._cache = counts, ordered, codes, cache
        self._touched = counts.touched[codes]
        self._changed = self._touched > version
        self._own: dict[int, sparse.csr_matrix] = {}

    def changed(self, rows: Ints) -> Bools:
        """Return which rows changed, bool [rows]."""
        return self._changed[rows]

    def row(self, row: int) -> sparse.csr_matrix:
        """Return a row of T, CSR float32 [1, n]."""
        if (own := self._own.get(row)) is not None:
            return own
        touched = int(self._touched[row])
        known = self._cache.get(row)
        if known is None or known[0] != touched:
            known = (touched, self._computed(row))
            self._cache[row] = known
        return self._own.setdefault(row, known[1])

    def _computed(self, row: int) -> sparse.csr_matrix:
        takers, _ = self._counts.popularity(self._codes)
        scale = sequence.scale_of(takers)
        amounts = self._ordered.row(int(self._codes[row]))[self._codes].astype(np.float32)
        return sequence.scaled(sparse.csr_matrix(amounts[None, :]), scale[row : row + 1], scale)
