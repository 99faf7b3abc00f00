"""The attributes of a collection's items under the types of new settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from itemlens_server.attributes.schema import AttributeType, inferred, typed
from itemlens_server.attributes.table import AttributeTable
from itemlens_server.errors import InvalidArgument, quoted
from itemlens_server.storage.collection_settings import CollectionSettings

AT_A_TIME = 256


class Retyped:
    """Stored attributes under the types of new settings, as they will be used.

    table:   their values
    records: the record of each item in it
    """

    def __init__(self, old: CollectionSettings, new: CollectionSettings) -> None:
        self._given = old.types.keys()
        self._types = [(f"settings.attributes[{n}].type", *own) for n, own in enumerate(new.types.items())]
        # Attributes whose types are those of their first values now.
        self._gone = self._given - new.types.keys()
        self.table = AttributeTable(new.types)
        self.records: dict[str, int] = {}

    @property
    def types(self) -> dict[str, AttributeType]:
        """The types of the attributes that are given, or that an item has."""
        return self.table.view().types

    def over(self, held: Mapping[str, AttributeType]) -> dict[str, AttributeType]:
        """Return the types that attributes will have. held: those that they have now. Of these, a type that was not
        given stays, whether or not an item has a value of it."""
        return {**{name: kind for name, kind in held.items() if name not in self._given}, **self.types}

    def add(self, stored: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Add items with their attributes, or replace theirs.

        Raises:
            InvalidArgument: a value does not fit its type.
        """
        checked = (self._checked(item_id, attributes) for item_id, attributes in stored)
        while some := list(islice(checked, AT_A_TIME)):
            records = self.table.add_all([attributes for _, attributes in some])
            self.records.update(zip((item_id for item_id, _ in some), records.tolist(), strict=True))

    def _checked(self, item_id: str, attributes: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        for name in sorted(self._gone & attributes.keys()):
            if (first := inferred(attributes[name])) is not None:
                self._types.append(("settings.attributes", name, first))
                self._gone.discard(name)
        for field, name, kind in self._types:
            try:
                typed(attributes.get(name), kind)
            except InvalidArgument as error:
                raise InvalidArgument(
                    f"attribute {quoted(name)} of item {item_id!r}: {error.message}; mend such items first",
                    field,
                ) from None
        return item_id, attributes
