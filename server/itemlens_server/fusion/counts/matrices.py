"""Dense counts of pairs of items that grow with the number of items."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from itemlens_server.fusion.rows import Ints

_GROWTH = 1.125
_FEWEST = 64
# Rows that are read at a time: a thread that answers calls waits for so many.
_BLOCK = 128

Int32s = np.ndarray[Any, np.dtype[np.int32]]
Unsigned = np.ndarray[Any, np.dtype[np.uint32]]


class Triangle:
    """Counts of unordered pairs {a, b} and, on the diagonal, of items: int32, b <= a at a (a + 1) / 2 + b."""

    def __init__(self, bound: int, values: Int32s | None = None) -> None:
        """`bound`: most items."""
        self._bound = bound
        self._values = np.zeros(0, np.int32) if values is None else values

    def add(self, one: Ints, other: Ints, amount: int, items: int) -> None:
        """Add `amount` to pairs, int64 [pairs] each. The same pair may occur several times. items: number of items."""
        self._reach(items)
        high = np.maximum(one, other)
        np.add.at(self._values, high * (high + 1) // 2 + np.minimum(one, other), np.int32(amount))

    def get(self, one: int, others: Ints) -> Ints:
        """Return the counts of an item with some others, int64 [others]; 0 for those that were never counted. Needs no
        lock: each count is that of a moment."""
        values = self._values
        high = np.maximum(others, one)
        places = high * (high + 1) // 2 + np.minimum(others, one)
        counts = np.zeros(len(others), np.int64)
        there = places < len(values)
        counts[there] = values[places[there]]
        return counts

    def values(self, items: int) -> Int32s:
        """Return the counts of the first `items` items, int32 [items (items + 1) / 2]; a view."""
        self._reach(items)
        return self._values[: items * (items + 1) // 2]

    def _reach(self, items: int) -> None:
        if items * (items + 1) // 2 > len(self._values):
            room = _room(items, self._bound)
            grown = np.zeros(room * (room + 1) // 2, np.int32)
            grown[: len(self._values)] = self._values
            self._values = grown


class Square:
    """Amounts of ordered pairs (j, i): uint32, modulo 2^32, so that what is added can always be taken away."""

    def __init__(self, bound: int, values: Unsigned | None = None) -> None:
        """`bound`: most items."""
        self._bound = bound
        self._values = np.zeros((0, 0), np.uint32) if values is None else values

    def add(self, j: Ints, i: Ints, amounts: Ints, items: int) -> None:
        """Add to pairs, int64 [pairs] each. The same pair may occur several times. items: number of items."""
        self._reach(items)
        np.add.at(self._values.reshape(-1), j * len(self._values) + i, amounts.astype(np.uint32))

    def rows(self, codes: Ints) -> Unsigned:
        """Return the amounts of some items by those after them, uint32 [codes, items or more]; a copy. Needs no lock:
        during a change it may show a part of it."""
        own: Unsigned = self._values[codes]
        return own

    def get(self, j: Ints, i: int) -> Ints:
        """Return the amounts of some items before one, int64 [j]; 0 for those that were never counted, such as -1.
        Needs no lock, as `rows`."""
        values = self._values
        amounts = np.zeros(len(j), np.int64)
        there = (j >= 0) & (j < len(values))
        if 0 <= i < len(values):
            amounts[there] = values[j[there], i]
        return amounts

    def values(self, items: int) -> Unsigned:
        """Return the amounts of the first `items` items, uint32 [items, items]; a view."""
        self._reach(items)
        return self._values[:items, :items]

    def nonzero(self, items: int) -> sparse.csr_matrix:
        """Return the amounts of the first `items` items, CSR uint32 [items, items]. Needs no lock, as `rows`."""
        values = self.values(items)
        parts = [sparse.csr_matrix(values[start : start + _BLOCK]) for start in range(0, items, _BLOCK)]
        return sparse.vstack(parts, "csr") if parts else sparse.csr_matrix((0, 0), dtype=np.uint32)

    def _reach(self, items: int) -> None:
        old = len(self._values)
        if items > old:
            room = _room(items, self._bound)
            grown = np.zeros((room, room), np.uint32)
            grown[:old, :old] = self._values
            self._values = grown


def _room(items: int, bound: int) -> int:
    return max(items, min(bound, max(_FEWEST, int(items * _GROWTH))))
