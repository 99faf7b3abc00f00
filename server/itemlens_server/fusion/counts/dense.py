"""A copy of dense counts, by items in the order of their names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from itemlens_server.fusion.counts.copied_takers import CopiedTakers
from itemlens_server.fusion.counts.matrices import Int32s
from itemlens_server.fusion.ease import Dense
from itemlens_server.fusion.rows import Ints

_BLOCK = 512


@dataclass(frozen=True, eq=False)
class DenseCounted(CopiedTakers):
    """See `Counted`. pair_counts: by code, see `Triangle`. amounts: by code, see `Square.nonzero`"""

    pair_counts: Int32s
    amounts: sparse.csr_matrix

    @staticmethod
    def with_pairs(own: CopiedTakers, pair_counts: Int32s, amounts: sparse.csr_matrix) -> DenseCounted:
        """Return these takers with the pairs of their items."""
        return DenseCounted(
            own.item_ids, own.codes, own.takers, own.takes, own.last_day, own.times_are_an_order,
            pair_counts, amounts,
        )  # fmt: skip

    def gram(self, columns: Ints) -> Dense:
        """See Counted."""
        n = len(columns)
        ranks = np.full(self.amounts.shape[0], -1)
        ranks[self.codes[columns]] = np.arange(n)
        gram = np.zeros((n, n), np.float32, order="F")
        # Each pair is written once: in a column of the matrix, which is contiguous, whichever triangle it is in.
        for code in self.codes[columns].tolist():
            own = self.pair_counts[code * (code + 1) // 2 :][: code + 1]
            there = ranks[: code + 1]
            known = there >= 0
            gram[there[known], ranks[code]] = own[known]
        for start in range(0, n, _BLOCK):
            stop = min(start + _BLOCK, n)
            gram[stop:, start:stop] += gram[start:stop, stop:].T
            block = gram[start:stop, start:stop]
            block += np.triu(block, 1).T
        return gram

    def pairs(self, rows: slice) -> sparse.csr_matrix:
        """See Counted."""
        own = self.codes[rows][:, None]
        high, low = np.maximum(own, self.codes), np.minimum(own, self.codes)
        return sparse.csr_matrix(self.pair_counts[high * (high + 1) // 2 + low].astype(np.float32))

    def ordered(self, rows: slice) -> sparse.csr_matrix:
        """See Counted."""
        return self.amounts[self.codes[rows]][:, self.codes].astype(np.float32)
