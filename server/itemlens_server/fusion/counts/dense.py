"""A copy of dense counts, by items in the order of their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from itemlens_server.fusion.counts.matrices import Int32s, Unsigned
from itemlens_server.fusion.counts.user_events import TAKE_BITS
from itemlens_server.fusion.ease import Dense
from itemlens_server.fusion.event_log import days
from itemlens_server.fusion.rows import Ints

_BLOCK = 512


@dataclass(frozen=True, eq=False)
class DenseCounted:
    """See `Counted`.

    codes: of the items, in the order of their names, int64 [items]; takes, pair_counts and amounts are by code: see
           `Takers`, `Triangle` and `Square`
    """

    item_ids: Sequence[str]
    codes: Ints
    takers: Ints
    takes: tuple[Ints, Ints]
    pair_counts: Int32s
    amounts: Unsigned
    last_day: int
    times_are_an_order: bool

    @staticmethod
    def of(
        item_ids: Sequence[str],
        takers: Ints,
        takes: tuple[Ints, Ints],
        pairs: Int32s,
        amounts: Unsigned,
        last_time: float,
        times_are_an_order: bool,
    ) -> DenseCounted:
        """Return the counts of those of `item_ids` that have takers. All arrays are by code."""
        there = np.flatnonzero(takers).tolist()
        codes = np.asarray(sorted(there, key=item_ids.__getitem__), np.int64)
        names = tuple(item_ids[code] for code in codes.tolist())
        last_day = int(days(np.asarray([last_time]))[0]) if names else 0
        return DenseCounted(names, codes, takers[codes], takes, pairs, amounts, last_day, times_are_an_order)

    @cached_property
    def by_day(self) -> tuple[Ints, Ints]:
        """See Counted."""
        keys, users = self.takes
        ranks = np.zeros(len(self.amounts), np.int64)
        ranks[self.codes] = np.arange(len(self.codes))
        renamed = (keys >> TAKE_BITS << TAKE_BITS) | ranks[keys & ((1 << TAKE_BITS) - 1)]
        order = np.argsort(renamed)
        return renamed[order], users[order]

    def gram(self, columns: Ints) -> Dense:
        """See Counted."""
        n = len(columns)
        ranks = np.full(len(self.amounts), -1)
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
        block = self.amounts[self.codes[rows]][:, self.codes].astype(np.float32)
        return sparse.csr_matrix(block)
