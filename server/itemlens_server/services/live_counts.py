"""The counts of a collection: how they follow its store, and how they survive a restart.

A file of counts has a mark, and the store has the mark of the file that belongs to its events. The writer deletes the
mark in the transaction that deletes events, so a file older than a deletion is never used; nor is one of another store
or backup. The events after the file's last row are read from the store.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from itemlens_server.derived import DerivedFolder, remove
from itemlens_server.errors import DataLoss
from itemlens_server.fusion import ease
from itemlens_server.fusion.counts import file
from itemlens_server.fusion.counts.comparison import digest
from itemlens_server.fusion.counts.counts import Counts
from itemlens_server.fusion.counts.recount import Recount
from itemlens_server.fusion.counts.state import Copied
from itemlens_server.fusion.counts.successions import STEP
from itemlens_server.fusion.event_log import EventLog
from itemlens_server.storage import writes
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import EventRecord
from itemlens_server.storage.store import Store

log = logging.getLogger(__name__)

# With at most this many events to count, a server counts them before it serves, which takes a few seconds.
COUNTED_AT_START = 100_000
# The file is written again after this many events, but not so often that this takes more than a tenth of the time.
EVENTS_BETWEEN_FILES = 100_000
REST = 10
AFTER_FAILURE_SECONDS = 60.0
# The folder of derived files in that of the store, with one for each collection.
COLLECTIONS = "collections"
PREFIX, SUFFIX = "counts-", ".npz"
_AT_A_TIME = 20_000


@dataclass(frozen=True)
class Saved:
    """The file of counts. last, removals: those of the counts when it was made (see `Counts`)."""

    mark: str
    last: int
    removals: int


@dataclass(frozen=True)
class CountsDescription:
    """What counts are: see the proto's GetCountsResponse."""

    digest: str
    events: int
    users: int
    items: int
    sequence: int
    rules: str


