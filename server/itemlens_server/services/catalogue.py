"""The collections: create, move, delete and write them. `catalogue_reads` reads what they hold."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import groupby

import numpy as np

from itemlens_server.attributes.filters import Filter
from itemlens_server.config import Settings
from itemlens_server.derived import DerivedFolder, keep_only
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository, Space
from itemlens_server.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    SpaceMismatch,
    quoted,
)
from itemlens_server.fusion.tables_process import TablesProcess
from itemlens_server.services.answers import Answers
from itemlens_server.services.catalogue_reads import CatalogueReads
from itemlens_server.services.collection import Collection
from itemlens_server.services.collection_settings import (
    check_boost_types,
    check_channels,
    check_settings,
)
from itemlens_server.services.encoding import ContentEncoder
from itemlens_server.services.event_changes import EventChanges
from itemlens_server.services.events import Recorded, Recording, check_step
from itemlens_server.services.explorer import Explorer
from itemlens_server.services.items import ItemInput, WriteOutcome
from itemlens_server.services.known_users import KnownUsers
from itemlens_server.services.limits import check_length, check_name, check_reference, check_references
from itemlens_server.services.live_counts import COLLECTIONS
from itemlens_server.services.recommendation_ids import KEY, RecommendationIds
from itemlens_server.services.repair import repair
from itemlens_server.services.results import RecentResults
from itemlens_server.services.retyped import Retyped
from itemlens_server.services.rule_types import check_fit
from itemlens_server.services.spaces import Spaces, check_same_space
from itemlens_server.services.stream_log import StreamLog
from itemlens_server.services.updates import ItemUpdate, Updates, Updating
from itemlens_server.services.upserts import Upserts
from itemlens_server.storage import writes
from itemlens_server.storage.collection_settings import DEFAULT as NO_SETTINGS
from itemlens_server.storage.collection_settings import SETTINGS, CollectionSettings
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import CollectionRecord, EventRecord
from itemlens_server.storage.store import Store
from itemlens_server.storage.streams import StreamStep

log = logging.getLogger(__name__)
DEFAULT = "default"


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
        """`default_space`: id of the space of collections that are created without one."""
        self.store = store
        self._spaces = Spaces(models, default_space, lambda: [c.space for c in self.collections()])
        self._settings = settings
        self._collections: dict[str, Collection] = {}
        self._encoder = encoder
        self._upserts = Upserts(store, encoder, self._collections.get, settings)
        self._updates = Updates(store, self._collections.get)
        self.reads = CatalogueReads(store, settings)
        self.ids = RecommendationIds(store.secret(KEY))
        self.answers = Answers(store, [record.id for record in store.reader().collections()], settings)
        self.explorer = Explorer(self.answers.explored)
        self.results = RecentResults(settings.recommendation_memory_bytes)
        self.known_users = KnownUsers(settings.user_memory_bytes)
        self._stream_log = StreamLog()
        self._tables_process = TablesProcess()
        self.event_changes = EventChanges(
            store, self.collections, self.known_users, self.results, self.answers, settings
        )
        self._changing = threading.Lock()
        self._derived = store.directory / COLLECTIONS

    def load(self) -> None:
        """Load every collection of the store.

        Raises:
            SpaceMismatch: the space of a collection is not in the model repository.
            DataLoss: the store's file is damaged. Damaged rows are only logged.
        """
        reader = self.store.reader()
        records = reader.collections()
        keep_only(self._derived, [str(record.id) for record in records])
        for record in records:
            space = self._spaces.stored(record)
            collection = self._open(record, space)
            damaged = collection.follow_store(reader)
            if damaged and repair(collection, damaged, self.store, self._encoder):
                collection = self._open(record, space)
                collection.follow_store(reader)
            collection.load_derived(reader)
            self._collections[record.name] = collection
            log.info(
                "collection %s: %d items in space %s",
                record.name,
                collection.snapshot().view.alive_count,
                space.space_id,
            )
            if self._settings.space and not self._spaces.has_encoders_of_default(space):
                log.warning(
                    "collection %s stays in space %s, which has other encoders than %s: the setting `space` applies "
                    "to new collections",
                    record.name,
                    space.space_id,
                    self._spaces.default,
                )

    def space(self, name: str) -> Space:
        """The space with this id or name; the default space for an empty string. See `Spaces.named`."""
        return self._spaces.named(name)

    def collection(self, name: str) -> Collection:
        """The collection with this name.

        Raises:
            NotFound: there is no such collection.
        """
        check_reference(name, "collection")
        collection = self._collections.get(name or DEFAULT)
        if collection is None:
            how = (
                "create it with CreateCollection"
                if name not in ("", DEFAULT)
                else "upsert items to create it"
            )
            raise NotFound(
                f"no collection {quoted(name or DEFAULT)}; {how}",
                "collection", name or DEFAULT, "collection",
            )  # fmt: skip
        return collection

    def collections(self) -> list[Collection]:
        """All collections, by name."""
        return sorted(list(self._collections.values()), key=lambda c: c.name)

    def spaces_in_use(self) -> list[Space]:
        """The default space and those of the collections, without those that are the same."""
        spaces = [self._spaces.named(""), *(collection.space for collection in self.collections())]
        return list({space.space_id: space for space in spaces}.values())

    def one_or_all(self, name: str) -> list[Collection]:
        """The collection with this name, or all collections if it is empty.

        Raises:
            NotFound: there is no such collection.
        """
        return [self.collection(name)] if name else self.collections()

    def create(
        self,
        name: str,
        space_name: str,
        allow_existing: bool = False,
        settings: CollectionSettings = NO_SETTINGS,
    ) -> Collection:
        """Create an empty collection. An existing one keeps its own settings.

        Raises:
            InvalidArgument: the name or a setting is invalid.
            AlreadyExists: the name is taken.
            SpaceMismatch: with `allow_existing`, the existing collection has another space.
        """
        check_name(name)
        check_settings(settings)
        check_boost_types(settings.boosts, settings.types)
        settings = CollectionSettings().replaced_by(settings)
        space = self.space(space_name)
        check_channels(settings.lexical, space.modalities)
        with self._changing:
            if (old := self._collections.get(name)) is not None:
                if not allow_existing:
                    raise AlreadyExists(f"collection {name!r} already exists", "name")
                if space_name:
                    check_same_space(old.name, old.space, space)
                return old
            record = self.store.write(lambda c: writes.create_collection(c, name, space.space_id, settings))
            created = self._open(record, space)
            if created.event_tables.counts is not None:
                created.event_tables.counts.begin_empty()
            self._collections[name] = created
            return self._collections[name]

    def configure(
        self, name: str, settings: CollectionSettings, only: Iterable[str] = SETTINGS
    ) -> Collection:
        """Replace some settings of a collection.

        Raises:
            InvalidArgument: the name is empty, or a setting is invalid.
        """
        check_settings(settings)
        with self._changing:
            collection = self._named(name)
            check_channels(settings.lexical, collection.space.modalities)
            old = collection.record.settings
            new = old.replaced_by(replace(old, **{field: getattr(settings, field) for field in only}))

            number, retyped, read = collection.record.id, None, 0
            held = types = collection.attribute_types
            if new.attributes != old.attributes:
                # Here, so that the writer waits only for what is written meanwhile.
                retyped, read = Retyped(old, new), self.store.reader().sequence(number)
                with closing(self.store.reader().attributes(number)) as stored:
                    retyped.add(stored)
                types = retyped.over(held)
            check_boost_types(new.boosts, types, old.boosts, held)
            if collection.snapshot().view.alive_count:
                check_fit(new.rules, types, old.rules, held)

            def run(connection: sqlite3.Connection) -> None:
                if retyped is not None:
                    # An open read would keep the writer from its next transaction.
                    with closing(Reader(connection).attributes(number, read)) as stored:
                        retyped.add(stored)
                    collection.announce(new)
                writes.set_settings(connection, number, new)

            def after(_: None) -> None:
                collection.configure(new, self.store.reader(), retyped)
                collection.announce(None)

            self.store.write(run, after, lambda: collection.announce(None))
            # What is known of users has weights of types in it.
            self.known_users.forget_all(collection.record.id)
            return collection

    def move(self, name: str, space_name: str) -> Collection:
        """Move a collection to a space with the same encoders. It is served in the old space until then.

        Raises:
            InvalidArgument: the name is empty.
            SpaceMismatch: the space has other encoders.
        """
        with self._changing:
            old, space = self.check_move(name, space_name)
            begin = self.store.reader().sequence(old.record.id)
            new = self._open(replace(old.record, space_id=space.space_id), space, old)
            new.follow_store(self.store.reader())
            new.event_tables.take_tables(old.event_tables)
            while new.prepare(self.store):
                pass
            # Most of the work, so that `switch` and `after` block the writer only briefly.
            new.follow_store(self.store.reader())
            counts, old_counts = new.event_tables.counts, old.event_tables.counts
            has_own_counts = counts is not old_counts
            if has_own_counts and counts is not None:
                counts.catch_up(self.store.reader())
            tried = False

            def switch(connection: sqlite3.Connection) -> None:
                # Runs between two writes, so that all rows stored since are taken over and none can be missed.
                nonlocal tried
                if (
                    tried
                ):  # `new` already holds rows of the first try, which was rolled back with other writes
                    raise FailedPrecondition(
                        f"collection {name!r} was not moved: the store could not be written; try again"
                    )
                tried = True
                new.follow_store(Reader(connection))
                new.follow_changes(Reader(connection), begin)
                writes.move_collection(connection, new.record.id, space.space_id)

            def after(_: None) -> None:
                new.drop_all_but(old.snapshot().view)
                self._collections[name] = new
                if has_own_counts and counts is not None:
                    counts.catch_up(self.store.reader())
                if has_own_counts and old_counts is not None:
                    old_counts.end()

            self.store.write(switch, after)
            self.results.forget(name)  # they refer to the old space, so Explain would refuse them
            return new

    def check_move(self, name: str, space_name: str) -> tuple[Collection, Space]:
        """Return a collection and the space that it can be moved to. Raises what `move` does."""
        collection, space = self._named(name), self.space(space_name)
        if not collection.space.same_encoders(space):
            raise SpaceMismatch(
                f"space {space.space_id} has other encoders than {collection.space.space_id}, the space of {name!r}: "
                "create a new collection in it and run `itemlens index` again", "space",
            )  # fmt: skip
        return collection, space

    def delete(self, name: str) -> None:
        """Delete a collection with all its items and events.

        Raises:
            InvalidArgument: the name is empty.
        """
        with self._changing:
            collection = self._named(name)
            self.store.delete(
                lambda c: writes.delete_collection(c, collection.record.id),
                lambda _: self._collections.__delitem__(name),
            )
            collection.forget()
            self.known_users.forget_collection(collection.record.id)
            self.results.forget(name)
            self.answers.forget([collection.record.id])
            self.explorer.forget(collection.record.id)

    def _named(self, name: str) -> Collection:
        """The collection with this name. The name is required: changes to a whole collection have no default."""
        if not name:
            raise InvalidArgument("`name` is required: give the name of a collection", "name")
        return self.collection(name)

    def upsert(
        self,
        name: str,
        items: Sequence[ItemInput],
        merge: bool,
        call: CallContext,
        *,
        keep_attributes: bool = False,
    ) -> tuple[list[WriteOutcome], int, Collection]:
        """Add or replace items. Return the outcome of each, the sequence number, and the collection."""
        check_length(items, self._settings.max_items, "items")
        if (name or DEFAULT) == DEFAULT and DEFAULT not in self._collections:
            self.create(DEFAULT, "", allow_existing=True)
        collection = self.collection(name)
        outcomes, sequence = self._upserts.write(
            collection, items, merge, call, keep_attributes=keep_attributes
        )
        return outcomes, sequence, collection

    def begin_update(self, name: str, updates: Sequence[ItemUpdate]) -> Updating:
        """Begin to change attributes of items, without waiting for the disk."""
        check_length(updates, self._settings.max_items, "updates")
        return self._updates.begin(self.collection(name), updates)

    def delete_items(self, collection: Collection, item_ids: Sequence[str]) -> tuple[list[WriteOutcome], int]:
        """Delete items. Return the outcome of each, and the sequence number."""
        check_length(item_ids, self._settings.max_items, "item_ids")
        check_references(item_ids, "item_ids")
        deleted, sequence = self._delete_items(collection, item_ids)
        missing = "item {!r} is not in collection {!r}"
        return [
            WriteOutcome(i)
            if i in deleted
            else WriteOutcome(i, NotFound(missing.format(i, collection.name), "item", i))
            for i in item_ids
        ], sequence

    def delete_matching(self, collection: Collection, condition: Filter) -> tuple[int, int]:
        """Delete the items that match a filter now. Return their number, and the sequence number.

        Raises:
            InvalidArgument: the filter does not fit the attributes.
        """
        view = collection.matching(condition)
        item_ids = [view.item_ids[position] for position in np.flatnonzero(view.alive).tolist()]
        deleted, sequence = self._delete_items(collection, item_ids)
        return len(deleted), sequence

    def _delete_items(self, collection: Collection, item_ids: Sequence[str]) -> tuple[dict[str, int], int]:
        """Delete items. Return the row of each that was there, and the sequence number."""

        def after(result: tuple[dict[str, int], int, int]) -> None:
            current = self._collections.get(collection.name, collection)
            for item_id in result[0]:
                current.remove(item_id)

        deleted: dict[str, int] = {}
        wanted, done = list(dict.fromkeys(item_ids)), 0
        while True:  # in slices, so that other writes can run in between
            gone, sequence, count = self.store.delete(
                partial(writes.delete_items, collection=collection.record.id, item_ids=wanted[done:]), after
            )
            deleted |= gone
            done += count
            if done >= len(wanted):
                return deleted, sequence

    def record(
        self, name: str, events: Sequence[EventRecord], step: StreamStep | None = None
    ) -> tuple[list[WriteOutcome], int]:
        """Store events. Return the outcome of each, and the sequence number. `step`: see `Recording.begin`.

        Raises:
            StreamMoved: the stream is at another position than that before the step. Nothing was stored.
        """
        outcomes, sequence = self.begin_record(name, events, step).result()
        if step is not None and all(outcome.error is None for outcome in outcomes):
            self._stream_log.moved(self.collection(name).name, step)
        return outcomes, sequence

    def begin_record(
        self, name: str, events: Sequence[EventRecord], step: StreamStep | None = None
    ) -> Recording:
        """Begin to store events, without waiting for the disk."""
        check_length(events, self._settings.max_events, "events", least=0 if step else 1)
        if step is not None:
            check_step(step)
        collection = self.collection(name)
        return Recording.begin(self.store, collection.record, events, self.ids, self._count, step)

    def _count(self, recorded: Sequence[Recorded]) -> None:
        """Count the events of successive writes, in the writer's thread."""
        for record, group in groupby(recorded, key=lambda write: write.collection):
            of_one = list(group)
            new = [event for write in of_one for event in write.new]
            if record.name in self._collections:
                self._collections[record.name].event_tables.count_events(new, of_one[-1].sequence)
            self.known_users.forget(record.id, [event.user_id for event, _ in new])

    def maintain(self) -> bool:
        """Build indexes and fit tables where there is enough new data. Return whether anything was done."""
        done = False
        for collection in self.collections():
            try:
                done |= collection.maintain(self.store)
            except Exception:  # only derived state is missing; the next round tries again
                log.exception("maintenance of collection %s failed", collection.name)
        return done

    def close(self) -> None:
        """Write the answers that wait. No recommendation and no deletion may follow."""
        self.answers.close()
        self._tables_process.close()

    def _open(self, record: CollectionRecord, space: Space, old: Collection | None = None) -> Collection:
        """Open a collection. `old`: its state in another space, if there is one."""
        folder = old.folder if old else DerivedFolder(self._derived / str(record.id))
        counts = old.event_tables.counts if old else None
        return Collection(
            record,
            space,
            folder,
            self._settings,
            self.results.before_compaction,
            self._tables_process,
            counts,
        )
