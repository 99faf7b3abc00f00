"""The fused vectors, attribute values and words of a collection in memory.

The row of a replaced or deleted item is marked dead and dropped later.

Readers take a `View` and work on it without a lock. The single writer only appends after it or creates new arrays. A
view does not change: for an item that is replaced meanwhile it shows the old row only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np

from itemlens_server.attributes.columns import Attributes
from itemlens_server.attributes.filters import Filter
from itemlens_server.attributes.schema import AttributeType
from itemlens_server.attributes.table import AttributeChange, AttributeTable
from itemlens_server.fusion.value_table import Values, ValueTable
from itemlens_server.words import NO_WORDS, Indexed, Words, WordTable

Array = np.ndarray[Any, np.dtype[np.float32]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Codes = np.ndarray[Any, np.dtype[np.int32]]

# The tables of values that count in the score, of all attributes and of words, and each row's number in them.
_Described: TypeAlias = "tuple[ValueTable, Codes, AttributeTable, Ints, WordTable | None, Codes]"
T = TypeVar("T")

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
        if attributes:
            self._records[begin:end] = self.attributes.add_all(attributes)
            if self._values_count:
                self._columns[begin:end] = [self._values.add(own) for own in attributes]
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
        there = self._there(changes)
        columns = [self._column(position, own) for position, own in there.items()]
        documents = [self._document(position, own) for position, own in there.items()]
        self._switch(list(there), columns, self.attributes.add_all(list(there.values())).tolist(), documents)

    def change_attributes(self, changes: Mapping[str, AttributeChange]) -> None:
        """Change some attributes of the rows of some items, as `set_attributes` does. What stays costs little."""
        there = self._there(changes)
        positions = list(there)
        columns = [
            int(self._columns[position])
            if self.attributes.are_numbers(change.changed)  # which are no values that items share
            else self._column(position, change.attributes)
            for position, change in there.items()
        ]
        indexed = () if self._words is None else self._words.indexed.attributes
        documents = [
            self._document(position, change.attributes)
            if any(name in change.changed for name in indexed)
            else int(self._documents[position])
            for position, change in there.items()
        ]
        old = self._records[np.asarray(positions, np.int64)].astype(np.int64)
        records = self.attributes.derive(old, [change.changed for change in there.values()])
        self._switch(positions, columns, records.tolist(), documents)

    def _there(self, changes: Mapping[str, T]) -> dict[int, T]:
        """Return changes by position, without those of items that have no row."""
        found = ((self._position.get(item_id), change) for item_id, change in changes.items())
        return {position: change for position, change in found if position is not None}

    def _column(self, position: int, attributes: Mapping[str, Any]) -> int:
        """Return the column of values of a row that gets these attributes."""
        old = int(self._columns[position])
        return self._values.replace(old, attributes) if self._values_count else old

    def _document(self, position: int, attributes: Mapping[str, Any]) -> int:
        """Return the document of words of a row that gets these attributes."""
        old = int(self._documents[position])
        return old if self._words is None else self._words.replace(old, attributes)

    def _switch(
        self, positions: list[int], columns: list[int], records: list[int], documents: list[int]
    ) -> None:
        """Give rows other columns of values, records and documents of words."""
        before = self._documents[positions].tolist()
        with self._switching:
            if self._columns_viewed and self._columns[positions].tolist() != columns:
                self._columns, self._columns_viewed = self._columns.copy(), False
            if not self._columns_viewed:
                self._columns[positions] = columns
            if self._records_viewed and positions:
                self._records, self._records_viewed = self._records.copy(), False
            self._records[positions] = records
            if self._words is not None and before != documents:
                if self._documents_viewed:
                    self._documents, self._documents_viewed = self._documents.copy(), False
                self._documents[positions] = documents
                for old, new in zip(before, documents, strict=True):
                    if old != new:
                        self._words.discard(old)
                self._words.publish()

    def declare(self, attributes: AttributeTable, by_item: Mapping[str, int]) -> None:
        """Use another table of attributes, with the record of each item in it. Earlier views do not change."""
        records = np.zeros(len(self._records), np.int64)
        there = self._there(by_item)
        records[list(there)] = list(there.values())
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
        """Whether to `compact`. By this rule, about one row is copied for each row that dies."""
        return self._outnumber(self._count)

    @property
    def descriptions_mostly_dead(self) -> bool:
        """Whether to `compact_descriptions`, by the same rule for columns of values, records and documents."""
        tables = (self._values, self.attributes, *(() if self._words is None else (self._words,)))
        return self._outnumber(max(map(len, tables)))

    def _outnumber(self, count: int) -> bool:
        return count - len(self._position) > max(len(self._position), FEW)

    def compact(self) -> None:
        """Drop the dead rows, and the values and words that nothing has. Earlier views do not change."""
        alive = np.flatnonzero(self._alive[: self._count])
        size = max(2 * len(alive), FEW)
        arrays = [_copied(a, alive, size) for a in (self._labels, self._h, self._alive)]
        described = self._described(alive, np.arange(len(alive)), size)
        ids = [self._ids[position] for position in alive]
        positions = {item_id: position for position, item_id in enumerate(ids)}
        with self._switching:
            self._labels, self._h, self._alive = arrays
            self._use(described)
            self._ids, self._position, self._replaced, self._count = ids, positions, {}, len(ids)

    def compact_descriptions(self) -> None:
        """Drop the values that nothing has, and the words if most are such. The rows stay where they are, and earlier
        views do not change."""
        alive = np.flatnonzero(self._alive[: self._count])
        # Words are spared where other attributes changed: their table takes longest.
        words_too = self._words is not None and self._outnumber(len(self._words))
        described = self._described(alive, alive, len(self._labels), words_too)
        with self._switching:
            self._use(described)

    def _described(self, alive: Ints, moved: Ints, size: int, words_too: bool = True) -> _Described:
        """Return the compacted tables for the rows that are alive, which move to other positions, int64 [n] each."""
        columns, records, documents = (
            np.zeros(size, np.int32),
            np.zeros(size, np.int64),
            np.zeros(size, np.int32),
        )
        values, columns[moved] = self._values.compacted(self._columns[alive])
        attributes, records[moved] = self.attributes.compacted(self._records[alive])
        words = self._words
        if words is not None and words_too:
            words, documents[moved] = words.compacted(self._documents[alive])
        else:
            documents[moved] = self._documents[alive]
        return values, columns, attributes, records, words, documents

    def _use(self, described: _Described) -> None:
        self._values, self._columns, self.attributes, self._records, self._words, self._documents = described
        self._columns_viewed = self._records_viewed = self._documents_viewed = False

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