class LiveCounts:
    """Counts of a collection; the writer's thread changes them in the order of the writes, before these are
    acknowledged."""

    def __init__(
        self, collection: int, folder: DerivedFolder, kinds: Mapping[int, int], bound: int, step: float = STEP
    ) -> None:
        """`kinds`: what events of the types that count are (see `taken.kinds_of`). `bound`, `step`: see `Counts`."""
        self._collection = collection
        self._folder = folder
        self._kinds = dict(kinds)
        self.bound, self.step = bound, step
        self.current: Counts | None = None
        # The file of these counts. Once they follow the writes, only the writer's thread replaces this and the counts.
        self.saved: Saved | None = None
        # Number of the last deletion of events when all were counted.
        self._deleted = 0
        self._ended = False
        self._rests_until = 0.0
        # During a move to another space, the states in both are maintained.
        self._maintaining = threading.Lock()

    def file_names(self, reader: Reader) -> list[str]:
        """Return the names of the files that the store has a mark of."""
        mark = reader.counts_mark(self._collection)
        return [_name(mark)] if mark else []

    def load(self, reader: Reader) -> str:
        """Load the file and count the events after it, or count all events if they are few, before anything is written.

        Returns:
            The mark of the file; empty if it was not used.
        """
        mark = reader.counts_mark(self._collection) or ""
        counts = self._from_file(mark) if mark else None
        if counts is None:
            mark = ""
            _, events, _ = reader.counts(self._collection)
            if events > COUNTED_AT_START:
                log.warning(
                    "%d events are being counted in the background; users' lists do not use them until then",
                    events,
                )
                return ""
            counts = Counts(self.bound, self.step)
        self.saved = Saved(mark, counts.last, counts.removals) if mark else None
        self._follow(counts, reader)
        self.current = counts
        return mark

    def begin_empty(self) -> None:
        """Follow the writes of a new collection."""
        self.current = Counts(self.bound, self.step)

    def count(self, store: Store) -> bool:
        """Count all events, while others are written, if this was not done yet. Return whether it was done now."""
        with self._maintaining:
            if self.current is not None or self._ended:
                return False
            counts, reader = Counts(self.bound, self.step), store.reader()
            self._deleted = reader.events_deleted(self._collection)
            self._follow(counts, reader)
            # In the writer's thread, after this write and those before it.
            store.write(lambda _: None, lambda _: self._begin(counts, store.reader()))
            return self.current is not None

    def _begin(self, counts: Counts, reader: Reader) -> None:
        """Use counts, with what was stored since; if events were deleted since, use none: all are counted again."""
        if self._ended or reader.events_deleted(self._collection) != self._deleted:
            self._drop()
            return
        self._follow(counts, reader)
        self.current, self.saved = counts, None

    def catch_up(self, reader: Reader) -> None:
        """Add what was stored since the events were counted, for counts that do not follow the writes yet. If events
        were deleted since, the counts are dropped and made again."""
        if self.current is not None:
            with self._counted_again_on_error():
                self._begin(self.current, reader)

    def describe(self) -> CountsDescription | None:
        """Describe the counts of this moment; None while there are none."""
        counts = self.current
        if counts is None:
            return None
        events, users, sequence = counts.histories.events, len(counts.histories), counts.sequence
        counted = counts.counted()
        rules = json.dumps(self._rules())
        return CountsDescription(digest(counted), events, users, len(counted.item_ids), sequence, rules)

    def end(self) -> None:
        """Follow no more writes, called in the writer's thread. The counts are not used or saved any more, and their
        file, which would not hear of deletions, is deleted."""
        self._ended = True
        self._drop()
        self._drop_files()

    def _drop(self) -> None:
        self.current = self.saved = None

    def recorded(self, events: Sequence[tuple[EventRecord, int]], sequence: int) -> None:
        """Add new events with their rows, in the order of these, in the writer's thread."""
        if self.current is not None and events:
            counted = [(e, row) for e, row in events if e.type in self._kinds and not e.held]
            own = [(e.user_id, e.item_id, float(e.time), row) for e, row in counted]
            kinds = [self._kinds[e.type] for e, _ in counted]
            with self._counted_again_on_error():
                self.current.add(own, sequence, events[-1][1], kinds)

    def deleted(self, user_id: str, rows: Sequence[int]) -> None:
        """Take events away, in the writer's thread. The file, which still has them, is deleted."""
        if self.current is not None:
            with self._counted_again_on_error():
                self.current.remove(user_id, rows)
        self._drop_files()

    def merged(self, source: str, target: str) -> None:
        """Give the events of one user to another, in the writer's thread. The file, which has them as they were, is
        deleted."""
        if self.current is not None:
            with self._counted_again_on_error():
                self.current.merge(source, target)
        self._drop_files()

    @contextmanager
    def _counted_again_on_error(self) -> Iterator[None]:
        """A change that fails, as without memory, leaves wrong counts: they are dropped and made again."""
        try:
            yield
        except Exception:
            log.exception("counts of collection %d failed; all events are counted again", self._collection)
            self._drop()

    def save(self, store: Store) -> bool:
        """Write the file if many events were counted since, or any were deleted. Return whether it was written."""
        with self._maintaining:
            if time.monotonic() < self._rests_until or not self._is_due():
                return False
            began, rest = time.monotonic(), AFTER_FAILURE_SECONDS
            try:
                written = self._save(store)
                rest = REST * (time.monotonic() - began)
            finally:
                self._rests_until = time.monotonic() + rest
            return written

    def _save(self, store: Store) -> bool:
        copied = self._state(store)
        if copied is None:
            return False
        counts, removals, copy, deleted = copied
        mark, state = uuid.uuid4().hex, copy.state()
        saved = Saved(mark, int(state.arrays["last"][0]), removals)

        def run(connection: sqlite3.Connection) -> bool:
            if self._ended or Reader(connection).events_deleted(self._collection) != deleted:
                return False
            writes.mark_counts(connection, self._collection, mark)
            return True

        def after(marked: bool) -> None:
            if marked and self.current is counts:
                self.saved = saved

        try:
            self._folder.write(lambda path: file.save(path / _name(mark), state, mark, self._rules()))
            marked = store.write(run, after)
        except BaseException:
            remove(self._folder.path / _name(mark))
            raise
        self._drop_files(but=mark if marked else "")
        return marked

    def _state(self, store: Store) -> tuple[Counts, int, Copied, int] | None:
        """Return the counts, their removals, a copy of them, and the number of the last deletion that they know; None
        if there are no counts any more."""
        copies: list[tuple[Counts, int, Copied]] = []

        def after(_: int) -> None:
            if (counts := self.current) is not None:
                copies.append((counts, counts.removals, counts.copied()))

        # The number is read in a transaction and the counts after it, so both know the same deletions.
        deleted = store.write(lambda connection: Reader(connection).events_deleted(self._collection), after)
        return (*copies[0], deleted) if copies else None

    def _drop_files(self, but: str = "") -> None:
        for path in self._folder.path.glob(f"{PREFIX}*{SUFFIX}"):
            if path.name != _name(but):
                remove(path)

    def _is_due(self) -> bool:
        counts, saved = self.current, self.saved
        if counts is None or saved is None:
            return counts is not None and counts.last > 0
        return counts.removals != saved.removals or counts.last - saved.last >= EVENTS_BETWEEN_FILES

    def _from_file(self, mark: str) -> Counts | None:
        path = self._folder.path / _name(mark)
        state = file.load(path, mark, self._rules())
        if state is None:
            return None
        try:
            return Counts.restored(state, self.bound, self.step)
        except (ValueError, KeyError, IndexError) as error:
            log.warning("%s cannot be used (%r); all events are counted again", path, error)
            return None

    def _follow(self, counts: Counts, reader: Reader) -> None:
        """Add the store's events after the last one that was read."""
        rows = reader.events_after(self._collection, counts.last)
        while batch := list(islice(rows, _AT_A_TIME)):
            counted = [event for event in batch if event[2] in self._kinds]
            events = [(user, item, at, n) for user, item, _, at, _, n in counted]
            *_, sequence, row = batch[-1]
            counts.add(events, sequence, row, [self._kinds[event[2]] for event in counted])

    def _rules(self) -> Mapping[str, Any]:
        return {
            "kinds": {str(event_type): kind for event_type, kind in self._kinds.items()},
            "step": self.step,
        }


