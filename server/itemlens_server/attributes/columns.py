"""Typed columns of attributes. Records are only added, so a view of the columns costs no copy.

An item whose attributes change gets another record, which takes over what did not change. The old one is dropped when
the columns are compacted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.attributes.schema import AttributeType, Stored, fitting, plain

Values = np.ndarray[Any, np.dtype[Any]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

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
    AttributeType.POINT: (np.float64, np.nan, (2,)),
}


class Column(ABC):
    """The values of one attribute by record, of which the first ones never change. Texts have codes, from 1."""

    def __init__(self, kind: AttributeType) -> None:
        self.kind = kind
        self._codes: dict[str, int] = {}
        self._texts = [""]

    def code(self, text: str) -> int:
        """Return the code of a text; -1 if no item ever had it."""
        return self._codes.get(text, -1)

    def _coded(self, text: str) -> int:
        code = self._codes.get(text)
        if code is None:
            code = len(self._texts)
            self._texts.append(text)
            self._codes[text] = code
        return code

    def _by_code(self, numbers: Mapping[str, float]) -> Floats:
        """Return the number of each code's text, 0 for others; float64 [codes]."""
        found = np.zeros(len(self._texts))
        for text, number in numbers.items():
            if 0 < (code := self.code(text)) < len(found):
                found[code] = number
        return found

    def _keep_texts(self, used: Ints, of: Column) -> Ints:
        """Take over texts of another column by code; all of them, if most are used, so that they are shared. Return the
        new code of each old one, int64 [codes]."""
        if 2 * len(used) >= len(of._texts) - 1:
            self._texts, self._codes = of._texts, of._codes
            return np.arange(len(of._texts))
        numbers = np.zeros(len(of._texts), np.int64)
        numbers[used] = np.arange(1, len(used) + 1)
        self._texts = ["", *(of._texts[code] for code in used.tolist())]
        self._codes = {text: code for code, text in enumerate(self._texts) if code}
        return numbers

    @abstractmethod
    def sums(self, numbers: Mapping[str, float], count: int) -> Floats:
        """Return the sum over the texts of each of the first `count` records of their numbers, 0 for others; float64
        [count]."""

    @abstractmethod
    def derive(self, record: int, others: Ints, changed: Mapping[int, Stored | None]) -> None:
        """Give the records from `record` on, after those of all records before them, the values of others, int64 [n],
        except those changed: by their place among them; None: no value."""

    @abstractmethod
    def stored(self, record: int) -> Any:
        """Return the value of a record; None if it has none."""

    @abstractmethod
    def there(self, count: int) -> Bools:
        """Return which of the first `count` records have a value."""

    @abstractmethod
    def tally(self, records: Ints) -> tuple[Values, Ints]:
        """Return the different values of some records, in ascending order, of texts the codes; and how many of the
        records have each, int64 [values]."""

    def value(self, stored: Any) -> Any:
        """Return a value of `tally` as `stored` does."""
        return self._texts[int(stored)]

    @abstractmethod
    def compacted(self, records: Ints) -> Column:
        """Return a column of these records alone, numbered from 1, with the texts that they have."""


