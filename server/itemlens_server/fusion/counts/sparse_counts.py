"""Counts by an int64 key, most of which are 0: sorted arrays, and new keys beside them until they are merged."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.rows import Ints

_FEW = 4096


class SparseCounts:
    """Counts of 12 bytes for each key that has one."""

    def __init__(self, keys: Ints | None = None, amounts: Ints | None = None) -> None:
        """`keys`: ascending and different; `amounts`: int64 [keys]."""
        self._keys = np.zeros(0, np.int64) if keys is None else keys
        self._amounts = np.zeros(0, np.int32) if amounts is None else amounts.astype(np.int32)
        self._new: dict[int, int] = {}

    def add(self, keys: Ints, amount: int) -> None:
        """Add `amount` to keys, int64; a key may occur several times."""
        places = np.searchsorted(self._keys, keys)
        known = np.zeros(len(keys), np.bool_)
        inside = places < len(self._keys)
        known[inside] = self._keys[places[inside]] == keys[inside]
        np.add.at(self._amounts, places[known], np.int32(amount))
        for key in keys[~known].tolist():
            self._new[key] = self._new.get(key, 0) + amount
        if len(self._new) > max(_FEW, len(self._keys) // 8):
            self.items()

    def items(self) -> tuple[Ints, Ints]:
        """Return all keys that have a count, ascending, and their counts, int64 [keys] each."""
        if self._new:
            keys = np.concatenate([self._keys, np.fromiter(self._new.keys(), np.int64, len(self._new))])
            more = np.fromiter(self._new.values(), np.int32, len(self._new))
            order = np.argsort(keys, kind="stable")
            self._keys, self._amounts = keys[order], np.concatenate([self._amounts, more])[order]
            self._new = {}
        there = self._amounts != 0
        if not there.all():
            self._keys, self._amounts = self._keys[there], self._amounts[there]
        return self._keys, self._amounts.astype(np.int64)
