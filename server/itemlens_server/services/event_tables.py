"""What the events of a collection taught: their counts, the tables of these, and the file of tables."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from itemlens_server.derived import DerivedFolder, remove
from itemlens_server.fusion.counts.counts import Counts
from itemlens_server.fusion.tables import Provenance, Tables
from itemlens_server.fusion.tables_process import TablesProcess
from itemlens_server.fusion.weights import TableRules
from itemlens_server.services import live_counts
from itemlens_server.services.live_counts import AFTER_FAILURE_SECONDS, CountsDescription, LiveCounts
from itemlens_server.services.live_tables import LiveTables
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import CollectionRecord, EventRecord
from itemlens_server.storage.store import Store

log = logging.getLogger(__name__)

MINIMUM_EVENTS = 100
# Tables are computed again after a rest of this many times what it took.
REST = 4
# With at most this many items with events, a server computes missing tables before it serves, in about a second.
ITEMS_AT_START = 2000
TABLE_FILE = "behaviour.npz"


class EventTables:
    """Counts and tables of a collection's events in one space. Events change the counts at once; the tables are
    computed from them in the background, and served as the counts are at each read (docs/behaviour.md)."""

    def __init__(
        self,
        record: CollectionRecord,
        folder: DerivedFolder,
        rules: TableRules | None,
        kinds: Mapping[int, int],
        matrix_items: int,
        process: TablesProcess,
        counts: LiveCounts | None = None,
    ) -> None:
        """`folder`: for derived files. `rules`: how the space computes tables; None if its score does not use events.
        `kinds`: what events of the types that count are (see `taken.kinds_of`). `matrix_items`: the setting. `process`:
        computes tables of many items. `counts`: those of the collection's state in another space, which are used if
        they fit the rules."""
        self._name = record.name
        self._collection = record.id
        self._folder = folder
        self._rules = rules
        self._kinds = dict(kinds)
        self._matrix_items = matrix_items
        self._process = process
        # None in a space whose score does not use events.
        self.counts: LiveCounts | None = None
        if rules is not None:
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

    def _new_counts(self, rules: TableRules) -> LiveCounts:
        bound = self._matrix_items if rules.of_pairs else 0
        return LiveCounts(self._collection, self._folder, self._kinds, bound, rules.step)

    def recount_if_other(self, kinds: Mapping[int, int]) -> None:
        """Count all events again if others count now, or count as something else, in the writer's thread."""
        if kinds == self._kinds:
            return
        self._kinds = dict(kinds)
        if self.counts is not None and self._rules is not None:
            self.counts.end()
            self.counts = self._new_counts(self._rules)

    @property
    def tables(self) -> Tables | None:
        """What the events taught; None before the tables are computed."""
        return self._tables

    def current(self) -> Tables | None:
        """Return the tables as they are at this moment; None before they are computed."""
        tables, live = self._tables, self._live_tables
        if tables is not None and live is not None and self._counted is self._current_counts:
            return live.of(tables)
        return tables

    def file_names(self, reader: Reader) -> list[str]:
        """Return the names of the derived files that may be used."""
        return [] if self.counts is None else [TABLE_FILE, *self.counts.file_names(reader)]

    def load(self, reader: Reader) -> None:
        """Load counts and tables from their files if these are intact."""
        if self.counts is None:
            return
        try:
            self._load_tables(self.counts.load(reader), self.counts.current)
        except Exception:  # the tables are derived state: maintenance computes them again
            log.exception("collection %s: the tables of events could not be loaded", self._name)

    def _load_tables(self, mark: str, counts: Counts | None) -> None:
        """Load the tables that were saved with the counts' file. Without them, compute them now, if that is quick."""
        tables = Tables.load(self._folder.path / TABLE_FILE)
        # The tables must not contain deleted users' data, or events of a store that a backup has replaced.
        if tables is not None and counts is not None and mark and tables.provenance.mark == mark:
            if tables.rules == self._rules:
                self._serve(_with_changes(tables, counts))
                self._saved_with = mark
                return
        elif tables is not None:
            log.warning("collection %s: %s is of other events than the store's", self._name, TABLE_FILE)
            remove(self._folder.path / TABLE_FILE)
        few = counts is not None and counts.histories.events <= live_counts.COUNTED_AT_START
        if few and counts is not None and len(counts.item_ids) <= ITEMS_AT_START:
            self.fit_tables()
        else:
            log.warning("collection %s: the tables are being computed in the background", self._name)

    def prepare(self, store: Store) -> bool:
        """Count the events, and compute the tables, if that is due, but save nothing. Return whether either was
        done."""
        counted = self.counts is not None and self.counts.count(store)
        return self.fit_tables() or counted

    def fit_tables(self) -> bool:
        """Compute the tables again if the counts changed: at once if events were deleted, else after a rest that is the
        longer, the longer it took. Return whether they were."""
        rules, counts, old = self._rules, self._current_counts, self._tables
        if rules is None or counts is None:
            return False
        version, removals, events = counts.version, counts.removals, counts.histories.events
        if events < MINIMUM_EVENTS:
            # Deleted users' data must not stay.
            self._tables, self._saved_with = None, ""
            remove(self._folder.path / TABLE_FILE)
            return old is not None
        same_counts = counts is self._counted
        if old is not None and same_counts and not self._is_due(old.provenance, version, removals):
            return False
        began = time.monotonic()
        deleted = old is not None and removals != old.provenance.removals
        if began < self._failed_until:
            if deleted:
                # What deleted events taught must not stay until the next try.
                self._tables = self._live_tables = None
            return False
        self._failed_until = began + AFTER_FAILURE_SECONDS
        provenance = Provenance(counts.sequence, events, version, removals)
        if rules.of_pairs:
            copied = partial(counts.counted, newer_order=True)
            self._serve(self._process.compute(len(counts.item_ids), copied, rules, provenance))
        else:
            self._serve(Tables.of_takers(counts.counted_takers(), rules, provenance))
        self._failed_until = 0.0
        self._rests_until = time.monotonic() + REST * (time.monotonic() - began)
        log.info("collection %s: tables computed from the counts of %d events", self._name, events)
        return True

    @property
    def uncounted_writes(self) -> int:
        """How many writes are newer than the tables; 0 if none of them changes a table."""
        counts, tables = self._current_counts, self._tables
        if self._rules is None or counts is None or counts.histories.events < MINIMUM_EVENTS:
            return 0
        if tables is None:
            return counts.sequence
        known = tables.provenance
        return max(0, counts.sequence - known.event_sequence) if counts.version != known.version else 0

    def _is_due(self, old: Provenance, version: int, removals: int) -> bool:
        rested = time.monotonic() >= self._rests_until
        return version != old.version and (rested or removals != old.removals)

    def save(self, store: Store) -> bool:
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
            self._folder.write(lambda path: marked.save(path / TABLE_FILE))
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
        # Dropped meanwhile, and a deletion may have taken the tables away.
        if counts is not self._current_counts:
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
        counts, rules = self._current_counts, self._rules
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
        remove(self._folder.path / TABLE_FILE)
        if self._current_counts is None:
            self._tables = self._live_tables = None

    def take_tables(self, other: EventTables) -> None:
        """Use the tables of the collection's state in another space, if they were computed with the same rules."""
        tables = other.tables
        if tables is not None and self._rules == tables.rules and self.counts is other.counts:
            self._serve(tables)


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