class ValueColumn(Column):
    """One value a record; of texts the codes."""

    def __init__(self, kind: AttributeType, size: int = FEW) -> None:
        super().__init__(kind)
        dtype, self._nothing, shape = _FORMS[kind]
        self._values: Values = np.full((size, *shape), self._nothing, dtype)

    def values(self, count: int) -> Values:
        """Return the values of the first `count` records; see `_FORMS`."""
        values = self._values
        if len(values) >= count:
            return values[:count]
        more = np.full((count - len(values), *values.shape[1:]), self._nothing, values.dtype)
        return np.concatenate([values, more])

    def sums(self, numbers: Mapping[str, float], count: int) -> Floats:
        """See Column."""
        return self._by_code(numbers)[self.values(count)]

    def derive(self, record: int, others: Ints, changed: Mapping[int, Stored | None]) -> None:
        """See Column."""
        self._make_room(record + len(others))
        self._values[record : record + len(others)] = self._values[others]
        for place, value in changed.items():
            self._values[record + place] = (
                self._nothing if value is None else self._coded(value) if isinstance(value, str) else value
            )

    def _make_room(self, count: int) -> None:
        if count > len(self._values):
            self._values = self.values(max(count, 2 * len(self._values)))

    def stored(self, record: int) -> Any:
        """See Column."""
        own = self._values[record : record + 1]  # empty if no later record has a value
        return self.value(own[0]) if self._are(own).any() else None

    def value(self, stored: Any) -> Any:
        """See Column."""
        if self.kind is AttributeType.STRING:
            return super().value(stored)
        if self.kind is AttributeType.BOOLEAN:
            return bool(stored)
        return tuple(stored.tolist()) if self.kind is AttributeType.POINT else stored.item()

    def tally(self, records: Ints) -> tuple[Values, Ints]:
        """See Column."""
        count = int(records.max(initial=0)) + 1
        own = self.values(count)[records]
        own = own[self._are(own)]
        if own.dtype.kind == "i" and self.kind is not AttributeType.INTEGER:  # codes or truth values
            return _tally_of_codes(own)
        values, counts = np.unique(own, return_counts=True)
        return values, counts

    def there(self, count: int) -> Bools:
        """See Column."""
        return self._are(self.values(count))

    def _are(self, values: Values) -> Bools:
        """Return which of some values are there."""
        if values.dtype == np.float64:
            there: Bools = ~np.isnan(values if values.ndim == 1 else values[:, 0])
        else:
            there = values != self._nothing
        return there

    def compacted(self, records: Ints) -> ValueColumn:
        """See Column."""
        own = self.values(int(records.max(initial=0)) + 1)[records]
        new = ValueColumn(self.kind, max(FEW, 2 * (len(records) + 1)))
        if self.kind is AttributeType.STRING:
            own = new._keep_texts(np.unique(own[own != NO_TEXT]).astype(np.int64), self)[own]
        new._values[1 : len(own) + 1] = own
        return new


class ListColumn(Column):
    """A list of texts a record: their codes one after the other, and where the list of each record ends."""

    def __init__(self) -> None:
        super().__init__(AttributeType.STRINGS)
        self._flat = np.zeros(FEW, np.int32)
        self._ends = np.zeros(FEW, np.int64)
        # Records whose ends are known. Those of later ones are where the last of these ends.
        self._known = 0

    def ends(self, count: int) -> Ints:
        """Return where the lists of the first `count` records end, int64 [count]."""
        known = min(self._known, count)
        ends = self._ends
        if known == count:
            return ends[:count]
        more = np.full(count - known, ends[known - 1] if known else 0)
        return np.concatenate([ends[:known], more])

    def _codes_of(self, records: Ints) -> tuple[Ints, Ints]:
        """Return the codes of some records, one list after the other, int64, and the length of each list."""
        ends = self.ends(int(records.max(initial=0)) + 1)
        starts = np.where(records > 0, ends[records - 1], 0)
        sizes = ends[records] - starts
        places = np.arange(int(sizes.sum())) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
        return self._flat[places].astype(np.int64), sizes

    def any_of(self, codes: Sequence[int], count: int) -> Bools:
        """Return which of the first `count` records have one of the texts of these codes."""
        ends, matching = self.ends(count), np.zeros(count, np.bool_)
        chosen = np.zeros(len(self._texts) + 1, np.bool_)
        chosen[[code for code in codes if code > 0]] = True
        flat = self._flat[: int(ends[-1]) if count else 0]
        matching[np.searchsorted(ends, np.flatnonzero(chosen[flat]), "right")] = True
        return matching

    def sums(self, numbers: Mapping[str, float], count: int) -> Floats:
        """See Column."""
        by_code, ends = self._by_code(numbers), self.ends(count)
        found = by_code[self._flat[: int(ends[-1]) if count else 0]]
        places = np.flatnonzero(found)
        sums = np.bincount(np.searchsorted(ends, places, "right"), found[places], count)
        return np.asarray(sums, np.float64)

    def derive(self, record: int, others: Ints, changed: Mapping[int, Stored | None]) -> None:
        """See Column."""
        ends = self.ends(record)
        starts = np.where(others > 0, ends[others - 1], 0)
        lists = [
            self._flat[start:end] for start, end in zip(starts.tolist(), ends[others].tolist(), strict=True)
        ]
        for place, value in changed.items():
            assert value is None or isinstance(value, list)
            lists[place] = np.asarray([self._coded(text) for text in dict.fromkeys(value or ())], np.int32)
        sizes = np.fromiter(map(len, lists), np.int64, len(lists))
        if len(sizes):  # lists without texts, too, so that the next record finds all before it
            self._append(record, np.concatenate(lists), sizes)

    def _append(self, record: int, codes: Values, sizes: Ints) -> None:
        """Add the lists of the records from `record` on: their codes one after the other, and their sizes."""
        start, count = int(self._ends[self._known - 1]) if self._known else 0, record + len(sizes)
        if start + len(codes) > len(self._flat):
            self._flat = np.concatenate([self._flat, np.zeros(max(len(codes), len(self._flat)), np.int32)])
        if count > len(self._ends):
            more = max(count - len(self._ends), len(self._ends))
            self._ends = np.concatenate([self._ends, np.zeros(more, np.int64)])
        self._flat[start : start + len(codes)] = codes
        self._ends[self._known : record] = start
        self._ends[record:count] = start + np.cumsum(sizes)
        # Last: a reader looks no further than this.
        self._known = count

    def stored(self, record: int) -> list[str] | None:
        """See Column."""
        known, ends = self._known, self._ends
        if record >= known:
            return None
        start = int(ends[record - 1]) if record else 0
        return [self._texts[code] for code in self._flat[start : ends[record]].tolist()] or None

    def there(self, count: int) -> Bools:
        """See Column."""
        there: Bools = np.diff(self.ends(count), prepend=0) > 0
        return there

    def tally(self, records: Ints) -> tuple[Values, Ints]:
        """See Column."""
        return _tally_of_codes(self._codes_of(records)[0])

    def compacted(self, records: Ints) -> ListColumn:
        """See Column."""
        new = ListColumn()
        codes, sizes = self._codes_of(records)
        new._flat = np.zeros(max(FEW, 2 * len(codes)), np.int32)
        new._flat[: len(codes)] = new._keep_texts(np.unique(codes), self)[codes]
        new._known = len(records) + 1
        new._ends = np.zeros(max(FEW, 2 * new._known), np.int64)
        new._ends[1 : new._known] = np.cumsum(sizes)
        return new