def recount(
    reader: Reader, collection: int, kinds: Mapping[int, int], step: float = STEP, without: str = ""
) -> Recount:
    """Count all events of a store at once, apart from the counts that follow them. without: a user who is left out."""
    stored = (event[:4] for event in reader.events(collection))
    events = (event for event in stored if not without or event[0] != without)
    # The strengths carry the kinds: counts do not use them.
    log = EventLog.of(events, {event_type: kind + 1.0 for event_type, kind in kinds.items()})
    return Recount.of(log, step, (log.strengths - 1.0).astype(np.int8))


def parsed_rules(rules: Mapping[str, Any]) -> tuple[dict[int, int], float]:
    """Return what events of the types that count are, and `step`, from the rules of a file or a description."""
    return {int(event_type): int(kind) for event_type, kind in rules["kinds"].items()}, float(rules["step"])


def saved_counts(reader: Reader, collection: int, folder: Path) -> tuple[Counts, dict[int, int]] | None:
    """Return the counts as a start would have them from their file and the events after it, and what events of the
    types that count are; None without a file. Pairs are in matrices if they are in the file's.

    Raises:
        DataLoss: the file cannot be used.
    """
    mark = reader.counts_mark(collection)
    if not mark or not (folder / _name(mark)).exists():
        return None
    unusable = DataLoss("the file of counts is damaged, or of another version")
    about = file.describe(folder / _name(mark))
    if about is None:
        raise unusable
    bound = max(about.items, ease.MAX_ITEMS) if about.has_matrices else 0
    kinds, step = parsed_rules(about.rules)
    counts = LiveCounts(collection, DerivedFolder(folder), kinds, bound, step)
    if not counts.load(reader) or counts.current is None:
        raise unusable
    return counts.current, kinds


def _name(mark: str) -> str:
    return f"{PREFIX}{mark}{SUFFIX}"
