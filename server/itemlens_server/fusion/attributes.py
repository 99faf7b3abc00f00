"""The attribute values of a catalogue as numbers: which values exist, and how much sharing one says.

A value is a pair of attribute and content, such as brand = Alto. Texts, truth values and lists of these are values;
numbers are not, because items rarely share one exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from itemlens_server.fusion.head import Array

# Longer texts are descriptions, not values that items share.
LONGEST = 100
MOST_VALUES = 64
GROWTH = 1.1

Codes = np.ndarray[Any, np.dtype[np.int32]]


def values_of(attributes: Mapping[str, Any]) -> list[str]:
    """Return the distinct values of an item's attributes, at most 64, in order."""
    found = (f"{name}={value}" for name, content in attributes.items() for value in _values(content))
    return list(dict.fromkeys(found))[:MOST_VALUES]


def _values(content: object) -> Iterator[str]:
    if isinstance(content, bool) or (isinstance(content, str) and 0 < len(content) <= LONGEST):
        yield str(content)
    elif isinstance(content, list):
        for part in content:
            if not isinstance(part, list):
                yield from _values(part)


class Vocabulary:
    """Codes of values, from 1, and the number of items with each. One thread changes
    it, any number read `idf`, which never changes in place."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._counts: list[int] = [0]
        self._items = 0
        self._measured = 0
        self._idf: Array = np.zeros(1, np.float32)
        self.measurement = 0
        """Number of times that idf was measured. In between it only grows, by zeros."""

    def add(self, attributes: Mapping[str, Any]) -> list[int]:
        """Count an item and return the codes of its values."""
        codes = []
        for value in values_of(attributes):
            code = self._codes.setdefault(value, len(self._counts))
            if code == len(self._counts):
                self._counts.append(0)
            self._counts[code] += 1
            codes.append(code)
        self._items += bool(codes)
        return codes

    def discard(self, codes: Sequence[int]) -> None:
        """Take an item with these codes out of the counts."""
        for code in codes:
            self._counts[code] -= 1
        self._items -= bool(codes)

    @property
    def idf(self) -> Array:
        """ln(items with values / items with the value) by code, float32 [codes + 1]; 0 for values of one item or none.

        It is measured again when the number of items has changed by a tenth. In between it stands still, so that a
        write does not change every score; values that are new meanwhile have 0.
        """
        known, items, codes = self._idf, self._items, len(self._counts)
        changed = not self._measured / GROWTH <= items <= self._measured * GROWTH
        if len(known) < codes and not changed:
            known = np.concatenate([known, np.zeros(codes - len(known), np.float32)])
            self._idf = known
        elif changed:
            counts = np.asarray(self._counts, np.float64)
            with np.errstate(divide="ignore"):
                idf = np.where(counts > 1, np.log(max(items, 1) / counts), 0.0)
            # A local name: another thread may set an older one.
            known = idf.astype(np.float32)
            self._idf, self._measured = known, items
            self.measurement += 1
        return known

    def compacted(self) -> tuple[Vocabulary, Codes]:
        """Return the same without the values that no item has, and the new code of each old one, int32 [codes + 1]; 0
        for those that are gone."""
        idf, kept = self.idf, np.flatnonzero(np.asarray(self._counts) > 0)
        numbers = np.zeros(len(self._counts), np.int32)
        numbers[kept] = np.arange(1, len(kept) + 1)
        new = Vocabulary()
        new._codes = {value: int(numbers[code]) for value, code in self._codes.items() if numbers[code]}
        new._counts = [0, *(self._counts[code] for code in kept.tolist())]
        new._items, new._measured = self._items, self._measured
        new._idf = idf[np.concatenate([[0], kept])]
        return new, numbers
