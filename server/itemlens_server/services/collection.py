"""One collection: its space, rows, index and tables, and how they follow the store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from itemlens_server.attributes.filters import Filter
from itemlens_server.attributes.schema import AttributeType
from itemlens_server.attributes.table import AttributeChange
from itemlens_server.config import Settings
from itemlens_server.derived import DerivedFolder, keep_only, remove
from itemlens_server.engine.repository import Space
from itemlens_server.fusion import tables_process
from itemlens_server.fusion.counts.counts import Counts
from itemlens_server.fusion.equal_contents import EqualContents
from itemlens_server.fusion.rows import Ints, Rows, View
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.tables import Provenance, Tables
from itemlens_server.fusion.taken import kinds_of
from itemlens_server.fusion.terms.attribute import ATTRIBUTE
from itemlens_server.fusion.weights import TableRules
from itemlens_server.index.candidate_index import CandidateIndex
from itemlens_server.index.hnsw import HnswIndex, block_list
from itemlens_server.services import live_counts
from itemlens_server.services.live_counts import AFTER_FAILURE_SECONDS, CountsDescription, LiveCounts
from itemlens_server.services.live_tables import LiveTables
from itemlens_server.services.retyped import Retyped
from itemlens_server.services.rule_masks import RuleMasks
from itemlens_server.storage.collection_settings import CollectionSettings
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import Array, CollectionRecord, EventRecord, ItemVectors
from itemlens_server.storage.store import Store
from itemlens_server.words import Indexed

log = logging.getLogger(__name__)

FUSE_BATCH = 256
MINIMUM_EVENTS = 100
# Tables are computed again after a rest of this many times what it took.
REST = 4
# With at most this many items with events, a server computes missing tables before it serves, in about a second.
ITEMS_AT_START = 2000
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
        counts: LiveCounts | None = None,
    ) -> None:
        """`folder`: for derived files, shared by all spaces of the collection. `before_compaction`: called with the
        rows before dead ones are dropped. `counts`: those of the collection's state in another space."""
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
        self._rows = Rows(
            space.head.dimension,
            space.head.uses(ATTRIBUTE),
            record.settings.types,
            _indexed(record.settings),
        )
        self.equal_contents = EqualContents()
        self.rule_masks = RuleMasks()
        self._before_compaction = before_compaction
        self._settings = settings
        # None in a space whose score does not use events.
        self.counts: LiveCounts | None = None
        if (rules := space.head.table_rules) is not None:
            new = self._new_counts(rules)
            same = counts is not None and (counts.step, counts.bound) == (new.step, new.bound)
            self.counts = counts if same else new
        self._tables: Tables | None = None
        self._rests_until = 0.0
        self._failed_until = 0.0
        # The counts that the tables are of, and the mark of the file of counts that tables were saved with.
        self._counted: Counts | None = None
        self._saved_with = ""
        self._live_tables: LiveTables | None = None
        # A cache: the items of tables, the ids of rows, and for each of these its row in the tables.
        self._table_rows: tuple[Sequence[str], list[str], Ints] = ((), [], np.zeros(0, np.int64))
        # Types of attributes that are about to count; see `announce`.
        self._coming: Mapping[str, AttributeType] = {}
        self._last_label = 0

    @property
    def name(self) -> str:
        """Name of the collection."""
        return self.record.name

    @property
    def type_weights(self) -> dict[int, float]:
        """Weight of each type of event by number, own types included."""
        return self.record.settings.weights(self._settings.type_weights())

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
        if tables is not None and self._live_tables is not None and self._counted is self._current_counts:
            tables = self._live_tables.of(tables)
        of_tables: Sequence[str] = () if tables is None else tables.item_ids
        known, item_ids, table_rows = self._table_rows
        if known is not of_tables or item_ids is not view.item_ids:
            table_rows = np.zeros(0, np.int64)
        if len(table_rows) < len(view.labels):
            fresh = view.item_ids[len(table_rows) : len(view.labels)]
            rows = {} if tables is None else tables.rows
            more = np.asarray([rows.get(item_id, -1) for item_id in fresh], np.int64)
            table_rows = np.concatenate([table_rows, more])
        self._table_rows = (of_tables, view.item_ids, table_rows)
        return Snapshot(self.name, self.space.head, view, tables, table_rows[: len(view.labels)])

    def configure(self, settings: CollectionSettings, reader: Reader, retyped: Retyped | None = None) -> None:
        """Use new settings, in the writer's thread. If they change which events count, all are counted again. retyped:
        all attributes, if their types change."""
        before, old = kinds_of(self.type_weights), self.record.settings
        self.record = replace(self.record, settings=settings)
        if retyped is not None:
            self._rows.declare(retyped.table, retyped.records)
        if settings.lexical != old.lexical:
            stored = ((i, d.texts, d.attributes) for i, d in reader.every_document(self.record.id))
            self._rows.index_words(_indexed(settings), stored)
        rules = self.space.head.table_rules
        if kinds_of(self.type_weights) != before and self.counts is not None and rules is not None:
            self.counts.end()
            self.counts = self._new_counts(rules)

    def _new_counts(self, rules: TableRules) -> LiveCounts:
        bound = self._settings.matrix_items if rules.of_pairs else 0
        return LiveCounts(self.record.id, self.folder, kinds_of(self.type_weights), bound, rules.step)

    @property
    def attribute_types(self) -> dict[str, AttributeType]:
        """The type of each attribute that filters can use."""
        return self._rows.attributes.view().types

    def check_attributes(
        self, attributes: Mapping[str, Any], fields: Mapping[str, str] = MappingProxyType({})
    ) -> list[str]:
        """Check attributes that are to be stored, in the writer's thread. The types of first values hold for later
        checks until the values are there, or `take_types_back`. Return the attributes with such types.

        fields: the field that a value came from, by attribute; others came from "attributes".

        Raises:
            InvalidArgument: a value is of another type than its attribute's.
        """
        return self._rows.attributes.check(attributes, self._coming, fields)

    def take_types_back(self, names: Iterable[str]) -> None:
        """Take back types from `check_attributes` whose first values were not stored, in the writer's thread."""
        self._rows.attributes.take_back(names)

    def announce(self, settings: CollectionSettings | None) -> None:
        """Let `check_attributes` know types that are about to count, since writes of one transaction are checked before
        the first of them counts. None: no more."""
        self._coming = {} if settings is None else settings.types

    def matching(self, condition: Filter) -> View:
        """Return the rows, of which those that match a filter are alive.

        Raises:
            InvalidArgument: the filter does not fit the attributes.
        """
        view = self._rows.view()
        return replace(view, alive=view.alive & view.matching(condition))

    def label(self, item_id: str) -> int | None:
        """Label of an item's current row; None if the item is not in the collection."""
        return self._rows.label(item_id)

    def load_derived(self, reader: Reader) -> None:
        """Load graphs, counts and tables from their files if these are intact. The rows must be there."""
        of_events = [] if self.counts is None else [TABLE_FILE, *self.counts.file_names(reader)]
        keep_only(self.folder.path, [self._graphs, *of_events])
        self.index.load(self._rows.view(), reader.last_label())
        if self.counts is None:
            return
        try:
            self._load_tables(self.counts.load(reader), self.counts.current)
        except Exception:  # the tables are derived state: maintenance computes them again
            log.exception("collection %s: the tables of events could not be loaded", self.name)

    def _load_tables(self, mark: str, counts: Counts | None) -> None:
        """Load the tables that were saved with the counts' file. Without them, compute them now, if that is quick."""
        tables = Tables.load(self.folder.path / TABLE_FILE)
        # The tables must not contain deleted users' data, or events of a store that a backup has replaced.
        if tables is not None and counts is not None and mark and tables.provenance.mark == mark:
            if tables.rules == self.space.head.table_rules:
                self._serve(_with_changes(tables, counts))
                self._saved_with = mark
                return
        elif tables is not None:
            log.warning("collection %s: %s is of other events than the store's", self.name, TABLE_FILE)
            remove(self.folder.path / TABLE_FILE)
        few = counts is not None and counts.histories.events <= live_counts.COUNTED_AT_START
        if few and counts is not None and len(counts.item_ids) <= ITEMS_AT_START:
            self.fit_tables()
        else:
            log.warning("collection %s: the tables are being computed in the background", self.name)

    def follow_store(self, reader: Reader) -> list[str]:
        """Add the store's rows after the last loaded one. Return the ids of damaged items, which are left out."""
        batch: list[ItemVectors] = []
        damaged = []
        stored = reader.raw_vectors(self.record.id, self.encoder_digests, self._last_label, documents=True)
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
        self._rows.invert_words()
        return damaged

    def drop_all_but(self, other: View) -> None:
        """Remove the items that are not in this view of the same store's rows."""
        view = self._rows.view()
        labels = view.labels[view.alive]
        for label in labels[~np.isin(labels, other.labels[other.alive], assume_unique=True)]:
            self.remove(view.item_ids[int(view.positions(np.asarray([label]))[0])])

    def put(
        self,
        labels: list[int],
        item_ids: list[str],
        h: Array,
        attributes: Sequence[Mapping[str, Any]],
        texts: Sequence[Mapping[str, str]],
    ) -> None:
        """Add items that were just stored. The next snapshot contains them."""
        self._rows.append(np.asarray(labels, np.int64), item_ids, h, attributes, texts)
        self._last_label = labels[-1]
        self._compact()

    def set_attributes(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the attributes of items whose vectors stay."""
        if changes:
            self._rows.set_attributes(changes)
            self._compact()

    def change_attributes(self, changes: Mapping[str, AttributeChange]) -> None:
        """Change some attributes of items whose vectors stay. The next snapshot has them."""
        if changes:
            self._rows.change_attributes(changes)
            self._compact()

    def follow_changes(self, reader: Reader, since: int) -> None:
        """Take over the attributes of items that were written after a sequence number."""
        self.set_attributes(dict(reader.attributes(self.record.id, since)))

    def remove(self, item_id: str) -> None:
        """Remove an item. The next snapshot does not contain it."""
        self._rows.remove(item_id)
        self._compact()

    def maintain(self, store: Store) -> bool:
        """Build the index, find equal contents, count the events, and compute and save what they teach, if there is
        enough new data. Return whether anything was done."""
        return self.prepare(store) or self._save(store)

    def prepare(self, store: Store) -> bool:
        """Do the work of `maintain`, but save nothing of the events: while the collection is not served, its counts do
        not hear of deletions. Return whether anything was done."""
        inverted = self._rows.invert_words()
        view = self._rows.view()
        built, followed = self.index.build(view), self.equal_contents.follow(view)
        counted = self.counts is not None and self.counts.count(store)
        return self.fit_tables() or counted or built or followed or inverted

    def fit_tables(self) -> bool:
        """Compute the tables again if the counts changed: at once if events were deleted, else after a rest that is the
        longer, the longer it took. Return whether they were."""
        rules, counts, old = self.space.head.table_rules, self._current_counts, self._tables
        if rules is None or counts is None:
            return False
        version, removals, events = counts.version, counts.removals, counts.histories.events
        if events < MINIMUM_EVENTS:
            # Deleted users' data must not stay.
            self._tables, self._saved_with = None, ""
            remove(self.folder.path / TABLE_FILE)
            return old is not None
        same_counts = counts is self._counted
        if old is not None and same_counts and not self._is_due(old.provenance, version, removals):
            return False
        began = time.monotonic()
        if began < self._failed_until:
            if old is not None and removals != old.provenance.removals:
                # What deleted events taught must not stay until the next try.
                self._tables = self._live_tables = None
            return False
        self._failed_until = began + AFTER_FAILURE_SECONDS
        provenance = Provenance(counts.sequence, events, version, removals)
        if rules.of_pairs:
            copied = partial(counts.counted, newer_order=True)
            self._serve(tables_process.compute(len(counts.item_ids), copied, rules, provenance))
        else:
            self._serve(Tables.of_takers(counts.counted_takers(), rules, provenance))
        self._failed_until = 0.0
        self._rests_until = time.monotonic() + REST * (time.monotonic() - began)
        log.info("collection %s: tables computed from the counts of %d events", self.name, events)
        return True

    def _is_due(self, old: Provenance, version: int, removals: int) -> bool:
        rested = time.monotonic() >= self._rests_until
        return version != old.version and (rested or removals != old.removals)

    def _save(self, store: Store) -> bool:
        """Save the counts, if that is due, and tables with each file of them. Return whether anything was saved."""
        if self.counts is None:
            return False
        written = self.counts.save(store)
        counts, saved, tables = self.counts.current, self.counts.saved, self._tables
        if tables is None or counts is None or saved is None or saved.mark == self._saved_with:
            return written
        # Tables from before a deletion would bring the user back with a file from after it.
        if counts is self._counted and tables.provenance.removals == saved.removals == counts.removals:
            stale = None if self._live_tables is None else self._live_tables.stale()
            marked = replace(tables, provenance=replace(tables.provenance, mark=saved.mark), stale=stale)
            self.folder.write(lambda path: marked.save(path / TABLE_FILE))
            self._saved_with = saved.mark
            return True
        return written

    def _serve(self, tables: Tables) -> None:
        """Use new tables, with what is derived from them: the first list does not wait for it."""
        tables.derive()
        counts = self._current_counts
        self._counted = counts
        self._live_tables = None if counts is None else LiveTables(tables, counts)
        self._tables = tables
        if (
            counts is not self._current_counts
        ):  # dropped meanwhile, and a deletion may have taken the tables away
            self._tables = self._live_tables = None

    @property
    def _current_counts(self) -> Counts | None:
        return None if self.counts is None else self.counts.current

    def users_of_both(self, item_id: str, others: Sequence[str]) -> list[int]:
        """Return how many users took an item and each of the `others`, at this moment; 0 while there are no counts."""
        counts = self._current_counts
        return [0] * len(others) if counts is None else counts.users_of_both(item_id, others)

    def times_soon_after(self, item_id: str, past_items: Sequence[str]) -> list[float]:
        """Return how many times an item was taken soon after each of some others, see `LiveTables`; 0 while there are
        no counts or no tables of them."""
        live = self._live_tables if self._counted is self._current_counts else None
        return [0.0] * len(past_items) if live is None else live.times_soon_after(item_id, past_items)

    def is_new(self, item_id: str) -> bool:
        """Return whether it is known that an item has no events that count: by the counts, else by the tables."""
        counts, tables = self._current_counts, self._tables
        if counts is not None:
            return counts.users_of_both(item_id, [item_id]) == [0]
        return tables is not None and item_id not in tables.rows

    def takers(self, item_id: str) -> tuple[int, int]:
        """Return how many users took an item, and how many lately, which is on the last `recent_days` or `trend_days`,
        whichever are fewer, or ever if the tables know no times; 0 while there are no counts."""
        counts, rules = self._current_counts, self.space.head.table_rules
        if counts is None or rules is None:
            return 0, 0
        every, lately = counts.takers_of(item_id, (rules.recent_days, rules.trend_days))
        live = self._live_tables
        return every, every if live is not None and live.all_are_recent else lately

    def describe_counts(self) -> CountsDescription | None:
        """Describe the counts; None while there are none."""
        return None if self.counts is None else self.counts.describe()

    def count_events(self, events: Sequence[tuple[EventRecord, int]], sequence: int) -> None:
        """Add new events with their rows to the counts, in the writer's thread."""
        if self.counts is not None:
            self.counts.recorded(events, sequence)

    def forget_events(self, user_id: str, rows: Sequence[int]) -> None:
        """Take deleted events from the counts, in the writer's thread, and delete the files that have them."""
        if self.counts is not None:
            self.counts.deleted(user_id, rows)
        self._forget_tables()

    def merge_users(self, source: str, target: str) -> None:
        """Give the events of one user to another in the counts, in the writer's thread."""
        if self.counts is not None:
            self.counts.merged(source, target)
        self._forget_tables()

    def _forget_tables(self) -> None:
        """Delete the file of tables that knew deleted events. Without counts, from which new tables follow at once, the
        tables go, too, until the events are counted again."""
        remove(self.folder.path / TABLE_FILE)
        if self._current_counts is None:
            self._tables = self._live_tables = None

    def take_tables(self, other: Collection) -> None:
        """Use the tables of this collection's state in another space, if they were computed with the same rules."""
        tables = other.tables
        if tables is not None and self.space.head.table_rules == tables.rules and self.counts is other.counts:
            self._serve(tables)

    def forget(self) -> None:
        """Delete the derived files."""
        self.folder.delete()

    def _compact(self) -> None:
        """Drop dead rows, or old attributes and words, if most are. Graphs refer to rows by label, so they hold."""
        if self._rows.mostly_dead:
            self._before_compaction(self, self._rows.view())
            self._rows.compact()
        elif self._rows.descriptions_mostly_dead:
            self._rows.compact_descriptions()

    def _append(self, batch: list[ItemVectors]) -> None:
        h = self.space.head_runner.fuse([item.vectors for item in batch])
        item_ids = [item.item_id for item in batch]
        self.put(
            [item.label for item in batch], item_ids, h,
            [item.attributes for item in batch], [item.texts for item in batch],
        )  # fmt: skip


def _indexed(settings: CollectionSettings) -> Indexed | None:
    own = settings.lexical
    return None if own is None else Indexed(own.channels, own.attributes)


def _with_changes(tables: Tables, counts: Counts) -> Tables:
    """Return loaded tables as those of counts that were loaded with them, and let these know what changed between."""
    stale = (
        []
        if tables.stale is None
        else [tables.item_ids[row] for row in np.flatnonzero(tables.stale).tolist()]
    )
    version = 0
    if not stale and tables.provenance.event_count == counts.histories.events:
        version = counts.version
    else:
        counts.touch(stale)
    return replace(
        tables, stale=None, provenance=replace(tables.provenance, version=version, removals=counts.removals)
    )
