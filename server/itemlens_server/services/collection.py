"""One collection: its space, rows, index and tables, and how they follow the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from itemlens_server.config import Settings
from itemlens_server.derived import DerivedFolder, keep_only
from itemlens_server.engine.repository import Space
from itemlens_server.fusion.event_log import EventLog
from itemlens_server.fusion.history import TAKEN
from itemlens_server.fusion.rows import Ints, Rows, View
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.tables import Provenance, Tables
from itemlens_server.fusion.terms.attribute import ATTRIBUTE
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
        self._type_weights = settings.type_weights()
        self._tables: Tables | None = None
        # A cache: tables, the ids of rows, and for each of these its row in the tables.
        self._table_rows: tuple[Tables | None, list[str], Ints] = (None, [], np.zeros(0, np.int64))
        self._uses_attributes = space.head.uses(ATTRIBUTE)
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
    def tables(self) -> Tables | None:
        """What the events taught; None before the tables are computed."""
        return self._tables

    def snapshot(self) -> Snapshot:
        """A snapshot of everything that scores depend on."""
        view, tables = self._rows.view(), self._tables
        known, item_ids, table_rows = self._table_rows
        if known is not tables or item_ids is not view.item_ids:
            table_rows = np.zeros(0, np.int64)
        if len(table_rows) < len(view.labels):
            fresh = view.item_ids[len(table_rows) : len(view.labels)]
            rows = {} if tables is None else tables.rows
            more = np.asarray([rows.get(item_id, -1) for item_id in fresh], np.int64)
            table_rows = np.concatenate([table_rows, more])
        self._table_rows = (tables, view.item_ids, table_rows)
        return Snapshot(self.name, self.space.head, view, tables, table_rows[: len(view.labels)])

    def label(self, item_id: str) -> int | None:
        """Label of an item's current row; None if the item is not in the collection."""
        return self._rows.label(item_id)

    def load(self, reader: Reader) -> list[str]:
        """Load the rows from the store, and graphs and tables from their files if these are intact.

        Returns:
            Ids of items whose stored vectors are damaged. These items are left out.
        """
        damaged = self.follow_store(reader)
        keep_only(self.folder.path, [self._graphs, TABLE_FILE])
        self.index.load(self._rows.view(), reader.last_label())
        try:
            self._load_tables(reader)
        except Exception:  # the tables are derived state: maintenance computes them again
            log.exception("collection %s: the tables of events could not be loaded", self.name)
        return damaged

    def _load_tables(self, reader: Reader) -> None:
        """Load the saved tables if they are of this store's events. Otherwise compute them now, if that is quick."""
        tables, rules = Tables.load(self.folder.path / TABLE_FILE), self.space.head.table_rules
        if tables is not None and tables.rules == rules:
            # The tables must not contain deleted users' data, or events of a store that a backup has replaced.
            if self._are_of_the_events(tables, reader):
                self._serve(tables)
                return
            log.warning("collection %s: %s is of other events than the store's", self.name, TABLE_FILE)
        _, event_count, _ = reader.counts(self.record.id)
        if rules is not None and event_count > FITTED_AT_START:
            log.warning(
                "collection %s: the tables are being computed from %d events in the background; users' lists do not "
                "use them until then", self.name, event_count,
            )  # fmt: skip
            return
        self.fit_tables(reader)

    def _are_of_the_events(self, tables: Tables, reader: Reader) -> bool:
        """Whether tables were computed from this store's events up to a write."""
        written = tables.provenance.write_sequence
        return (
            written <= reader.sequence(self.record.id)
            and reader.events_digest(self.record.id, TAKEN, written) == tables.provenance.events_digest
        )

    def follow_store(self, reader: Reader) -> list[str]:
        """Add the store's rows after the last loaded one. Return the ids of damaged items, which are left out."""
        batch: list[ItemVectors] = []
        damaged = []
        stored = reader.raw_vectors(
            self.record.id, self.encoder_digests, self._last_label, attributes=self._uses_attributes
        )
        for item in stored:
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

    def put(
        self, labels: list[int], item_ids: list[str], h: Array, attributes: Sequence[Mapping[str, Any]]
    ) -> None:
        """Add items that were just stored. The next snapshot contains them."""
        counted = attributes if self._uses_attributes else ()
        self._rows.append(np.asarray(labels, np.int64), item_ids, h, counted)
        self._last_label = labels[-1]
        self._compact()

    def set_attributes(self, item_id: str, attributes: Mapping[str, Any]) -> None:
        """Replace the attributes of an item whose vectors stay."""
        if self._uses_attributes:
            self._rows.set_attributes(item_id, attributes)
            self._compact()

    def remove(self, item_id: str) -> None:
        """Remove an item. The next snapshot does not contain it."""
        self._rows.remove(item_id)
        self._compact()

    def maintain(self, reader: Reader) -> bool:
        """Build the index and compute the tables if there is enough new data. Return whether anything was done."""
        built = self.index.build(self._rows.view())
        return self.fit_tables(reader) or built

    def fit_tables(self, reader: Reader) -> bool:
        """Compute the tables again if events grew by a tenth or any were deleted. Return whether they were."""
        written = reader.sequence(self.record.id)
        # Counting the events of a large collection every second would cost too much.
        if written == self._sequence_checked:
            return False
        done = self._fit_tables(reader, written)
        # Set only now, so that a failure above is tried again.
        self._sequence_checked = written
        return done

    def _fit_tables(self, reader: Reader, written: int) -> bool:
        rules, old = self.space.head.table_rules, self._tables
        _, event_count, _ = reader.counts(self.record.id)
        stale = old is not None and reader.events_deleted(self.record.id) > old.provenance.write_sequence
        if old is not None and not stale and event_count < GROWTH * max(old.provenance.event_count, 1):
            return False
        enough = rules is not None and event_count >= MINIMUM_EVENTS
        # Read before the events: if some are deleted in between, the next start discards the tables.
        digest = reader.events_digest(self.record.id, TAKEN, written) if enough else ""
        last = 0

        def taken() -> Iterator[tuple[str, str, int, float]]:
            nonlocal last
            for user, item, kind, time, sequence in reader.events(self.record.id) if enough else ():
                if sequence <= written:
                    last = max(last, sequence)
                    yield user, item, kind, time

        events = EventLog.of(taken(), self._type_weights)
        if rules is None or not len(events):
            # Deleted users' data must not stay.
            self._tables = None
            (self.folder.path / TABLE_FILE).unlink(missing_ok=True)
            return old is not None
        tables = Tables.fit(events, rules, Provenance(last, event_count, written, digest))
        # Served before they are saved, so that a full disk does not keep a deleted user's data in use.
        self._serve(tables)
        self.folder.write(lambda path: tables.save(path / TABLE_FILE))
        log.info("collection %s: tables computed from %d events", self.name, len(events))
        return True

    def _serve(self, tables: Tables) -> None:
        """Use new tables, with what is derived from them: the first list does not wait for it."""
        tables.derive()
        self._tables = tables

    def take_tables(self, other: Collection) -> None:
        """Use the tables of this collection's state in another space, if they were computed with the same rules."""
        tables = other.tables
        if tables is not None and self.space.head.table_rules == tables.rules:
            self._tables = tables

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
        item_ids = [item.item_id for item in batch]
        self.put([item.label for item in batch], item_ids, h, [item.attributes for item in batch])
