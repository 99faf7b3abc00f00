"""The fused vectors, attribute values and words of a collection in memory.

The row of a replaced or deleted item is marked dead and dropped later.

Readers take a `View` and work on it without a lock. The single writer only appends after it or creates new arrays. A
view does not change: for an item that is replaced meanwhile it shows the old row only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from itemlens_server.attributes.columns import Attributes, AttributeTable
from itemlens_server.attributes.filters import Filter
from itemlens_server.attributes.schema import AttributeType
from itemlens_server.fusion.value_table import Values, ValueTable
from itemlens_server.words import NO_WORDS, Indexed, Words, WordTable

Array = np.ndarray[Any, np.dtype[np.float32]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Codes = np.ndarray[Any, np.dtype[np.int32]]

# Initial capacity, and number of dead rows below which compaction is not worthwhile.
FEW = 256


@dataclass(frozen=True)
class View:
    """The rows at one moment. `labels` are ascending; a row's label is its number in the store.

    values: the table of attribute values that count in the score. columns: each row's column of it, int32 [rows].
    attributes: all attributes. records: each row's record of them, int64 [rows].
    words: those that searches find. documents: each row's document of them, int32 [rows].
    """

    labels: Ints
    h: Array
    alive: Bools
    item_ids: list[str]
    alive_count: int
    values: Values = field(default_factory=Values.none)
    columns: Codes = field(default_factory=lambda: np.zeros(0, np.int32))
    attributes: Attributes = field(default_factory=Attributes.none)
    records: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    words: Words = NO_WORDS
    documents: Codes = field(default_factory=lambda: np.zeros(0, np.int32))
    # Current position of each item, and the position of the row that a row replaced.
    current: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[int, int] = field(default_factory=dict)

    def position(self, item_id: str) -> int | None:
        """Return the position of an item in this view; None if it is not in the collection or was deleted since."""
        position = self.current.get(item_id)
        while position is not None and position >= len(self.labels):
            position = self.replaced.get(position)
        return position

    def matching(self, condition: Filter) -> Bools:
        """Return which rows match a filter, dead ones included, bool [rows].

        Raises:
            InvalidArgument: the filter does not fit the attributes.
        """
        matching: Bools = condition.mask(self.attributes)[self.records]
        return matching

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

    def __init__(
        self,
        dimension: int,
        values_count: bool = True,
        declared: Mapping[str, AttributeType] | None = None,
        indexed: Indexed | None = None,
    ) -> None:
        """`values_count`: whether attribute values count in the score. `declared`: types of attributes. `indexed`: what
        words are taken from; None: searches find none."""
        self._values_count = values_count
        self.attributes = AttributeTable(declared or {})
        self._records = np.zeros(FEW, np.int64)
        self._labels = np.zeros(FEW, np.int64)
        self._h = np.zeros((FEW, dimension), np.float32)
        self._alive = np.zeros(FEW, np.bool_)
        self._columns = np.zeros(FEW, np.int32)
        self._values = ValueTable()
        self._documents = np.zeros(FEW, np.int32)
        self._words = WordTable(indexed) if indexed is not None else None
        self._ids: list[str] = []
        self._position: dict[str, int] = {}
        self._replaced: dict[int, int] = {}
        self._count = 0
        # Whether a view shows the arrays of columns, records and documents, which then must not change.
        self._columns_viewed = self._records_viewed = self._documents_viewed = False
        # Held briefly while a writer publishes its changes, and while a view is taken.
        self._switching = threading.Lock()

    def append(
        self,
        labels: Ints,
        item_ids: list[str],
        h: Array,
        attributes: Sequence[Mapping[str, Any]] = (),
        texts: Sequence[Mapping[str, str]] = (),
    ) -> None:
        """Add rows with labels larger than all before. The earlier row of an item is marked dead.

        attributes, texts: of each row, texts by channel; empty if none has any.
        """
        begin, end = self._count, self._count + len(labels)
        if end > len(self._labels):
            size, there = max(end, 2 * len(self._labels)), np.arange(begin)
            self._labels, self._h, self._alive, self._columns, self._records, self._documents = (
                _copied(a, there, size)
                for a in (self._labels, self._h, self._alive, self._columns, self._records, self._documents)
            )
        for position, own in enumerate(attributes, begin):
            self._records[position] = self.attributes.add(own)
            if self._values_count:
                self._columns[position] = self._values.add(own)
        if self._words is not None:
            for n, position in enumerate(range(begin, end)):
                own_texts, own = texts[n] if texts else {}, attributes[n] if attributes else {}
                self._documents[position] = self._words.add(own_texts, own)
        self._labels[begin:end] = labels
        self._h[begin:end] = h
        self._ids.extend(item_ids)
        with self._switching:
            self._alive[begin:end] = True
            self._count = end
            if self._words is not None:
                self._words.publish()
            for position, item_id in enumerate(item_ids, begin):
                old = self._position.get(item_id)
                if old is not None:
                    self._discard(old)
                    self._replaced[position] = old
                self._position[item_id] = position

    def set_attributes(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the attributes of the rows of some items, if they have one. Earlier views do not change."""
        columns: dict[int, int] = {}
        records: dict[int, int] = {}
        documents: dict[int, int] = {}
        for item_id, attributes in changes.items():
            position = self._position.get(item_id)
            if position is None:
                continue
            old = int(self._columns[position])
            if self._values_count and (column := self._values.replace(old, attributes)) != old:
                columns[position] = column
            records[position] = self.attributes.add(attributes)
            if self._words is not None:
                document = int(self._documents[position])
                if (new := self._words.replace(document, attributes)) != document:
                    documents[position] = new
        with self._switching:
            if documents and self._words is not None:
                if self._documents_viewed:
                    self._documents, self._documents_viewed = self._documents.copy(), False
                for document in self._documents[list(documents)].tolist():
                    self._words.discard(document)
                self._documents[list(documents)] = list(documents.values())
                self._words.publish()
            if columns and self._columns_viewed:
                self._columns, self._columns_viewed = self._columns.copy(), False
            if records and self._records_viewed:
                self._records, self._records_viewed = self._records.copy(), False
            self._columns[list(columns)] = list(columns.values())
            self._records[list(records)] = list(records.values())

    def declare(
        self, types: Mapping[str, AttributeType], stored: Iterable[tuple[str, Mapping[str, Any]]]
    ) -> None:
        """Use these types of attributes. stored: items with their attributes, of which all values fit."""
        attributes, records = AttributeTable(types), np.zeros(len(self._records), np.int64)
        for item_id, own in stored:
            position = self._position.get(item_id)
            if position is not None:
                records[position] = attributes.add(own)
        with self._switching:
            self.attributes, self._records, self._records_viewed = attributes, records, False

    def index_words(
        self, indexed: Indexed | None, stored: Iterable[tuple[str, Mapping[str, str], Mapping[str, Any]]]
    ) -> None:
        """Take words from something else. stored: items with their texts and attributes; without `indexed`, none."""
        words, documents = None, np.zeros(len(self._documents), np.int32)
        if indexed is not None:
            words = WordTable(indexed)
            for item_id, texts, attributes in stored:
                position = self._position.get(item_id)
                if position is not None:
                    documents[position] = words.add(texts, attributes)
            words.publish()
            words.invert()
        with self._switching:
            self._words, self._documents, self._documents_viewed = words, documents, False

    def invert_words(self) -> bool:
        """Make the newest words quicker to find, in any thread. Return whether there was anything to do."""
        words = self._words
        return words is not None and words.invert()

    def _discard(self, position: int) -> None:
        self._values.discard(int(self._columns[position]))
        if self._words is not None:
            self._words.discard(int(self._documents[position]))
        self._alive[position] = False

    def remove(self, item_id: str) -> None:
        """Mark an item's row dead, if it has one."""
        with self._switching:
            position = self._position.pop(item_id, None)
            if position is not None:
                self._discard(position)

    @property
    def mostly_dead(self) -> bool:
        """Whether to `compact`. By this rule, about one row is copied for each row, or column of values, that dies."""
        there = max(len(self._position), FEW)
        tables = (self._values, self.attributes, *(() if self._words is None else (self._words,)))
        return max(self._count, *map(len, tables)) - len(self._position) > there

    def compact(self) -> None:
        """Drop the dead rows, and the values that nothing has. Earlier views do not change."""
        alive = np.flatnonzero(self._alive[: self._count])
        size = max(2 * len(alive), FEW)
        arrays = [_copied(a, alive, size) for a in (self._labels, self._h, self._alive)]
        values, moved = self._values.compacted(self._columns[alive])
        columns, records = np.zeros(size, np.int32), np.zeros(size, np.int64)
        columns[: len(alive)] = moved
        attributes, records[: len(alive)] = self.attributes.compacted(self._records[alive])
        words, documents = self._words, np.zeros(size, np.int32)
        if words is not None:
            words, documents[: len(alive)] = words.compacted(self._documents[alive])
        ids = [self._ids[position] for position in alive]
        positions = {item_id: position for position, item_id in enumerate(ids)}
        with self._switching:
            self._labels, self._h, self._alive = arrays
            self._values, self._columns, self._columns_viewed = values, columns, False
            self.attributes, self._records, self._records_viewed = attributes, records, False
            self._words, self._documents, self._documents_viewed = words, documents, False
            self._ids, self._position, self._replaced, self._count = ids, positions, {}, len(ids)

    def label(self, item_id: str) -> int | None:
        """Return the label of an item's row; None if it has none."""
        with self._switching:
            position = self._position.get(item_id)
            return None if position is None else int(self._labels[position])

    def view(self) -> View:
        """Return the current rows."""
        with self._switching:
            n = self._count
            self._columns_viewed = self._records_viewed = self._documents_viewed = True
            return View(
                self._labels[:n], self._h[:n], self._alive[:n].copy(), self._ids, len(self._position),
                self._values.view(), self._columns[:n], self.attributes.view(), self._records[:n],
                NO_WORDS if self._words is None else self._words.view(), self._documents[:n], self._position,
                self._replaced,
            )  # fmt: skip


def _copied(rows: np.ndarray[Any, Any], positions: Ints, size: int) -> np.ndarray[Any, Any]:
    """Return the rows at `positions` at the start of a new array of `size` rows. Unused rows take no memory yet."""
    copy = np.zeros((size, *rows.shape[1:]), rows.dtype)
    np.take(rows, positions, axis=0, out=copy[: len(positions)], mode="clip")  # other modes copy twice
    return copy
