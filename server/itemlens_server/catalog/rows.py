"""The fused vectors of a collection in memory: append only, a replaced or deleted item's row is marked dead.

Readers take a `View` and work on it without a lock; a writer (there is one at a time) only appends behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class View:
    """The rows at one moment. `labels` grow: a row's label is its number in the store."""

    labels: Ints
    h: Array
    alive: Bools
    item_ids: list[str]
    alive_count: int

    def positions(self, labels: Ints) -> Ints:
        """Positions of `labels` in the arrays; those that are not there (any more) are left out."""
        found = np.searchsorted(self.labels, labels)
        found = (
            found[found < len(self.labels)] if len(labels) == 0 else np.minimum(found, len(self.labels) - 1)
        )
        return found[self.labels[found] == labels] if len(self.labels) else np.zeros(0, np.int64)


class Rows:
    """Labels, h, and which rows are alive."""

    def __init__(self, dimension: int) -> None:
        self._labels = np.zeros(256, np.int64)
        self._h = np.zeros((256, dimension), np.float32)
        self._alive = np.zeros(256, np.bool_)
        self._ids: list[str] = []
        self._position: dict[str, int] = {}
        self._count = 0

    def append(self, labels: Ints, item_ids: list[str], h: Array) -> None:
        """Add rows, whose labels are larger than all before; an item's earlier row dies."""
        end = self._count + len(labels)
        if end > len(self._labels):
            size = max(end, 2 * len(self._labels))
            self._labels, self._h, self._alive = (
                np.concatenate([a[: self._count], np.zeros((size - self._count, *a.shape[1:]), a.dtype)])
                for a in (self._labels, self._h, self._alive)
            )
        begin = self._count
        self._labels[begin:end] = labels
        self._h[begin:end] = h
        self._ids.extend(item_ids)
        # The rows are there before they are alive and have a position: a view that is taken after a position was
        # looked up holds it, and no view shows an item twice.
        self._count = end
        for position, item_id in enumerate(item_ids, begin):
            self.remove(item_id)
            self._alive[position] = True
            self._position[item_id] = position

    def remove(self, item_id: str) -> None:
        """Mark an item's row dead, if it has one."""
        position = self._position.pop(item_id, None)
        if position is not None:
            self._alive[position] = False

    def position(self, item_id: str) -> int | None:
        """Where an item is in the arrays of a view taken after this call or just before."""
        return self._position.get(item_id)

    def view(self) -> View:
        """The rows as they are now."""
        n = self._count
        return View(self._labels[:n], self._h[:n], self._alive[:n], self._ids, len(self._position))
