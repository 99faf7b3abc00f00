"""One collection: its space, rows and index, and how they follow the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from itemlens_server.attributes.filters import Filter
from itemlens_server.attributes.schema import AttributeType
from itemlens_server.attributes.table import AttributeChange
from itemlens_server.config import Settings
from itemlens_server.derived import DerivedFolder, keep_only
from itemlens_server.engine.repository import Space
from itemlens_server.fusion.equal_contents import EqualContents
from itemlens_server.fusion.rows import Ints, Rows, View
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.tables_process import TablesProcess
from itemlens_server.fusion.taken import kinds_of
from itemlens_server.fusion.terms.attribute import ATTRIBUTE
from itemlens_server.index.candidate_index import CandidateIndex
from itemlens_server.index.hnsw import HnswIndex, block_list
from itemlens_server.services.event_tables import EventTables
from itemlens_server.services.live_counts import LiveCounts
from itemlens_server.services.retyped import Retyped
from itemlens_server.services.rule_masks import RuleMasks
from itemlens_server.storage.collection_settings import CollectionSettings
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import Array, CollectionRecord, ItemVectors
from itemlens_server.storage.store import Store
from itemlens_server.words import Indexed

log = logging.getLogger(__name__)

FUSE_BATCH = 256


class Collection:
    """The live state of a collection in one space. A move to another space replaces the whole object."""

    def __init__(
        self,
        record: CollectionRecord,
        space: Space,
        folder: DerivedFolder,
        settings: Settings,
        before_compaction: Callable[[Collection, View], None],
        tables_process: TablesProcess,
        counts: LiveCounts | None = None,
    ) -> None:
        """`folder`: for derived files, shared by all spaces of the collection. `before_compaction`: called with the
        rows before dead ones are dropped. `tables_process`: computes tables of many items. `counts`: those of the
        collection's state in another space."""
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
        self.event_tables = EventTables(
            record, folder, space.head.table_rules, kinds_of(self.type_weights), settings.matrix_items,
            tables_process, counts,
        )  # fmt: skip
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

    def snapshot(self) -> Snapshot:
        """A snapshot of everything that scores depend on."""
        view, tables = self._rows.view(), self.event_tables.current()
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
        old = self.record.settings
        self.record = replace(self.record, settings=settings)
        if retyped is not None:
            self._rows.declare(retyped.table, retyped.records)
        if settings.lexical != old.lexical:
            stored = ((i, d.texts, d.attributes) for i, d in reader.every_document(self.record.id))
            self._rows.index_words(_indexed(settings), stored)
        self.event_tables.recount_if_other(kinds_of(self.type_weights))

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
        keep_only(self.folder.path, [self._graphs, *self.event_tables.file_names(reader)])
        self.index.load(self._rows.view(), reader.last_label())
        self.event_tables.load(reader)

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
        return self.prepare(store) or self.event_tables.save(store)

    def prepare(self, store: Store) -> bool:
        """Do the work of `maintain`, but save nothing of the events: while the collection is not served, its counts do
        not hear of deletions. Return whether anything was done."""
        inverted = self._rows.invert_words()
        view = self._rows.view()
        built, followed = self.index.build(view), self.equal_contents.follow(view)
        return self.event_tables.prepare(store) or built or followed or inverted

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
