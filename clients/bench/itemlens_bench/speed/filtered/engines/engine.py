"""What engines have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

# The same graphs for all.
M, EF_CONSTRUCTION = 16, 200


@dataclass(frozen=True)
class Condition:
    """Rows with number < below and, if there is a brand, with this brand. below None: any number."""

    below: float | None = None
    brand: str = ""

    def mask(self, rows: Rows) -> Bools:
        """Return which rows match, bool [rows]."""
        found = np.ones(len(rows.vectors), np.bool_)
        if self.below is not None:
            found &= rows.numbers < self.below
        if self.brand:
            found &= np.asarray(rows.brands) == self.brand
        return found


@dataclass(frozen=True)
class Rows:
    """What is searched. vectors: unit length, float32 [rows, width]. numbers: float64 [rows]. brands: of each row."""

    vectors: Array
    numbers: Floats
    brands: Sequence[str]


Search = Callable[[Array, int], Ints]
"""Returns the numbers of the k nearest rows, int64 [at most k], to a unit vector, float32 [width]. The second
argument is the depth of the search, which engines call ef. Any number of threads call it."""


class Engine(Protocol):
    """A way to search rows under a condition."""

    def fill(self, rows: Rows, folder: Path) -> None:
        """Store rows and build all indexes. folder: an empty one, for files."""

    def search(self, condition: Condition, k: int) -> Search:
        """Return the search for the k nearest rows that match a condition."""
