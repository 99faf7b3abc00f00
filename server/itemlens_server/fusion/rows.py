"""The fused vectors of a collection in memory: append only, a replaced or deleted item's row is marked dead.

Readers take a `View` and work on it without a lock; a writer (there is one at a time) only appends behind it. What
a view shows does not change: of an item that is replaced meanwhile it shows the old row, and only that.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    # Position of each item as it is now, and the position that a replacement took over from.
    current: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[int, int] = field(default_factory=dict)

    def position(self, item_id: str) -> int | None:
        """Where an item is in this view; None if it is not in the collection, or deleted since."""
        position = self.current.get(item_id)
        while position is not None and position >= len(self.labels):
            position = self.replaced.get(position)
        return position

    def kept(self) -> View:
        """The same for looking rows up, without the flags that searching needs: for what is kept for long."""
        return replace(self, alive=np.zeros(0, np.bool_))

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
        self._labels = np.zeros(256, np.int64)
        self._h = np.zeros((256, dimension), np.float32)
        self._alive = np.zeros(256, np.bool_)
        self._ids: list[str] = []
        self._position: dict[str, int] = {}
        self._replaced: dict[int, int] = {}
        self._count = 0
        # Held for moments: while a writer switches to what it has appended, and while a view is taken.
        self._switching = threading.Lock()

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

    def position(self, item_id: str) -> int | None:
        """Where an item is in the arrays of a view taken after this call."""
        return self._position.get(item_id)

    def view(self) -> View:
        """The rows as they are now."""
        with self._switching:
            n = self._count
            return View(
                self._labels[:n], self._h[:n], self._alive[:n].copy(), self._ids, len(self._position),
                self._position, self._replaced,
            )  # fmt: skip
