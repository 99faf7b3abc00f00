"""The fused vectors of a collection in memory: a replaced or deleted item's row is marked dead, and dropped later.

Readers take a `View` and work on it without a lock; a writer (there is one at a time) only appends behind it, or makes
new arrays. What a view shows does not change: of an item that is replaced meanwhile it shows the old row, and only
that.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

# Room that there is from the start, and dead rows for which no compaction is worth it.
FEW = 256


@dataclass(frozen=True)
class View:
    """The rows at one moment. `labels` grow: a row's label is its number in the store."""

    labels: Ints
    h: Array
    alive: Bools
    item_ids: list[str]
    alive_count: int
    # Position of each item as it is now, and the position that a replacement took over from.
    current: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[int, int] = field(default_factory=dict)

    def position(self, item_id: str) -> int | None:
        """Where an item is in this view; None if it is not in the collection, or deleted since."""
        position = self.current.get(item_id)
        while position is not None and position >= len(self.labels):
            position = self.replaced.get(position)
        return position

    def positions(self, labels: Ints) -> Ints:
        """Positions of `labels` in the arrays; those that are not there (any more) are left out."""
        positions = np.searchsorted(self.labels, labels)
        positions = (
            positions[positions < len(self.labels)]
            if len(labels) == 0
            else np.minimum(positions, len(self.labels) - 1)
        )
        return positions[self.labels[positions] == labels] if len(self.labels) else np.zeros(0, np.int64)


class Rows:
    """Labels, h, and which rows are alive."""

    def __init__(self, dimension: int) -> None:
        self._labels = np.zeros(FEW, np.int64)
        self._h = np.zeros((FEW, dimension), np.float32)
        self._alive = np.zeros(FEW, np.bool_)
        self._ids: list[str] = []
        self._position: dict[str, int] = {}
        self._replaced: dict[int, int] = {}
        self._count = 0
        # Held for moments: while a writer switches to what it has made, and while a view is taken.
        self._switching = threading.Lock()

    def append(self, labels: Ints, item_ids: list[str], h: Array) -> None:
        """Add rows, whose labels are larger than all before; an item's earlier row dies."""
        begin, end = self._count, self._count + len(labels)
        if end > len(self._labels):
            size, there = max(end, 2 * len(self._labels)), np.arange(begin)
            self._labels, self._h, self._alive = (
                _copied(a, there, size) for a in (self._labels, self._h, self._alive)
            )
        self._labels[begin:end] = labels
        self._h[begin:end] = h
        self._ids.extend(item_ids)
        with self._switching:
            self._alive[begin:end] = True
            self._count = end
            for position, item_id in enumerate(item_ids, begin):
                old = self._position.get(item_id)
                if old is not None:
                    self._alive[old] = False
                    self._replaced[position] = old
                self._position[item_id] = position

    def remove(self, item_id: str) -> None:
        """Mark an item's row dead, if it has one."""
        with self._switching:
            position = self._position.pop(item_id, None)
            if position is not None:
                self._alive[position] = False

    @property
    def mostly_dead(self) -> bool:
        """Whether it is time to `compact`: each row is then copied about once for each one that dies."""
        return self._count - len(self._position) > max(len(self._position), FEW)

    def compact(self) -> None:
        """Drop the dead rows. Views that were taken before keep what they show."""
        alive = np.flatnonzero(self._alive[: self._count])
        size = max(2 * len(alive), FEW)
        arrays = [_copied(a, alive, size) for a in (self._labels, self._h, self._alive)]
        ids = [self._ids[position] for position in alive]
        positions = {item_id: position for position, item_id in enumerate(ids)}
        with self._switching:
            self._labels, self._h, self._alive = arrays
            self._ids, self._position, self._replaced, self._count = ids, positions, {}, len(ids)

    def label(self, item_id: str) -> int | None:
        """Label of an item's row; None if it has none."""
        with self._switching:
            position = self._position.get(item_id)
            return None if position is None else int(self._labels[position])

    def view(self) -> View:
        """The rows as they are now."""
        with self._switching:
            n = self._count
            return View(
                self._labels[:n], self._h[:n], self._alive[:n].copy(), self._ids, len(self._position),
                self._position, self._replaced,
            )  # fmt: skip


def _copied(rows: np.ndarray[Any, Any], positions: Ints, size: int) -> np.ndarray[Any, Any]:
    """Some rows at the start of an array of `size` rows. What is not used of it takes no memory yet."""
    copy = np.zeros((size, *rows.shape[1:]), rows.dtype)
    np.take(rows, positions, axis=0, out=copy[: len(positions)], mode="clip")  # other modes copy twice
    return copy
