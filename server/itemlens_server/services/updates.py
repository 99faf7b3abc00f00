"""Changes of items' attributes, which encode nothing: checked, applied to the stored documents, written together."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from itemlens_server.attributes.schema import MOST_STRINGS
from itemlens_server.errors import Aborted, InvalidArgument, ItemlensError, NotFound, quoted
from itemlens_server.services.collection import Collection
from itemlens_server.services.items import WriteOutcome, check_facts, check_size
from itemlens_server.services.limits import check_id
from itemlens_server.storage import writes
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import DamagedItem, DescribedItem, Document
from itemlens_server.storage.store import Store

Attributes = Mapping[str, Any]
Texts = Mapping[str, Sequence[str]]
# Most attributes that an update names.
MOST_NAMES = 1000


@dataclass(frozen=True)
class ItemUpdate:
    """A change of an item's attributes.

    values:      attributes that are set
    removed:     names of attributes that are removed
    taken:       texts that are taken out of lists, by attribute
    added:       texts that are added to lists after that, by attribute
    if_sequence: the sequence number that the item must have; None: any
    """

    item_id: str
    values: Attributes = field(default_factory=dict)
    removed: Sequence[str] = ()
    taken: Texts = field(default_factory=dict)
    added: Texts = field(default_factory=dict)
    if_sequence: int | None = None

    def check(self) -> None:
        """Check what can be checked without the item.

        Raises:
            InvalidArgument: a field is invalid; the error names it.
        """
        check_id(self.item_id, "item_id")
        lists = self.taken.keys() | self.added.keys()
        count = len(self.values) + len(self.removed) + len(lists)
        if count > MOST_NAMES:
            raise InvalidArgument(
                f"the update names {count} attributes, the limit is {MOST_NAMES}; use several"
            )
        if len(self.values.keys() | lists | set(self.removed)) < count:
            name = next(
                n for n in (*self.removed, *lists) if [*self.values, *self.removed, *lists].count(n) > 1
            )
            raise InvalidArgument(f"attribute {quoted(name)} is changed in two ways; name it once")
        check_facts(self.values)

    def applied(self, old: Attributes) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the attributes of an item after the update, and of these the ones that have new values.

        Raises:
            InvalidArgument: an attribute that should be a list of texts is none, or would be too long.
        """
        changed = dict(self.values)
        for name, texts in self.taken.items():
            gone = set(texts)
            changed[name] = [text for text in _texts(old, name, "removed_texts") if text not in gone]
        for name, texts in self.added.items():
            there = changed[name] if name in changed else _texts(old, name, "added_texts")
            changed[name] = list(dict.fromkeys([*there, *texts]))
            if len(changed[name]) > MOST_STRINGS:
                raise InvalidArgument(
                    f"attribute {quoted(name)} would have {len(changed[name])} texts, the limit is {MOST_STRINGS}",
                    "added_texts",
                )
        for name in self.taken:
            if name not in old and name not in self.added:  # an item without the list gets none
                del changed[name]
        new = {**old, **changed}
        for name in self.removed:
            new.pop(name, None)
        return new, changed


def _texts(attributes: Attributes, name: str, path: str) -> list[str]:
    value = attributes.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InvalidArgument(
            f"attribute {quoted(name)} of the item is not a list of texts; set it as a whole", path
        )
    return value


@dataclass(frozen=True)
class Updated:
    """What a write did. changed: the attributes of the items that it changed."""

    collection: str
    outcomes: Mapping[int, WriteOutcome]
    changed: Mapping[str, Attributes]
    sequence: int


@dataclass(frozen=True)
class Updating:
    """Updates whose write has begun. refused: outcomes of those that are not written, by their place among all."""

    refused: Mapping[int, WriteOutcome]
    written: Future[Updated]

    def result(self) -> tuple[list[WriteOutcome], int]:
        """Wait for the write. Return the outcome of each update, and the sequence number.

        Raises:
            StorageFull: nothing was stored.
            NotFound: the collection was deleted meanwhile.
        """
        updated = self.written.result()
        outcomes = {**self.refused, **updated.outcomes}
        return [outcomes[n] for n in range(len(outcomes))], updated.sequence


class Updates:
    """Writes updates. `current`: returns the present collection of a name; it may have moved."""

    def __init__(self, store: Store, current: Callable[[str], Collection | None]) -> None:
        self._store = store
        self._current = current

    def begin(self, collection: Collection, updates: Sequence[ItemUpdate]) -> Updating:
        """Check updates and begin to make those that are valid, in order."""
        valid: dict[int, ItemUpdate] = {}
        refused: dict[int, WriteOutcome] = {}
        for n, update in enumerate(updates):
            try:
                update.check()
                valid[n] = update
            except ItemlensError as error:
                refused[n] = WriteOutcome(update.item_id, error)

        def run(connection: sqlite3.Connection) -> Updated:
            return self._run(connection, collection, valid)

        return Updating(refused, self._store.submit(run, self._after))

    def _run(
        self, connection: sqlite3.Connection, collection: Collection, updates: Mapping[int, ItemUpdate]
    ) -> Updated:
        record, reader = collection.record, Reader(connection)
        current = self._current(collection.name) or collection
        item_ids = dict.fromkeys(update.item_id for update in updates.values())
        items = reader.described(record.id, list(item_ids))
        changed: dict[str, DescribedItem] = {}
        outcomes: dict[int, WriteOutcome] = {}
        sequence = 0
        for n, update in updates.items():
            old = items.get(update.item_id)
            before = old.sequence if isinstance(old, DescribedItem) else 0
            try:
                if old is None:
                    raise NotFound(
                        f"item {update.item_id!r} is not in collection {collection.name!r}",
                        "item",
                        update.item_id,
                    )
                if isinstance(old, DamagedItem):
                    raise old.error
                document, text = _updated(current, old, update)
            except ItemlensError as error:
                outcomes[n] = WriteOutcome(update.item_id, error, sequence=before)
                continue
            if text != old.text:
                sequence = sequence or writes.next_sequence(connection, record.id)
                before = sequence
                new = DescribedItem(old.label, old.item_id, sequence, document, text)
                items[update.item_id] = changed[update.item_id] = new
            outcomes[n] = WriteOutcome(update.item_id, sequence=before)
        writes.set_documents(connection, list(changed.values()))
        attributes = {item_id: item.document.attributes for item_id, item in changed.items()}
        return Updated(collection.name, outcomes, attributes, sequence or reader.sequence(record.id))

    def _after(self, written: Sequence[Updated]) -> None:
        """Let the next read see successive writes, in the writer's thread."""
        for name, group in groupby(written, key=lambda updated: updated.collection):
            changed = {item_id: own for updated in group for item_id, own in updated.changed.items()}
            if (current := self._current(name)) is not None:
                current.set_attributes(changed)


def _updated(collection: Collection, old: DescribedItem, update: ItemUpdate) -> tuple[Document, str]:
    """Return the document of an item after an update, also as it is stored, in the writer's thread.

    Raises:
        Aborted: the item has another sequence number.
        InvalidArgument: the update does not fit the item, or its attributes' types.
    """
    if update.if_sequence not in (None, old.sequence):
        raise Aborted(
            f"item {old.item_id!r} has the sequence number {old.sequence}, not {update.if_sequence}: it was changed "
            "meanwhile; read it and try again", "if_sequence_number",
        )  # fmt: skip
    attributes, changed = update.applied(old.document.attributes)
    document = Document(old.document.texts, attributes, old.document.relations)
    text = document.dump()
    check_size(text)
    collection.check_attributes(changed)
    return document, text
