"""The attributes of a collection as growing columns, one record an item, and the types that they have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from itemlens_server.attributes.columns import NOTHING, Attributes, Ints, column
from itemlens_server.attributes.schema import MOST_ATTRIBUTES, AttributeType, fitting, inferred, typed
from itemlens_server.errors import InvalidArgument, quoted


@dataclass(frozen=True)
class AttributeChange:
    """A change of an item's attributes: what they are now, and of these the changed ones, None for those removed."""

    attributes: Mapping[str, Any]
    changed: Mapping[str, Any]

    def then(self, later: AttributeChange) -> AttributeChange:
        """Return this change and a later one as one."""
        return AttributeChange(later.attributes, {**self.changed, **later.changed})


class AttributeTable:
    """The growing columns. One thread changes them; any number take views."""

    def __init__(self, declared: Mapping[str, AttributeType]) -> None:
        """`declared`: types that are given. Those of other attributes are taken from their first values."""
        self.declared = dict(declared)
        self._columns = {name: column(kind) for name, kind in declared.items()}
        self._count = NOTHING + 1
        # Types of first values that are checked, but not on disk yet.
        self._coming: dict[str, AttributeType] = {}

    def __len__(self) -> int:
        return self._count

    def view(self) -> Attributes:
        """Return the columns as they are now."""
        return Attributes(self._columns, self._count)

    def check(
        self,
        attributes: Mapping[str, Any],
        coming: Mapping[str, AttributeType],
        fields: Mapping[str, str] = MappingProxyType({}),
    ) -> list[str]:
        """Check values before they are stored. If all fit, the types of first values hold for later checks, too, until
        `add` or `derive` brings such a value or they are taken back. Return the attributes with such types.

        coming: given types that are about to count. fields: the field that a value came from, by attribute; others
        came from "attributes".

        Raises:
            InvalidArgument: a value is of another type than its attribute's.
        """
        new: dict[str, AttributeType] = {}
        for name, value in attributes.items():
            known = self._columns.get(name)
            kind = coming.get(name) or (known.kind if known else self._coming.get(name))
            if kind is None:
                kind = inferred(value)
                if kind is not None:
                    new[name] = kind
                continue
            try:
                typed(value, kind)
            except InvalidArgument as error:
                given = name in self.declared or name in coming
                held = "its type in the settings" if given else "that of its first value"
                raise InvalidArgument(
                    f"attribute {quoted(name)}: {error.message}, which is {held}: mend the value, or give the "
                    "attribute a type with UpdateCollection", fields.get(name, "attributes"),
                ) from None  # fmt: skip
        room = max(MOST_ATTRIBUTES - len(self._columns) - len(self._coming), 0)
        some = list(new)[:room]
        self._coming |= {name: new[name] for name in some}
        return some

    def take_back(self, names: Iterable[str]) -> None:
        """Take back the types of first values that will not be on disk, from `check`."""
        for name in names:
            self._coming.pop(name, None)

    def _hold(self, new: Mapping[str, AttributeType]) -> None:
        room = max(MOST_ATTRIBUTES - len(self._columns), 0)
        if some := list(new.items())[:room]:
            self._columns = {**self._columns, **{name: column(kind) for name, kind in some}}
        self.take_back(new)

    def add(self, attributes: Mapping[str, Any]) -> int:
        """Add the attributes of an item, and return their record. Values of a wrong type, which were stored by an
        earlier version, are left out."""
        return int(self.add_all([attributes])[0])

    def add_all(self, attributes: Sequence[Mapping[str, Any]]) -> Ints:
        """Add the attributes of items as `add` does, at once. Return their records, int64 [n]."""
        records = np.full(len(attributes), NOTHING, np.int64)
        there = [n for n, own in enumerate(attributes) if any(value is not None for value in own.values())]
        if there:
            records[there] = self.derive(records[there], [attributes[n] for n in there])
        return records

    def derive(self, records: Ints, changes: Sequence[Mapping[str, Any]]) -> Ints:
        """Add a record for each of others, int64 [n], with the same values except those changed; None: no value. Return
        their numbers, int64 [n]."""
        changed: dict[str, dict[int, Any]] = {}
        for place, values in enumerate(changes):
            for name, value in values.items():
                changed.setdefault(name, {})[place] = value
        for name, by_place in changed.items():
            if name not in self._columns:
                kinds = map(inferred, by_place.values())
                if (kind := next(filter(None, kinds), None)) is not None:
                    self._hold({name: kind})
        for name, own in self._columns.items():
            stored = {place: fitting(value, own.kind) for place, value in changed.get(name, {}).items()}
            own.derive(self._count, records, stored)
        self._count += len(records)
        return np.arange(self._count - len(records), self._count)

    def are_numbers(self, names: Iterable[str]) -> bool:
        """Return whether all values of these attributes are numbers."""
        found = (self._columns.get(name) for name in names)
        return all(own is not None and own.kind is AttributeType.NUMBER for own in found)

    def compacted(self, records: Ints) -> tuple[AttributeTable, Ints]:
        """Return a table of the given records only, int64 [n], and their numbers in it."""
        there = records != NOTHING
        kept = records[there]
        new = AttributeTable(self.declared)
        new._columns = {name: own.compacted(kept) for name, own in self._columns.items()}
        new._count = NOTHING + 1 + len(kept)
        numbers = np.full(len(records), NOTHING, np.int64)
        numbers[there] = np.arange(NOTHING + 1, new._count)
        return new, numbers
