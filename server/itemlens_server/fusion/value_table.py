"""The attribute values of the rows: a table of codes, one column for the values of one item.

Columns are only added, so a view of the table costs no copy. An item whose values change gets another column, and the
old one is dropped when the rows are compacted, as are the codes of values that no item has any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.fusion.attributes import Vocabulary

Array = np.ndarray[Any, np.dtype[np.float32]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Codes = np.ndarray[Any, np.dtype[np.int32]]

NONE = 0
"""The column of items without values."""
FEW = 256


@dataclass(frozen=True)
class Values:
    """The table at one moment.

    codes: int32 [most values of an item, columns], filled up with 0. norms: length of each column's values weighted by
    idf, 1 if it is 0; float32 [columns]. idf: weight of each value, float32 [codes + 1] (see `attributes`).
    """

    codes: Codes
    norms: Array
    idf: Array

    @staticmethod
    def of(codes: Codes, idf: Array) -> Values:
        """Return a table of these codes."""
        return Values(codes, norms(codes, idf), idf)

    @staticmethod
    def none() -> Values:
        """Return the table of items without values."""
        return Values.of(np.zeros((0, 1), np.int32), np.zeros(1, np.float32))

    def sums(self, weights: Array) -> Array:
        """Return the sum of weights over the values of each column, float32 [columns]. weights: float32 [codes + 1]."""
        total = np.zeros(self.codes.shape[1], np.float32)
        for codes in self.codes:
            total += weights.take(codes)
        return total


class ValueTable:
    """The growing table. One thread changes it; views are taken one at a time."""

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        self._vocabulary = vocabulary or Vocabulary()
        self._codes = np.zeros((0, FEW), np.int32)
        self._count = NONE + 1
        # A cache of norms: of how many columns, and by which idf.
        self._norms = np.ones(FEW, np.float32)
        self._measured, self._measurement = 0, -1

    def __len__(self) -> int:
        return self._count

    def add(self, attributes: Mapping[str, Any]) -> int:
        """Count an item with these attributes, and return its column."""
        return self._put(self._vocabulary.add(attributes))

    def replace(self, column: int, attributes: Mapping[str, Any]) -> int:
        """Return the column of an item that had another one: the same if its values stay."""
        codes = self._vocabulary.add(attributes)
        old = self._of(column)
        self._vocabulary.discard(old)
        return column if codes == old else self._put(codes)

    def discard(self, column: int) -> None:
        """Take an item with this column out of the counts."""
        self._vocabulary.discard(self._of(column))

    def view(self) -> Values:
        """Return the table as it is now."""
        n, codes = self._count, self._codes
        idf = self._vocabulary.idf  # read last: the writer goes on, and these columns' values are in it
        if self._measurement != self._vocabulary.measurement or len(self._norms) < n:
            self._norms = np.ones(codes.shape[1], np.float32)
            self._measured, self._measurement = 0, self._vocabulary.measurement
        fresh = slice(self._measured, n)
        self._norms[fresh] = norms(codes[:, fresh], idf)
        self._measured = n
        return Values(codes[:, :n], self._norms[:n], idf)

    def compacted(self, columns: Codes) -> tuple[ValueTable, Codes]:
        """Return a table of the given columns only, int32 [n], and their numbers in it."""
        vocabulary, numbers = self._vocabulary.compacted()
        there = columns != NONE
        codes = numbers[self._codes[:, columns[there]]]
        new = ValueTable(vocabulary)
        new._count = NONE + 1 + codes.shape[1]
        new._codes = np.zeros((len(codes), max(2 * new._count, FEW)), np.int32)
        new._codes[:, NONE + 1 : new._count] = codes
        moved = np.full(len(columns), NONE, np.int32)
        moved[there] = np.arange(NONE + 1, new._count)
        return new, moved

    def _of(self, column: int) -> list[int]:
        return [code for code in self._codes[:, column].tolist() if code]

    def _put(self, codes: list[int]) -> int:
        if not codes:
            return NONE
        height, width = self._codes.shape
        if len(codes) > height or self._count == width:
            larger = np.zeros(
                (max(len(codes), height), width if self._count < width else 2 * width), np.int32
            )
            larger[:height, :width] = self._codes
            self._codes = larger
        self._codes[: len(codes), self._count] = codes
        self._count += 1
        return self._count - 1


def norms(codes: Codes, idf: Array) -> Array:
    """Return the length of each column's values weighted by idf, float32 [columns]; 1 if it has none. (The value 0,
    "none", has idf 0.)"""
    squares = np.square(idf)[codes.T].sum(1)
    return np.asarray(np.sqrt(np.where(squares > 0, squares, 1)), np.float32)
