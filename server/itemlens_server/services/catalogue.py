"""The collections: made, moved, deleted, read and written to."""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from itemlens_server.config import Settings
from itemlens_server.derived import DerivedFolder, keep_only
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository, Space, TooManySpaces
from itemlens_server.errors import (
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    ItemlensError,
    NotFound,
    SpaceMismatch,
    quoted,
)
from itemlens_server.fusion.history import Interaction
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import ContentEncoder
from itemlens_server.services.events import record_events
from itemlens_server.services.items import ItemInput, WriteOutcome
from itemlens_server.services.limits import check_length, check_reference, check_references
from itemlens_server.services.repair import repair
from itemlens_server.services.results import RecentResults
from itemlens_server.services.upserts import Upserts
from itemlens_server.storage import writes
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import (
    Array,
    CollectionRecord,
    Document,
    EventRecord,
    StoredItem,
)
from itemlens_server.storage.store import Store

log = logging.getLogger(__name__)
NAME = re.compile(r"[a-z0-9_-]{1,64}")
DEFAULT = "default"


@dataclass(frozen=True)
class CollectionCounts:
    """What a collection holds, the number of its last write, and of the last event that its table was fitted to."""

    items: int
    events: int
    sequence: int
    event_sequence: int


class Catalogue:
    """All collections of a store."""

    def __init__(
        self,
        store: Store,
        models: ModelRepository,
        encoder: ContentEncoder,
        settings: Settings,
        default_space: str,
    ) -> None:
        """`default_space`: id of the space of collections that are made without one."""
        self.store = store
        self._models = models
        self._settings = settings
        self._default_space = default_space
        self._collections: dict[str, Collection] = {}
        self._encoder = encoder
        self._upserts = Upserts(store, encoder, self._collections.get, settings.max_item_pictures)
        self.results = RecentResults(settings.recommendation_memory_bytes)
        self._changing = threading.Lock()
        self._derived = store.directory / "collections"

    def load(self) -> None:
        """Load every collection of the store.

        Raises:
            SpaceMismatch: the space of one is not in the model repository.
            DataLoss: the store's file is damaged; of damaged rows the log tells.
        """
        reader = self.store.reader()
        records = reader.collections()
        keep_only(self._derived, [str(record.id) for record in records])
        for record in records:
            try:
                space = self._models.load(record.space_id)
            except NotFound as error:
                raise SpaceMismatch(
                    f"collection {record.name!r} was stored with space {record.space_id}, which the model repository "
                    "lacks: put that space back, or serve another --data folder and run `itemlens index` again"
                ) from error
            collection = self._open(record, space)
            damaged = collection.load(reader)
            if damaged and repair(collection, damaged, self.store, self._encoder):
                collection = self._open(record, space)
                collection.load(reader)
            self._collections[record.name] = collection
            log.info(
                "collection %s: %d items in space %s",
                record.name,
                collection.snapshot().view.alive_count,
                space.space_id,
            )
            if self._settings.space and not space.same_encoders(self._models.load(self._default_space)):
                log.warning(
                    "collection %s stays in space %s, which has other encoders than %s: the setting `space` is for "
                    "new collections",
                    record.name,
                    space.space_id,
                    self._default_space,
                )

    def space(self, name: str) -> Space:
        """The space with this id or name; the default space for an empty string.

        What the repository's errors say of its folder and of other spaces is for the log alone.

        Raises:
            NotFound: there is none.
            InvalidArgument: several have this name.
            FailedPrecondition: it cannot be loaded, or too many that no collection uses are.
        """
        check_reference(name, "space")
        try:
            return self._models.load(name or self._default_space, self._spaces_in_use)
        except TooManySpaces:
            raise
        except ItemlensError as error:
            log.warning("space %s was asked for: %s", quoted(name), error)
            if isinstance(error, NotFound):
                raise NotFound(f"no space {quoted(name)}", "space", name, "space") from error
            if isinstance(error, InvalidArgument):
                raise InvalidArgument(
                    f"several spaces are named {quoted(name)}: give an id", "space"
                ) from error
            raise FailedPrecondition(
                f"space {quoted(name)} cannot be loaded; the server's log says why", "space"
            ) from error

    def _spaces_in_use(self) -> list[Space]:
        return [self._models.load(self._default_space), *(c.space for c in self.collections())]

    def collection(self, name: str) -> Collection:
        """The collection with this name.

        Raises:
            NotFound: there is none.
        """
        check_reference(name, "collection")
        collection = self._collections.get(name or DEFAULT)
        if collection is None:
            how = "make it with CreateCollection" if name not in ("", DEFAULT) else "upsert into it"
            raise NotFound(
                f"no collection {quoted(name or DEFAULT)}; {how}",
                "collection", name or DEFAULT, "collection",
            )  # fmt: skip
        return collection

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
                f"{quoted(name)} is no collection name: 1 to 64 characters of a-z, 0-9, '_' and '-'", "name"
            )
        space = self.space(space_name)
        with self._changing:
            if (old := self._collections.get(name)) is not None:
                if not allow_existing:
                    raise AlreadyExists(f"there is a collection {name!r} already", "name")
                if space_name:
                    _check_same_space(old, space)
                return old
            record = self.store.write(lambda c: writes.create_collection(c, name, space.space_id))
            self._collections[name] = self._open(record, space)
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
            new = self._open(replace(old.record, space_id=space.space_id), space, old.folder)
            new.follow_store(self.store.reader())
            new.take_item_to_item(old)
            while new.maintain(self.store.reader()):
                pass
            new.follow_store(self.store.reader())  # so that the writer is held up by little
            tried = False

            def switch(connection: sqlite3.Connection) -> None:
                # Between two writes: what was stored since is taken over, and no write can slip in between.
                nonlocal tried
                if tried:  # what was rolled back then, with other writes, is in `new` already
                    raise FailedPrecondition(
                        f"collection {name!r} was not moved: the store could not be written; try again"
                    )
                tried = True
                new.follow_store(Reader(connection))
                writes.move_collection(connection, new.record.id, space.space_id)

            def after(_: None) -> None:
                new.drop_all_but(old.snapshot().view)
                self._collections[name] = new

            self.store.write(switch, after)
            self.results.forget(name)  # they hold the old state, which Explain would refuse
            return new

    def delete(self, name: str) -> None:
        """Delete a collection with all that is in it.

        Raises:
            InvalidArgument: no name is given.
        """
        with self._changing:
            collection = self._named(name)
            self.store.delete(
                lambda c: writes.delete_collection(c, collection.record.id),
                lambda _: self._collections.__delitem__(name),
            )
            collection.forget()
            self.results.forget(name)

    def _named(self, name: str) -> Collection:
        """The collection with this name, which must be given: what changes a whole collection has no default."""
        if not name:
            raise InvalidArgument("say which collection", "name")
        return self.collection(name)

    def upsert(
        self, name: str, items: Sequence[ItemInput], merge: bool, call: CallContext
    ) -> tuple[list[WriteOutcome], int, Collection]:
        """Add or replace items; how each went, the sequence number, and the collection."""
        check_length(items, self._settings.max_items, "items")
        if (name or DEFAULT) == DEFAULT and DEFAULT not in self._collections:
            self.create(DEFAULT, "", allow_existing=True)
        collection = self.collection(name)
        outcomes, sequence = self._upserts.write(collection, items, merge, call)
        return outcomes, sequence, collection

    def counts(self, collection: Collection) -> CollectionCounts:
        """What a collection holds."""
        items, events, sequence = self.store.reader().counts(collection.record.id)
        table = collection.item_to_item
        return CollectionCounts(items, events, sequence, table.event_sequence if table else 0)

    def page(self, collection: Collection, after: int, size: int) -> Iterator[StoredItem]:
        """The next `size` items behind the label `after`, by label, without contents."""
        return self.store.reader().page(collection.record.id, after, size)

    def vectors(self, collection: Collection, labels: Sequence[int]) -> dict[int, Array]:
        """h of the items with these labels, float32 [dimension] each; those that were replaced since are left out."""
        view = collection.snapshot().view
        positions = view.positions(np.asarray(labels, np.int64))
        return {int(view.labels[p]): view.h[p] for p in positions}

    def get(
        self, collection: Collection, item_ids: Sequence[str], with_data: bool = False
    ) -> Iterator[StoredItem | DataLoss | None]:
        """`stored_item` of each id of a list that a caller gives. Each is read only when it is its turn: together they
        may be larger than memory."""
        check_length(item_ids, self._settings.max_items, "item_ids")
        check_references(item_ids, "item_ids")
        return (self.stored_item(collection, item_id, with_data) for item_id in item_ids)

    def stored_item(
        self, collection: Collection, item_id: str, with_data: bool = False
    ) -> StoredItem | DataLoss | None:
        """An item as `stored_items` gives it; the error if it is damaged; None if it is not there."""
        try:
            return self.stored_items(collection, [item_id], with_data).get(item_id)
        except DataLoss as error:
            return error

    def stored_items(
        self, collection: Collection, item_ids: Sequence[str], with_data: bool = False
    ) -> dict[str, StoredItem]:
        """Items by id, as they are stored; `with_data`: with what the store keeps of their pictures.

        Raises:
            DataLoss: one of them is damaged.
        """
        return self.store.reader().items(
            collection.record.id, item_ids, collection.encoder_digests, data=with_data
        )

    def documents(self, collection: Collection, item_ids: Sequence[str]) -> Iterator[tuple[str, Document]]:
        """(id, what the item says), one read after the other; those that are not there are left out."""
        return self.store.reader().documents(collection.record.id, item_ids)

    def history(self, collection: Collection, user_id: str, limit: int) -> list[Interaction]:
        """The latest `limit` interactions that were recorded of a user, oldest first."""
        events = self.store.reader().history(collection.record.id, user_id, limit)
        return [Interaction(event.item_id, event.type) for event in events]

    def delete_items(self, collection: Collection, item_ids: Sequence[str]) -> tuple[list[WriteOutcome], int]:
        """Delete items; how each went and the sequence number."""
        check_length(item_ids, self._settings.max_items, "item_ids")
        check_references(item_ids, "item_ids")

        def after(result: tuple[dict[str, int], int, int]) -> None:
            current = self._collections.get(collection.name, collection)
            for item_id in result[0]:
                current.remove(item_id)

        deleted: dict[str, int] = {}
        wanted, done = list(dict.fromkeys(item_ids)), 0
        while True:  # slice by slice, between other writes
            gone, sequence, count = self.store.delete(
                partial(writes.delete_items, collection=collection.record.id, item_ids=wanted[done:]), after
            )
            deleted |= gone
            done += count
            if done >= len(wanted):
                break
        missing = "item {!r} is not in collection {!r}"
        return [
            WriteOutcome(i)
            if i in deleted
            else WriteOutcome(i, NotFound(missing.format(i, collection.name), "item", i))
            for i in item_ids
        ], sequence

    def record(self, name: str, events: Sequence[EventRecord]) -> tuple[list[WriteOutcome], int]:
        """Store events; how each went and the sequence number."""
        check_length(events, self._settings.max_events, "events")
        return record_events(self.store, self.collection(name).record.id, events)

    def delete_user(self, name: str, user_id: str) -> int:
        """Delete a user's events and remembered recommendations in one collection, or in all for an empty name.

        Returns:
            How many events there were.

        Raises:
            InvalidArgument: no user is given.
        """
        if not user_id:
            raise InvalidArgument("say whose data is to go", "user_id")
        check_reference(user_id, "user_id")
        collections = [self.collection(name)] if name else self.collections()
        records, deleted, all_gone = [c.record.id for c in collections], 0, False
        while not all_gone:  # slice by slice, between other writes
            count, all_gone = self.store.delete(lambda c: writes.delete_user(c, records, user_id))
            deleted += count
        self.results.forget(name, user_id)
        return deleted

    def maintain(self) -> bool:
        """Build indexes and fit tables where there is enough new. Whether anything was done."""
        done = False
        for collection in self.collections():
            try:
                done |= collection.maintain(self.store.reader())
            except (
                Exception
            ):  # derived state: it is tried again, and the other collections do not wait for it
                log.exception("maintenance of collection %s failed", collection.name)
        return done

    def _open(
        self, record: CollectionRecord, space: Space, folder: DerivedFolder | None = None
    ) -> Collection:
        """`folder`: of the collection's state in another space."""
        folder = folder or DerivedFolder(self._derived / str(record.id))
        return Collection(record, space, folder, self._settings, self.results.before_compaction)


def _check_same_space(collection: Collection, space: Space) -> None:
    """SpaceMismatch unless the collection is in this space, or was fitted from it.

    A fit moves the collection to the space that it makes: what made the collection may be run again.
    """
    own = collection.space
    if own.space_id == space.space_id:
        return
    if not own.same_encoders(space):
        raise SpaceMismatch(
            f"collection {collection.name!r} has space {own.space_id} of other encoders than {space.space_id}; "
            "use another name, or delete it first", "space",
        )  # fmt: skip
    if space.head.fitted or not own.head.fitted:
        raise SpaceMismatch(
            f"collection {collection.name!r} has space {own.space_id}, not {space.space_id}; move it with: "
            f"itemlens move {collection.name} {space.space_id}", "space",
        )  # fmt: skip
