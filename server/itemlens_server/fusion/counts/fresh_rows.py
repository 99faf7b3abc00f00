"""Rows of SEQUENCE that changed since the tables were computed, as the counts have them now.

A row changes with its own ordered pairs. They are divided by the roots of the takers that the tables are of, as all
other rows are, so that a row that changes and changes back is the same again.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from itemlens_server.fusion import sequence
from itemlens_server.fusion.counts.counts import Counts
from itemlens_server.fusion.counts.matrices import Square
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.rows import Bools, Ints

# Columns and values of a row.
Row = tuple[Ints, Array]
# Rows by their number, each with the version of its last change.
Cache = dict[int, tuple[int, Row]]
_AT_A_TIME = 64


class FreshRows:
    """The rows of tables that changed up to this moment. A row is computed when it is first asked for, and stays."""

    def __init__(
        self, counts: Counts, ordered: Square, codes: Ints, scale: Array, version: int, cache: Cache
    ) -> None:
        """`ordered`: those of the counts. codes: of the tables' items, int64 [n]. scale: theirs, float32 [n] (see
        `sequence`). version: that of the counts that the tables are of. cache: rows that may be used again; it is
        changed."""
        self._ordered, self._codes, self._scale, self._cache = ordered, codes, scale, cache
        self._touched = counts.touched[codes]
        self._changed = self._touched > version
        self._own: dict[int, Row] = {}

    def changed(self, rows: Ints) -> Bools:
        """Return which rows changed, bool [rows]."""
        return self._changed[rows]

    def rows(self, rows: Ints) -> sparse.csr_matrix:
        """Return rows of T, CSR float32 [rows, n]."""
        numbers, touched = rows.tolist(), self._touched[rows].tolist()
        missing = []
        for row, version in zip(numbers, touched, strict=True):
            if row not in self._own:
                known = self._cache.get(row)
                if known is None or known[0] != version:
                    missing.append(row)
                else:
                    self._own.setdefault(row, known[1])
        for start in range(0, len(missing), _AT_A_TIME):
            self._compute(missing[start : start + _AT_A_TIME])
        own = [self._own[row] for row in numbers]
        starts = np.concatenate([[0], np.cumsum([len(columns) for columns, _ in own])])
        columns, values = (np.concatenate(parts) for parts in zip(*own, strict=True)) if own else ((), ())
        return sparse.csr_matrix((values, columns, starts), (len(own), len(self._codes)), np.float32)

    def _compute(self, rows: list[int]) -> None:
        own = np.asarray(rows, np.int64)
        block = self._ordered.rows(self._codes[own])
        ranks = np.full(max(block.shape[1], int(self._codes.max()) + 1), -1)
        ranks[self._codes] = np.arange(len(self._codes))
        row, code = np.nonzero(block)
        # Items that came later are not in the tables.
        known = ranks[code] >= 0
        row, code = row[known], code[known]
        starts = np.searchsorted(row, np.arange(len(own) + 1))
        amounts = sparse.csr_matrix(
            (block[row, code].astype(np.float32), ranks[code], starts), (len(own), len(self._codes))
        )
        table = sequence.scaled(amounts, self._scale[own], self._scale)
        for n, number in enumerate(rows):
            there = slice(table.indptr[n], table.indptr[n + 1])
            computed = (table.indices[there], table.data[there])
            self._own.setdefault(number, computed)
            self._cache[number] = (int(self._touched[number]), self._own[number])
