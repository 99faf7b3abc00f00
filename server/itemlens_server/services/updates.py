"""Changes of items' attributes, which encode nothing: checked, applied to the stored documents, written together."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from itemlens_server.attributes.schema import MOST_STRINGS
from itemlens_server.attributes.table import AttributeChange
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
# Documents that a write has in memory, of up to 4 MiB each.
AT_A_TIME = 200


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
        names = [*self.values, *self.removed, *dict.fromkeys([*self.taken, *self.added])]
        if len(names) > MOST_NAMES:
            raise InvalidArgument(
                f"the update names {len(names)} attributes, the limit is {MOST_NAMES}; use several"
            )
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidArgument(f"attribute {quoted(twice)} is changed in two ways; name it once")
        check_facts(self.values)

    def applied(self, old: Attributes) -> AttributeChange:
        """Return the change of an item's attributes. Values that are the same are left out of it.

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
        changed = {
            name: value for name, value in changed.items() if name not in old or _differ(old[name], value)
        }
        new = {**old, **changed}
        for name in self.removed:
            if name in new:
                del new[name]
                changed[name] = None
        return AttributeChange(new, changed)


def _differ(old: object, new: object) -> bool:
    """Return whether two values may differ as JSON: True is not 1, also within lists."""
    return old != new or type(old) is not type(new) or isinstance(new, dict | list)


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
    """What a write did. changed: how the attributes of items changed."""

    collection: str
    outcomes: Mapping[int, WriteOutcome]
    changed: Mapping[str, AttributeChange]
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
        write = _Write(collection, valid, self._current)
        return Updating(refused, self._store.submit(write.run, self._after, write.undone))

    def _after(self, written: Sequence[Updated]) -> None:
        """Let the next read see successive writes, in the writer's thread."""
        for name, group in groupby(written, key=lambda updated: updated.collection):
            changed: dict[str, AttributeChange] = {}
            for updated in group:
                for item_id, change in updated.changed.items():
                    earlier = changed.get(item_id)
                    changed[item_id] = earlier.then(change) if earlier else change
            if (current := self._current(name)) is not None:
                current.change_attributes(changed)


class _Write:
    """One write of updates, in the writer's thread. It may be undone and run again."""

    def __init__(
        self,
        collection: Collection,
        updates: Mapping[int, ItemUpdate],
        current: Callable[[str], Collection | None],
    ) -> None:
        """updates: by their place among all of the call."""
        self._collection = collection
        self._updates = updates
        self._present = current
        self._begin()

    def _begin(self) -> None:
        self._current = self._present(self._collection.name) or self._collection
        # Attributes whose types are those of this write's values.
        self._typed: list[str] = []
        self._outcomes: dict[int, WriteOutcome] = {}
        self._changed: dict[str, AttributeChange] = {}
        self._sequence = 0

    def run(self, connection: sqlite3.Connection) -> Updated:
        """Change and write the documents."""
        self._begin()
        updates, number = list(self._updates.items()), self._collection.record.id
        for start in range(0, len(updates), AT_A_TIME):
            self._write(connection, updates[start : start + AT_A_TIME])
        sequence = self._sequence or Reader(connection).sequence(number)
        return Updated(self._collection.name, self._outcomes, self._changed, sequence)

    def _write(self, connection: sqlite3.Connection, updates: Sequence[tuple[int, ItemUpdate]]) -> None:
        number = self._collection.record.id
        items = Reader(connection).described(number, list({update.item_id for _, update in updates}))
        written: dict[str, DescribedItem] = {}
        for n, update in updates:
            item_id, found = update.item_id, items.get(update.item_id)
            try:
                old = self._there(found, item_id)
                change = self._change(old, update)
                text = old.text
                if change.changed:
                    self._typed += self._current.check_attributes(change.changed)
                    document = Document(old.document.texts, change.attributes, old.document.relations)
                    text = document.dump()
                    check_size(text)
            except ItemlensError as error:
                now = found.sequence if isinstance(found, DescribedItem) else 0
                self._outcomes[n] = WriteOutcome(item_id, error, sequence=now)
                continue
            if text != old.text:
                self._sequence = self._sequence or writes.next_sequence(connection, number)
                old = DescribedItem(old.label, item_id, self._sequence, document, text)
                items[item_id] = written[item_id] = old
                earlier = self._changed.get(item_id)
                self._changed[item_id] = earlier.then(change) if earlier else change
            self._outcomes[n] = WriteOutcome(item_id, sequence=old.sequence)
        writes.set_documents(connection, list(written.values()))

    def undone(self) -> None:
        """Take back what the write did besides the store."""
        self._current.take_types_back(self._typed)

    def _there(self, found: DescribedItem | DamagedItem | None, item_id: str) -> DescribedItem:
        if found is None:
            raise NotFound(
                f"item {item_id!r} is not in collection {self._collection.name!r}", "item", item_id
            )
        if isinstance(found, DamagedItem):
            raise found.error
        return found

    def _change(self, old: DescribedItem, update: ItemUpdate) -> AttributeChange:
        if update.if_sequence not in (None, old.sequence):
            raise Aborted(
                f"item {old.item_id!r} has the sequence number {old.sequence}, not {update.if_sequence}: it was "
                "changed meanwhile; read it and try again", "if_sequence_number",
            )  # fmt: skip
        return update.applied(old.document.attributes)
