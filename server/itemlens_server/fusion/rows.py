"""The fused vectors and attribute values of a collection in memory.

The row of a replaced or deleted item is marked dead and dropped later.

Readers take a `View` and work on it without a lock. The single writer only appends after it or creates new arrays. A
view does not change: for an item that is replaced meanwhile it shows the old row only.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Codes = np.ndarray[Any, np.dtype[np.int32]]

# Initial capacity, and number of dead rows below which compaction is not worthwhile.
FEW = 256


@dataclass(frozen=True)
class View:
    """The rows at one moment. `labels` are ascending; a row's label is its number in the store.

    values: codes of the item's attribute values (see `attributes`), int32 [rows, width], filled up with 0.
    """

    labels: Ints
    h: Array
    alive: Bools
    item_ids: list[str]
    alive_count: int
    values: Codes = field(default_factory=lambda: np.zeros((0, 0), np.int32))
    # Current position of each item, and the position of the row that a row replaced.
    current: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[int, int] = field(default_factory=dict)

    def position(self, item_id: str) -> int | None:
        """Return the position of an item in this view; None if it is not in the collection or was deleted since."""
        position = self.current.get(item_id)
        while position is not None and position >= len(self.labels):
            position = self.replaced.get(position)
        return position

    def find(self, item_ids: Sequence[str]) -> Ints:
        """Return the position of each item as `position` does, -1 instead of None; int64 [items]."""
        current = self.current.get
        positions = np.asarray([current(item_id, -1) for item_id in item_ids], np.int64)
        for n in np.flatnonzero(positions >= len(self.labels)).tolist():  # replaced since
            position = self.position(item_ids[n])
            positions[n] = -1 if position is None else position
        return positions

    def positions(self, labels: Ints) -> Ints:
        """Return the positions of `labels` in the arrays, without labels that are not there (any more)."""
        if not len(self.labels):
            return np.zeros(0, np.int64)
        positions = np.minimum(np.searchsorted(self.labels, labels), len(self.labels) - 1)
        return np.asarray(positions[self.labels[positions] == labels])


class Rows:
    """Labels, h and liveness of the rows."""

    def __init__(self, dimension: int) -> None:
        self._labels = np.zeros(FEW, np.int64)
        self._h = np.zeros((FEW, dimension), np.float32)
        self._alive = np.zeros(FEW, np.bool_)
        self._values = np.zeros((FEW, 0), np.int32)
        self._ids: list[str] = []
        self._position: dict[str, int] = {}
        self._replaced: dict[int, int] = {}
        self._count = 0
        # Whether a view shows the array of values, which then must not change.
        self._viewed = False
        # Held briefly while a writer publishes its changes, and while a view is taken.
        self._switching = threading.Lock()

    def append(
        self, labels: Ints, item_ids: list[str], h: Array, values: Sequence[Sequence[int]] = ()
    ) -> None:
        """Add rows with labels larger than all before. The earlier row of an item is marked dead.

        values: codes of each row's attribute values; empty if the rows have none.
        """
        begin, end = self._count, self._count + len(labels)
        if end > len(self._labels):
            size, there = max(end, 2 * len(self._labels)), np.arange(begin)
            self._labels, self._h, self._alive, self._values = (
                _copied(a, there, size) for a in (self._labels, self._h, self._alive, self._values)
            )
        self._widen(max(map(len, values), default=0))
        for position, codes in enumerate(values, begin):
            self._values[position, : len(codes)] = codes
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

    def values(self, item_id: str) -> list[int]:
        """Return the codes of an item's attribute values."""
        position = self._position.get(item_id)
        return [] if position is None else [code for code in self._values[position].tolist() if code]

    def set_values(self, item_id: str, codes: Sequence[int]) -> None:
        """Replace the attribute values of an item's row, if it has one. Earlier views do not change."""
        position = self._position.get(item_id)
        if position is None:
            return
        self._widen(len(codes))
        with self._switching:
            if self._viewed:
                self._values, self._viewed = self._values.copy(), False
            self._values[position] = 0
            self._values[position, : len(codes)] = codes

    def _widen(self, width: int) -> None:
        """Make room for `width` values in each row."""
        if width > self._values.shape[1]:
            wider = np.zeros((len(self._values), max(width, 2 * self._values.shape[1])), np.int32)
            wider[:, : self._values.shape[1]] = self._values
            self._values = wider

    def remove(self, item_id: str) -> None:
        """Mark an item's row dead, if it has one."""
        with self._switching:
            position = self._position.pop(item_id, None)
            if position is not None:
                self._alive[position] = False

    @property
    def mostly_dead(self) -> bool:
        """Whether to `compact`. By this rule, about one row is copied for each row that dies."""
        return self._count - len(self._position) > max(len(self._position), FEW)

    def compact(self) -> None:
        """Drop the dead rows. Earlier views do not change."""
        alive = np.flatnonzero(self._alive[: self._count])
        size = max(2 * len(alive), FEW)
        arrays = [_copied(a, alive, size) for a in (self._labels, self._h, self._alive, self._values)]
        ids = [self._ids[position] for position in alive]
        positions = {item_id: position for position, item_id in enumerate(ids)}
        with self._switching:
            self._labels, self._h, self._alive, self._values = arrays
            self._ids, self._position, self._replaced, self._count = ids, positions, {}, len(ids)

    def label(self, item_id: str) -> int | None:
        """Return the label of an item's row; None if it has none."""
        with self._switching:
            position = self._position.get(item_id)
            return None if position is None else int(self._labels[position])

    def view(self) -> View:
        """Return the current rows."""
        with self._switching:
            n, self._viewed = self._count, True
            return View(
                self._labels[:n], self._h[:n], self._alive[:n].copy(), self._ids, len(self._position),
                self._values[:n], self._position, self._replaced,
            )  # fmt: skip


def _copied(rows: np.ndarray[Any, Any], positions: Ints, size: int) -> np.ndarray[Any, Any]:
    """Return the rows at `positions` at the start of a new array of `size` rows. Unused rows take no memory yet."""
    copy = np.zeros((size, *rows.shape[1:]), rows.dtype)
    np.take(rows, positions, axis=0, out=copy[: len(positions)], mode="clip")  # other modes copy twice
    return copy