def _tally_of_codes(codes: Values) -> tuple[Values, Ints]:
    """Return the different codes, and how often each occurs. Faster than sorting them."""
    counts = np.bincount(codes)
    found = np.flatnonzero(counts)
    return found, counts[found]


def column(kind: AttributeType) -> Column:
    """Return an empty column."""
    return ListColumn() if kind is AttributeType.STRINGS else ValueColumn(kind)


@dataclass(frozen=True)
class Attributes:
    """Columns at one moment. count: number of records. first: the first record that is looked at."""

    columns: Mapping[str, Column]
    count: int
    first: int = 0

    @staticmethod
    def none() -> Attributes:
        """Return what nothing has."""
        return Attributes({}, NOTHING + 1)

    @property
    def types(self) -> dict[str, AttributeType]:
        """The type of each attribute."""
        return {name: column.kind for name, column in self.columns.items()}

    def __len__(self) -> int:
        return self.count - self.first

    def values(self, name: str) -> Values:
        """Return the values of an attribute that has one value a record, see `ValueColumn.values`."""
        found = self.columns[name]
        assert isinstance(found, ValueColumn)
        return found.values(self.count)[self.first :]

    def any_of(self, name: str, texts: Iterable[str]) -> Bools:
        """Return which records have one of some texts, bool [records]."""
        found = self.columns[name]
        codes = [found.code(text) for text in texts]
        if isinstance(found, ListColumn):
            return found.any_of(codes, self.count)[self.first :]
        return np.isin(self.values(name), [code for code in codes if code > 0])

    def sums(self, name: str, numbers: Mapping[str, float]) -> Floats:
        """Return the sum over the texts of each record of their numbers, 0 for others; float64 [records]."""
        return self.columns[name].sums(numbers, self.count)[self.first :]

    def there(self, name: str) -> Bools:
        """Return which records have a value of an attribute, bool [records]."""
        return self.columns[name].there(self.count)[self.first :]

    def of(self, record: int) -> Attributes:
        """Return the attributes of one record."""
        return Attributes(self.columns, record + 1, record)

    def shown(self, record: int, names: Iterable[str]) -> dict[str, Any]:
        """Return some attributes of a record that it has, as they are given in JSON."""
        found = ((name, self.columns[name]) for name in names if name in self.columns)
        told = ((name, own.kind, own.stored(record)) for name, own in found)
        return {name: plain(value, kind) for name, kind, value in told if value is not None}

    def told(self, record: int, names: Collection[str], now: Mapping[str, Any]) -> dict[str, Any]:
        """Return some attributes of an item as they were at this moment. now: all its attributes by now, as they are
        given; values of no column are taken from there, and those that did not change."""
        told = {name: now[name] for name in names if name in now}
        for name in names:
            own = self.columns.get(name)
            if own is not None and (then := own.stored(record)) != fitting(now.get(name), own.kind):
                told.pop(name, None)
                if then is not None:
                    told[name] = plain(then, own.kind)
        return told
