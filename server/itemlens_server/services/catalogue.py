"""The collections: made, moved, deleted, read and written to."""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import replace

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository, Space
from itemlens_server.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    SpaceMismatch,
    Warning,
)
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import ContentEncoder
from itemlens_server.services.items import ItemInput, WriteOutcome
from itemlens_server.services.upserts import Upserts
from itemlens_server.storage import writes
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import (
    CollectionRow,
    EventRow,
    StoredItem,
)
from itemlens_server.storage.store import Store

log = logging.getLogger(__name__)
NAME = re.compile(r"[a-z0-9_-]{1,64}")
DEFAULT = "default"
TRIES = 5


class Catalogue:
    """All collections of a store."""

    def __init__(
        self, store: Store, models: ModelRepository, encoder: ContentEncoder, *,
        default_space: str, segment_rows: int, max_item_pictures: int,
    ) -> None:  # fmt: skip
        self.store = store
        self._models = models
        self._default_space = default_space
        self._segment_rows = segment_rows
        self._collections: dict[str, Collection] = {}
        self._upserts = Upserts(store, encoder, self._collections.get, max_item_pictures)
        self._changing = threading.Lock()

    def load(self) -> None:
        """Load every collection of the store.

        Raises:
            SpaceMismatch: the space of one is not in the model repository.
        """
        reader = self.store.reader()
        for row in reader.collections():
            try:
                space = self._models.load(row.space_id)
            except NotFound as error:
                raise SpaceMismatch(
                    f"collection {row.name!r} was stored with space {row.space_id}, which the model repository lacks: "
                    "put that space back, or serve another --data folder and run `itemlens index` again"
                ) from error
            collection = self._open(row, space)
            collection.load(reader)
            self._collections[row.name] = collection
            log.info(
                "collection %s: %d items in space %s",
                row.name,
                collection.index.view().alive_count,
                space.space_id,
            )

    def space(self, name: str) -> Space:
        """The space with this id or name; the default space for an empty string."""
        return self._models.load(name or self._default_space)

    def collection(self, name: str) -> Collection:
        """The collection with this name.

        Raises:
            NotFound: there is none.
        """
        found = self._collections.get(name or DEFAULT)
        if found is None:
            raise NotFound(
                f"no collection {name or DEFAULT!r}; make it with CreateCollection or upsert into it",
                "collection", name or DEFAULT, "collection",
            )  # fmt: skip
        return found

    def collections(self) -> list[Collection]:
        """All collections, by name."""
        return sorted(list(self._collections.values()), key=lambda c: c.name)

    def create(self, name: str, space_name: str, allow_existing: bool = False) -> Collection:
        """Make an empty collection.

        Raises:
            InvalidArgument: the name does not do.
            AlreadyExists: it is there.
            SpaceMismatch: `allow_existing`, but it has another space.
        """
        if not NAME.fullmatch(name):
            raise InvalidArgument(
                f"{name!r} is no collection name: 1 to 64 characters of a-z, 0-9, '_' and '-'", "name"
            )
        space = self.space(space_name)
        with self._changing:
            if (old := self._collections.get(name)) is not None:
                if not allow_existing:
                    raise AlreadyExists(f"there is a collection {name!r} already", "name")
                if space_name and not old.space.same_encoders(space):
                    raise SpaceMismatch(
                        f"collection {name!r} has space {old.space.space_id} of other encoders than {space.space_id}; "
                        "use another name, or delete it first", "space",
                    )  # fmt: skip
                return old
            row = self.store.write(lambda c: writes.create_collection(c, name, space.space_id))
            self._collections[name] = self._open(row, space)
            return self._collections[name]

    def move(self, name: str, space_name: str) -> Collection:
        """Move a collection to a space with the same encoders; answers go on in the old one meanwhile.

        Raises:
            InvalidArgument: no name is given.
            SpaceMismatch: the space has other encoders.
        """
        with self._changing:
            old = self._named(name)
            space = self.space(space_name)
            if not old.space.same_encoders(space):
                raise SpaceMismatch(
                    f"space {space.space_id} has other encoders than {old.space.space_id}, the space of {name!r}: "
                    "make a new collection of it and run `itemlens index` again", "space",
                )  # fmt: skip
            new = self._open(
                CollectionRow(old.row.id, name, space.space_id, old.row.created, old.row.sequence), space
            )
            new.follow_store(self.store.reader())
            new.take_behaviour(old)
            new.learn_behaviour(self.store.reader())
            while new.index.maintain():
                pass

            tried = False

            def switch(connection: sqlite3.Connection) -> None:
                # Between two writes: what was stored since is taken over, and no write can slip in between.
                nonlocal tried
                if tried:  # what was rolled back then, with other writes, is in `new` already
                    raise FailedPrecondition(
                        f"collection {name!r} was not moved: the store could not be written; try again"
                    )
                tried = True
                reader = Reader(connection)
                new.follow_store(reader)
                alive = connection.execute("SELECT row FROM items WHERE collection = ?", (new.row.id,))
                new.drop_missing({row for (row,) in alive})
                connection.execute(
                    "UPDATE collections SET space_id = ? WHERE id = ?", (space.space_id, new.row.id)
                )

            self.store.write(switch, lambda _: self._collections.update({name: new}))
            return new

    def delete(self, name: str) -> None:
        """Delete a collection with all that is in it.

        Raises:
            InvalidArgument: no name is given.
        """
        with self._changing:
            collection = self._named(name)
            self.store.write(
                lambda c: writes.delete_collection(c, collection.row.id),
                lambda _: self._collections.__delitem__(name),
            )
            collection.forget()

    def _named(self, name: str) -> Collection:
        """The collection with this name, which must be given: what changes a whole collection has no default."""
        if not name:
            raise InvalidArgument("say which collection", "name")
        return self.collection(name)

    def upsert(
        self, name: str, items: Sequence[ItemInput], merge: bool, call: CallContext
    ) -> tuple[list[WriteOutcome], int, Collection]:
        """Add or replace items; how each went, the sequence number, and the collection."""
        if (name or DEFAULT) == DEFAULT and DEFAULT not in self._collections:
            self.create(DEFAULT, "", allow_existing=True)
        collection = self.collection(name)
        outcomes, sequence = self._upserts.write(collection, items, merge, call)
        return outcomes, sequence, collection

    def get(
        self, collection: Collection, item_ids: Sequence[str], pictures: bool = False
    ) -> dict[str, StoredItem]:
        """Items by id, as they are stored."""
        return self.store.reader().items(collection.row.id, item_ids, collection.encoders, pictures=pictures)

    def delete_items(self, collection: Collection, item_ids: Sequence[str]) -> tuple[list[WriteOutcome], int]:
        """Delete items; how each went and the sequence number."""

        def after(result: tuple[dict[str, int], int]) -> None:
            current = self._collections.get(collection.name, collection)
            for item_id in result[0]:
                current.index.remove(item_id)

        deleted, sequence = self.store.write(
            lambda c: writes.delete_items(c, collection.row.id, dict.fromkeys(item_ids)), after
        )
        missing = "item {!r} is not in collection {!r}"
        return [
            WriteOutcome(i)
            if i in deleted
            else WriteOutcome(i, NotFound(missing.format(i, collection.name), "item", i))
            for i in item_ids
        ], sequence

    def record(self, name: str, events: Sequence[EventRow]) -> tuple[list[WriteOutcome], int]:
        """Store events; how each went and the sequence number."""
        collection = self.collection(name)
        before, sequence = self.store.write(lambda c: writes.record_events(c, collection.row.id, events))
        return [_event_outcome(new, old) for new, old in zip(events, before, strict=True)], sequence

    def delete_user(self, name: str, user_id: str) -> int:
        """Delete a user's events in one collection, or in all for an empty name; how many there were."""
        rows = [self.collection(name).row] if name else [c.row for c in self.collections()]
        return self.store.write(lambda c: sum(writes.delete_user(c, row.id, user_id) for row in rows))

    def maintain(self) -> bool:
        """Build graphs and refit behaviour where there is enough new. Whether anything was done."""
        done = False
        for collection in self.collections():
            try:
                done |= collection.index.maintain()
                done |= collection.learn_behaviour(self.store.reader())
            except (
                Exception
            ):  # derived state: it is tried again, and the other collections do not wait for it
                log.exception("maintenance of collection %s failed", collection.name)
        return done

    def _open(self, row: CollectionRow, space: Space) -> Collection:
        return Collection(row, space, self.store, segment_rows=self._segment_rows)


def same_event(a: EventRow, b: EventRow) -> bool:
    """Whether two events with one id say the same. Their times do not count: one may be that of its arrival."""
    return replace(a, time=b.time) == b


def _event_outcome(new: EventRow, old: EventRow | None) -> WriteOutcome:
    if old is None:
        return WriteOutcome(new.event_id)
    if same_event(new, old):
        warning = Warning("DUPLICATE_EVENT", f"event {new.event_id!r} was recorded before; it counts once")
        return WriteOutcome(new.event_id, None, (warning,))
    return WriteOutcome(
        new.event_id,
        AlreadyExists(
            f"event {new.event_id!r} was recorded before and says something else; give a new id", "event_id"
        ),
    )
