"""Typed columns of attributes. Records are only added, so a view of the columns costs no copy.

An item whose attributes change gets another record; the old one is dropped when the rows are compacted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.attributes.schema import (
    MOST_ATTRIBUTES,
    AttributeType,
    Stored,
    inferred,
    plain,
    typed,
)
from itemlens_server.errors import InvalidArgument, quoted

Values = np.ndarray[Any, np.dtype[Any]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

NOTHING = 0
"""The record of items without attributes."""
NO_INTEGER = np.iinfo(np.int64).min
NO_TEXT, NO_TRUTH = 0, -1
FEW = 256

# By type: the dtype, what stands for no value, and the shape of a value.
_FORMS: Mapping[AttributeType, tuple[type[np.generic], float, tuple[int, ...]]] = {
    AttributeType.STRING: (np.int32, NO_TEXT, ()),
    AttributeType.NUMBER: (np.float64, np.nan, ()),
    AttributeType.INTEGER: (np.int64, NO_INTEGER, ()),
    AttributeType.BOOLEAN: (np.int8, NO_TRUTH, ()),
    AttributeType.TIME: (np.float64, np.nan, ()),
    AttributeType.STRINGS: (np.int32, NO_TEXT, (1,)),
    AttributeType.POINT: (np.float64, np.nan, (2,)),
}


class Column:
    """The values of one attribute by record. Texts are codes, from 1; lists of texts are filled up with 0."""

    def __init__(self, kind: AttributeType, size: int = FEW) -> None:
        self.kind = kind
        dtype, nothing, shape = _FORMS[kind]
        self._nothing = nothing
        self._values: Values = np.full((size, *shape), nothing, dtype)
        self._codes: dict[str, int] = {}
        self._texts = [""]

    def values(self, count: int) -> Values:
        """Return the values of the first `count` records; see `_FORMS`. Later records do not change them."""
        values = self._values
        if len(values) >= count:
            return values[:count]
        more = np.full((count - len(values), *values.shape[1:]), self._nothing, values.dtype)
        return np.concatenate([values, more])

    def code(self, text: str) -> int:
        """Return the code of a text; -1 if no item ever had it."""
        return self._codes.get(text, -1)

    def text(self, code: int) -> str:
        """Return the text of a code."""
        return self._texts[code]

    @property
    def texts(self) -> int:
        """Number of codes, with that of no text."""
        return len(self._texts)

    def put(self, record: int, value: Stored) -> None:
        """Set the value of a record that has none."""
        shape: tuple[int, ...] = self._values.shape[1:]
        if self.kind is AttributeType.STRINGS and isinstance(value, list):
            value = list(dict.fromkeys(value))
            shape = (max(shape[0], len(value)),)
        if record >= len(self._values) or shape != self._values.shape[1:]:
            size = len(self._values) if record < len(self._values) else max(record + 1, 2 * len(self._values))
            larger = np.full((size, *shape), self._nothing, self._values.dtype)
            larger[tuple(map(slice, self._values.shape))] = self._values
            self._values = larger
        if isinstance(value, list):
            self._values[record, : len(value)] = [self._code(text) for text in value]
        else:
            self._values[record] = self._code(value) if isinstance(value, str) else value

    def _code(self, text: str) -> int:
        code = self._codes.get(text)
        if code is None:
            code = len(self._texts)
            self._texts.append(text)
            self._codes[text] = code
        return code

    def stored(self, record: int) -> Any:
        """Return the value of a record; None if it has none."""
        [value] = self.values(record + 1)[record:]
        match self.kind:
            case AttributeType.STRING:
                return self.text(int(value)) if value != NO_TEXT else None
            case AttributeType.STRINGS:
                return [self.text(code) for code in value.tolist() if code != NO_TEXT] or None
            case AttributeType.BOOLEAN:
                return bool(value) if value != NO_TRUTH else None
            case AttributeType.INTEGER:
                return int(value) if value != NO_INTEGER else None
            case AttributeType.POINT:
                return None if np.isnan(value[0]) else tuple(value.tolist())
        return None if np.isnan(value) else float(value)

    def compacted(self, records: Ints) -> Column:
        """Return a column of these records alone, numbered from 1, with the texts that they have."""
        own = self.values(int(records.max(initial=0)) + 1)[records]
        new = Column(self.kind, max(FEW, 2 * (len(records) + 1)))
        if self._values.dtype == np.int32:
            used = np.unique(own[own != NO_TEXT])
            numbers = np.zeros(len(self._texts), np.int32)
            numbers[used] = np.arange(1, len(used) + 1)
            new._texts = ["", *(self._texts[code] for code in used.tolist())]
            new._codes = {text: code for code, text in enumerate(new._texts) if code}
            own = numbers[own]
        if own.ndim > 1:
            new._values = np.full((len(new._values), own.shape[1]), self._nothing, own.dtype)
        new._values[1 : len(own) + 1] = own
        return new


@dataclass(frozen=True)
class Attributes:
    """Columns at one moment. count: number of records. declared: types of attributes that need not have a column."""

    columns: Mapping[str, Column]
    count: int
    declared: Mapping[str, AttributeType]
    # The record that the others are left out for.
    only: int | None = None

    @staticmethod
    def none() -> Attributes:
        """Return what nothing has."""
        return Attributes({}, NOTHING + 1, {})

    @property
    def types(self) -> dict[str, AttributeType]:
        """The type of each attribute."""
        return {**self.declared, **{name: column.kind for name, column in self.columns.items()}}

    def values(self, name: str) -> Values | None:
        """Return the values of an attribute by record, see `Column.values`; None if nothing ever had any."""
        column = self.columns.get(name)
        if column is None:
            return None
        return column.values(self.count) if self.only is None else column.values(self.only + 1)[self.only :]

    def __len__(self) -> int:
        return self.count if self.only is None else 1

    def of(self, record: int) -> Attributes:
        """Return the attributes of one record."""
        return Attributes(self.columns, self.count, self.declared, record)

    def shown(self, record: int, names: Sequence[str]) -> dict[str, Any]:
        """Return some attributes of a record that it has, as they are given in JSON."""
        found = ((name, self.columns[name]) for name in names if name in self.columns)
        told = ((name, column, column.stored(record)) for name, column in found)
        return {name: plain(value, column.kind) for name, column, value in told if value is not None}


class AttributeTable:
    """The growing columns. One thread changes them; any number take views."""

    def __init__(self, declared: Mapping[str, AttributeType]) -> None:
        self.declared = dict(declared)
        self._columns: dict[str, Column] = {}
        self._count = NOTHING + 1

    def __len__(self) -> int:
        return self._count

    def view(self) -> Attributes:
        """Return the columns as they are now."""
        return Attributes(self._columns, self._count, self.declared)

    def type(self, name: str) -> AttributeType | None:
        """Return the type of an attribute; None if it is not known."""
        column = self._columns.get(name)
        return column.kind if column else self.declared.get(name)

    def check(self, attributes: Mapping[str, Any]) -> None:
        """Check values before they are stored, and hold the types of new attributes.

        Raises:
            InvalidArgument: a value is of another type than its attribute's.
        """
        for name, value in attributes.items():
            kind = self.type(name)
            if kind is None:
                kind = inferred(value)
                if kind is not None and len(self._columns) < MOST_ATTRIBUTES:
                    self._columns = {**self._columns, name: Column(kind)}
                continue
            try:
                typed(value, kind)
            except InvalidArgument as error:
                held = "its type in the settings" if name in self.declared else "that of its first value"
                raise InvalidArgument(
                    f"attribute {quoted(name)}: {error.message}, which is {held}: mend the value, or give the "
                    "attribute a type with UpdateCollection", "attributes",
                ) from None  # fmt: skip

    def add(self, attributes: Mapping[str, Any]) -> int:
        """Add the attributes of an item, and return their record. Values of a wrong type, which were stored by an
        earlier version, are left out."""
        known = [(n, v) for n, v in attributes.items() if v is not None]
        if not known:
            return NOTHING
        record = self._count
        for name, value in known:
            column = self._columns.get(name)
            if column is None:
                kind = self.type(name) or inferred(value)
                if kind is None or len(self._columns) >= MOST_ATTRIBUTES:
                    continue
                column = Column(kind)
                self._columns = {**self._columns, name: column}
            try:
                stored = typed(value, column.kind)
            except InvalidArgument:
                continue
            if stored is not None:
                column.put(record, stored)
        self._count += 1
        return record

    def compacted(self, records: Ints) -> tuple[AttributeTable, Ints]:
        """Return a table of the given records only, int64 [n], and their numbers in it."""
        there = records != NOTHING
        kept = records[there]
        new = AttributeTable(self.declared)
        new._columns = {name: column.compacted(kept) for name, column in self._columns.items()}
        new._count = NOTHING + 1 + len(kept)
        numbers = np.full(len(records), NOTHING, np.int64)
        numbers[there] = np.arange(NOTHING + 1, new._count)
        return new, numbers
