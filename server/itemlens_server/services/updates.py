"""Changes of items' attributes, which encode nothing: checked, applied to the stored documents, written together."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any, NamedTuple

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
# Documents that are read together, of up to 4 MiB each.
AT_A_TIME = 16
# A slice ends after so many updates, or once the documents that it read and wrote have so many characters.
SLICE_UPDATES, SLICE_CHARACTERS = 1000, 8 << 20


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
        named = Counter(chain(self.values, self.removed, {**self.taken, **self.added}))
        if (count := named.total()) > MOST_NAMES:
            raise InvalidArgument(
                f"the update names {count} attributes, the limit is {MOST_NAMES}; use several"
            )
        if count > len(named):
            [(twice, _)] = named.most_common(1)
            field = "removed_attributes" if twice in self.removed else self.fields[twice]
            raise InvalidArgument(f"attribute {quoted(twice)} is changed in two ways; name it once", field)
        check_facts(self.values)

    @property
    def fields(self) -> Mapping[str, str]:
        """The field of the request that the new texts of an attribute come from, by attribute."""
        return {**dict.fromkeys(self.taken, "removed_texts"), **dict.fromkeys(self.added, "added_texts")}

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


def _add(changes: dict[str, AttributeChange], item_id: str, later: AttributeChange) -> None:
    """Add a later change of an item to its earlier ones."""
    earlier = changes.get(item_id)
    changes[item_id] = earlier.then(later) if earlier else later


class _Pending(NamedTuple):
    """An update that is to be made, or refused."""

    update: ItemUpdate
    error: ItemlensError | None


@dataclass(frozen=True)
class Updated:
    """What a slice of a call's updates did. outcomes: of its updates, which are the first of the call's that were left.
    changed: how the attributes of items changed. typed: attributes whose types were taken from first values."""

    collection: str
    outcomes: Sequence[WriteOutcome]
    changed: Mapping[str, AttributeChange]
    typed: Sequence[str]
    sequence: int


class Updating:
    """Updates whose write has begun, a slice at a time: other writes run between the slices.

    written: has the outcome of each update, and the sequence number. Its errors are those of `result`.
    """

    def __init__(
        self, submit: Callable[[Sequence[_Pending]], Future[Updated]], pending: Sequence[_Pending]
    ) -> None:
        self.written: Future[tuple[list[WriteOutcome], int]] = Future()
        self.written.set_running_or_notify_cancel()  # nobody can cancel a write
        self._submit, self._pending = submit, pending
        self._outcomes: list[WriteOutcome] = []
        self._go_on()

    def result(self) -> tuple[list[WriteOutcome], int]:
        """Wait for the write. Return the outcome of each update, and the sequence number.

        Raises:
            StorageFull: nothing was stored. If a later slice has no room, only its updates have this error.
            NotFound: the collection was deleted meanwhile.
            FailedPrecondition: the server stops; the first updates may be stored.
        """
        return self.written.result()

    def _go_on(self) -> None:
        self._submit(self._pending).add_done_callback(self._slice_ended)

    def _slice_ended(self, ended: Future[Updated]) -> None:
        try:
            sequence = self._ended(ended)
            if self._pending:
                self._go_on()
            else:
                self.written.set_result((self._outcomes, sequence))
        except Exception as error:
            self.written.set_exception(error)

    def _ended(self, ended: Future[Updated]) -> int:
        """Take over what a slice did. If it failed after others, the rest of the updates is refused."""
        try:
            updated = ended.result()
        except ItemlensError as error:
            if not self._outcomes or all(one.error for one in self._pending):
                raise
            self._pending = [one._replace(error=one.error or copy(error)) for one in self._pending]
            return 0
        self._outcomes += updated.outcomes
        self._pending = self._pending[len(updated.outcomes) :]
        return updated.sequence


class Updates:
    """Writes updates. `current`: returns the present collection of a name; it may have moved."""

    def __init__(self, store: Store, current: Callable[[str], Collection | None]) -> None:
        self._store = store
        self._current = current

    def begin(self, collection: Collection, updates: Sequence[ItemUpdate]) -> Updating:
        """Check updates and begin to make those that are valid, in order."""
        pending: list[_Pending] = []
        for update in updates:
            error: ItemlensError | None = None
            try:
                update.check()
            except ItemlensError as wrong:
                error = wrong
            pending.append(_Pending(update, error))

        def submit(pending: Sequence[_Pending]) -> Future[Updated]:
            write = _Write(collection, pending, self._current)
            return self._store.submit(write.run, self._after, write.undone)

        return Updating(submit, pending)

    def _after(self, written: Sequence[Updated]) -> None:
        """Let the next read see successive writes, in the writer's thread."""
        for name, group in groupby(written, key=lambda updated: updated.collection):
            changed: dict[str, AttributeChange] = {}
            typed: list[str] = []
            for updated in group:
                typed += updated.typed
                for item_id, change in updated.changed.items():
                    _add(changed, item_id, change)
            if (current := self._current(name)) is not None:
                current.change_attributes(changed)
                # A first value that a later update removed again has brought no type.
                current.take_types_back(typed)


class _Write:
    """One write of the first of some updates, in the writer's thread. It may be undone and run again."""

    def __init__(
        self,
        collection: Collection,
        updates: Sequence[_Pending],
        current: Callable[[str], Collection | None],
    ) -> None:
        self._collection = collection
        self._updates = updates
        self._present = current
        self._begin()

    def _begin(self) -> None:
        self._current = self._present(self._collection.name) or self._collection
        # Attributes whose types are those of this write's values.
        self._typed: list[str] = []
        self._outcomes: list[WriteOutcome] = []
        self._changed: dict[str, AttributeChange] = {}
        self._sequence = self._characters = 0

    def run(self, connection: sqlite3.Connection) -> Updated:
        """Change and write as many documents as fit into a slice."""
        self._begin()
        done, size = 0, 1
        while done < min(len(self._updates), SLICE_UPDATES) and self._characters < SLICE_CHARACTERS:
            some = self._updates[done : done + size]
            self._apply(connection, some)
            done, size = done + len(some), min(2 * size, AT_A_TIME)
        sequence = self._sequence or Reader(connection).sequence(self._collection.record.id)
        return Updated(self._collection.name, self._outcomes, self._changed, self._typed, sequence)

    def _apply(self, connection: sqlite3.Connection, updates: Sequence[_Pending]) -> None:
        number, reader = self._collection.record.id, Reader(connection)
        items = reader.described(number, list({one.update.item_id for one in updates}))
        self._characters += sum(len(i.text) for i in items.values() if isinstance(i, DescribedItem))
        written: dict[str, DescribedItem] = {}
        for update, refusal in updates:
            item_id, found = update.item_id, items.get(update.item_id)
            try:
                if refusal is not None:
                    raise refusal
                old = self._there(found, item_id)
                change = self._change(old, update)
                text = old.text
                if change.changed:
                    document = Document(old.document.texts, change.attributes, old.document.relations)
                    text = document.dump()
                    self._characters += len(text)
                    check_size(text)
                    self._typed += self._current.check_attributes(change.changed, update.fields)
            except ItemlensError as error:
                self._outcomes.append(WriteOutcome(item_id, error, sequence=found.sequence if found else 0))
                continue
            if text != old.text:
                self._sequence = self._sequence or writes.next_sequence(connection, number)
                old = DescribedItem(old.label, item_id, self._sequence, document, text)
                items[item_id] = written[item_id] = old
                _add(self._changed, item_id, change)
            self._outcomes.append(WriteOutcome(item_id, sequence=old.sequence))
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
