"""One collection: its space, rows, index and item-to-item table, and how they follow the store."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from itemlens_server.config import Settings
from itemlens_server.derived import DerivedFolder, keep_only
from itemlens_server.engine.repository import Space
from itemlens_server.fusion.history import TAKEN
from itemlens_server.fusion.item_to_item import ItemToItem
from itemlens_server.fusion.rows import Ints, Rows, View
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.index.candidate_index import CandidateIndex
from itemlens_server.index.hnsw import HnswIndex, block_list
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import Array, CollectionRecord, ItemVectors

log = logging.getLogger(__name__)

FUSE_BATCH = 256
MINIMUM_EVENTS = 100
GROWTH = 1.1
# With at most this many events, a missing table is fitted before the server serves, which takes a few seconds.
FITTED_AT_START = 100_000
TABLE_FILE = "behaviour.npz"


class Collection:
    """The live state of a collection in one space. A move to another space replaces the whole object."""

    def __init__(
        self,
        record: CollectionRecord,
        space: Space,
        folder: DerivedFolder,
        settings: Settings,
        before_compaction: Callable[[Collection, View], None],
    ) -> None:
        """`folder`: for derived files, shared by all spaces of the collection. `before_compaction`: called with the
        rows before dead ones are dropped."""
        self.record = record
        self.space = space
        self.folder = folder
        # The name differs by space: during a move to another space, the old state still writes its graphs.
        self._graphs = f"graphs-{space.space_id}"
        self.index: CandidateIndex = HnswIndex(
            block_list(space.head),
            folder=folder,
            name=self._graphs,
            identity={"space_id": space.space_id, "collection": record.id},
            segment_rows=settings.segment_rows,
            candidates_per_channel=settings.candidates_per_channel,
        )
        self._rows = Rows(space.head.dimension)
        self._before_compaction = before_compaction
        self._item_to_item: ItemToItem | None = None
        # A cache: a table, the ids of rows, and for each of these its row in the table.
        self._table_rows: tuple[ItemToItem | None, list[str], Ints] = (None, [], np.zeros(0, np.int64))
        self._last_label = 0
        self._sequence_checked = -1

    @property
    def name(self) -> str:
        """Name of the collection."""
        return self.record.name

    @property
    def encoder_digests(self) -> dict[str, str]:
        """Digest of each channel's encoder."""
        return self.space.encoder_digests

    @property
    def item_to_item(self) -> ItemToItem | None:
        """The item-to-item table; None before it is fitted."""
        return self._item_to_item

    def snapshot(self) -> Snapshot:
        """A snapshot of everything that scores depend on."""
        view, table = self._rows.view(), self._item_to_item
        known, item_ids, table_rows = self._table_rows
        if known is not table or item_ids is not view.item_ids:
            table_rows = np.zeros(0, np.int64)
        if table is not None and len(table_rows) < len(view.labels):
            fresh = view.item_ids[len(table_rows) : len(view.labels)]
            more = np.asarray([table.rows.get(item_id, -1) for item_id in fresh], np.int64)
            table_rows = np.concatenate([table_rows, more])
        self._table_rows = (table, view.item_ids, table_rows)
        return Snapshot(self.name, self.space.head, view, table, table_rows[: len(view.labels)])

    def label(self, item_id: str) -> int | None:
        """Label of an item's current row; None if the item is not in the collection."""
        return self._rows.label(item_id)

    def load(self, reader: Reader) -> list[str]:
        """Load the rows from the store, and graphs and table from their files if these are intact.

        Returns:
            Ids of items whose stored vectors are damaged. These items are left out.
        """
        damaged = self.follow_store(reader)
        keep_only(self.folder.path, [self._graphs, TABLE_FILE])
        self.index.load(self._rows.view(), reader.last_label())
        try:
            self._load_item_to_item(reader)
        except Exception:  # the table is derived state: maintenance fits it again
            log.exception("collection %s: the item-to-item table could not be loaded", self.name)
        return damaged

    def _load_item_to_item(self, reader: Reader) -> None:
        """Load the saved table if it was fitted to this store's events. Otherwise fit it now, if that is quick."""
        table = ItemToItem.load(self.folder.path / TABLE_FILE)
        regularisation = self.space.head.behaviour_lambda
        if table is not None and table.regularisation == regularisation:
            # The table must not contain deleted users' data, or events of a store that a backup has replaced.
            if self._is_of_the_events(table, reader):
                self._item_to_item = table
                return
            log.warning(
                "collection %s: %s was fitted to other events than the store's", self.name, TABLE_FILE
            )
        _, event_count, _ = reader.counts(self.record.id)
        if regularisation and event_count > FITTED_AT_START:
            log.warning(
                "collection %s: the item-to-item table is being fitted to %d events in the background; users' lists "
                "do not use it until then", self.name, event_count,
            )  # fmt: skip
            return
        self.fit_item_to_item(reader)

    def _is_of_the_events(self, table: ItemToItem, reader: Reader) -> bool:
        """Whether a table was fitted to this store's events up to a write."""
        written = table.write_sequence
        return (
            written <= reader.sequence(self.record.id)
            and reader.events_digest(self.record.id, TAKEN, written) == table.events_digest
        )

    def follow_store(self, reader: Reader) -> list[str]:
        """Add the store's rows after the last loaded one. Return the ids of damaged items, which are left out."""
        batch: list[ItemVectors] = []
        damaged = []
        for item in reader.raw_vectors(self.record.id, self.encoder_digests, self._last_label):
            if not item.whole:
                damaged.append(item.item_id)
                continue
            batch.append(item)
            if len(batch) == FUSE_BATCH:
                self._append(batch)
                batch = []
        if batch:
            self._append(batch)
        return damaged

    def drop_all_but(self, other: View) -> None:
        """Remove the items that are not in this view of the same store's rows."""
        view = self._rows.view()
        labels = view.labels[view.alive]
        for label in labels[~np.isin(labels, other.labels[other.alive], assume_unique=True)]:
            self.remove(view.item_ids[int(view.positions(np.asarray([label]))[0])])

    def put(self, labels: list[int], item_ids: list[str], h: Array) -> None:
        """Add items that were just stored. The next snapshot contains them."""
        self._rows.append(np.asarray(labels, np.int64), item_ids, h)
        self._last_label = labels[-1]
        self._compact()

    def remove(self, item_id: str) -> None:
        """Remove an item. The next snapshot does not contain it."""
        self._rows.remove(item_id)
        self._compact()

    def maintain(self, reader: Reader) -> bool:
        """Build the index and fit the table if there is enough new data. Return whether anything was done."""
        built = self.index.build(self._rows.view())
        return self.fit_item_to_item(reader) or built

    def fit_item_to_item(self, reader: Reader) -> bool:
        """Fit the table again if events grew by a tenth or any were deleted. Return whether it was fitted."""
        written = reader.sequence(self.record.id)
        # Counting the events of a large collection every second would cost too much.
        if written == self._sequence_checked:
            return False
        done = self._fit_item_to_item(reader, written)
        # Set only now, so that a failure above is tried again.
        self._sequence_checked = written
        return done

    def _fit_item_to_item(self, reader: Reader, written: int) -> bool:
        regularisation, old = self.space.head.behaviour_lambda, self._item_to_item
        _, event_count, _ = reader.counts(self.record.id)
        stale = old is not None and reader.events_deleted(self.record.id) > old.write_sequence
        if old is not None and not stale and event_count < GROWTH * max(old.event_count, 1):
            return False
        enough = regularisation and event_count >= MINIMUM_EVENTS
        # Read before the events: if some are deleted in between, the next start discards the table.
        digest = reader.events_digest(self.record.id, TAKEN, written) if enough else ""
        events = reader.events(self.record.id) if enough else ()
        taken = [e for e in events if e[2] in TAKEN and e[4] <= written]
        if not taken:
            # Deleted users' data must not stay.
            self._item_to_item = None
            (self.folder.path / TABLE_FILE).unlink(missing_ok=True)
            return old is not None
        table = ItemToItem.fit(
            [e[0] for e in taken], [e[1] for e in taken], regularisation,
            event_sequence=max(e[4] for e in taken), event_count=event_count, write_sequence=written,
            events_digest=digest,
        )  # fmt: skip
        # Served before it is saved, so that a full disk does not keep a deleted user's data in use.
        self._item_to_item = table
        self.folder.write(lambda path: table.save(path / TABLE_FILE))
        log.info("collection %s: item-to-item table fitted to %d events", self.name, len(taken))
        return True

    def take_item_to_item(self, other: Collection) -> None:
        """Use the table of this collection's state in another space, if it was fitted with the same lambda."""
        table = other.item_to_item
        if table is not None and self.space.head.behaviour_lambda == table.regularisation:
            self._item_to_item = table

    def forget(self) -> None:
        """Delete the derived files."""
        self.folder.delete()

    def _compact(self) -> None:
        """Drop dead rows, if most are dead. Graphs refer to rows by label, so they stay valid."""
        if self._rows.mostly_dead:
            self._before_compaction(self, self._rows.view())
            self._rows.compact()

    def _append(self, batch: list[ItemVectors]) -> None:
        h = self.space.head_runner.fuse([item.vectors for item in batch])
        self.put([item.label for item in batch], [item.item_id for item in batch], h)
