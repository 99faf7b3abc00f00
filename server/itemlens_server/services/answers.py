"""Answers are remembered on disk: a thread writes them in batches, so that no call waits for it."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby

from itemlens_server.config import Settings
from itemlens_server.errors import FailedPrecondition, ItemlensError, StorageFull
from itemlens_server.storage import answers as storage
from itemlens_server.storage.answers import AnswerFile, AnswerRecord
from itemlens_server.storage.store import Store

log = logging.getLogger(__name__)

# A batch is written this long after its first answer: what a kill may cost.
BATCH_SECONDS = 0.5
# How often old answers are looked for while there are no new ones.
IDLE_SECONDS = 60.0
# Items of all answers that wait, beyond which further answers are dropped.
MOST_WAITING_ITEMS = 500_000
SECONDS_BETWEEN_WARNINGS = 60.0
END_SECONDS = 5.0
DAY_SECONDS = 86_400


@dataclass(eq=False)
class _Change:
    """Answers to delete, or to give to another user."""

    collections: Sequence[int]
    user_id: str
    given_to: str = ""
    done: Future[None] = field(default_factory=Future)


class Answers:
    """The answers of all collections, as many as fit in `answers_bytes`, and not older than `answers_days`."""

    def __init__(self, store: Store, collections: Sequence[int], settings: Settings) -> None:
        """`collections`: numbers of those that exist; answers of others are deleted.

        Raises:
            FailedPrecondition: there is a file of answers, but it cannot be opened.
        """
        self._store = store
        self._max_bytes, self._days = settings.answers_bytes, settings.answers_days
        self._waiting: deque[AnswerRecord | _Change] = deque()
        self._waiting_items = 0
        self._urgent = self._closed = False
        self._changed = threading.Condition()
        self._warned = float("-inf")
        self.dropped = 0
        self._file = self._opened(store, collections)
        # By collection and item, the number of kept answers that the item was in to learn about it.
        self.explored: Mapping[int, Mapping[str, int]] = {}
        if self._file is not None:
            try:
                self.explored = self._file.explored()
            except (sqlite3.Error, ItemlensError) as error:
                log.warning("items may be explored in more lists than they should be: %s", error)
        self._thread = threading.Thread(target=self._work, name="answers", daemon=True)
        if self._file is not None:
            self._thread.start()

    @property
    def on(self) -> bool:
        """Whether answers are kept."""
        return self._file is not None

    def add(self, record: AnswerRecord) -> None:
        """Remember an answer. Never waits: where the disk does not follow, the answer is dropped and counted."""
        if self._file is None:
            return
        with self._changed:
            if self._closed or self._waiting_items + len(record.item_ids) > MOST_WAITING_ITEMS:
                self._drop(1, "they come faster than they are written")
                return
            self._waiting.append(record)
            self._waiting_items += len(record.item_ids)
            if len(self._waiting) == 1:
                self._changed.notify()

    def forget(self, collections: Sequence[int], user_id: str = "") -> None:
        """Delete the answers of collections, those that wait included; with `user_id`, those to this user only.

        Raises:
            StorageFull: the disk is full.
        """
        self._change(collections, user_id)

    def give(self, collections: Sequence[int], source: str, target: str) -> None:
        """Give the answers to one user to another, those that wait included.

        Raises:
            StorageFull: the disk is full.
        """
        self._change(collections, source, target)

    def _change(self, collections: Sequence[int], user_id: str, given_to: str = "") -> None:
        """Change kept answers, on a full disk too."""
        try:
            self._changed_now(_Change(collections, user_id, given_to))
        except StorageFull:
            if not self._store.release_reserve():
                raise
            self._changed_now(_Change(collections, user_id, given_to))

    def _changed_now(self, change: _Change) -> None:
        if self._file is None:
            return
        with self._changed:
            if self._closed:
                raise _stopping()
            self._waiting.append(change)
            self._urgent = True
            self._changed.notify()
        change.done.result()

    def close(self) -> None:
        """Write what waits, and close the file."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)

    def _opened(self, store: Store, collections: Sequence[int]) -> AnswerFile | None:
        if not (self._max_bytes and self._days):
            if storage.remove(store.directory):
                log.warning(
                    "answers_bytes or answers_days is 0: the kept answers in %s are deleted",
                    store.directory / storage.FILE,
                )
            return None
        mark = hashlib.blake2b(b"answers", digest_size=8, key=store.secret("answers")).hexdigest()
        path = store.directory / storage.FILE
        there = path.exists()
        try:
            try:
                file = AnswerFile(store.directory, mark)
            except sqlite3.OperationalError:
                if not store.release_reserve():
                    raise
                file = AnswerFile(store.directory, mark)
        except (sqlite3.Error, OSError) as error:
            if there:  # deletions could not reach what is in it
                raise FailedPrecondition(
                    f"{path} cannot be opened ({error}): free disk space, or delete it; its answers are lost then"
                ) from error
            log.warning("answers are not kept: %s cannot be created: %s", path, error)
            return None
        try:
            file.keep_only(collections)
        except (sqlite3.Error, ItemlensError) as error:
            log.warning("answers of deleted collections cannot be deleted for now: %s", error)
        return file

    def _work(self) -> None:
        assert self._file is not None
        while True:
            with self._changed:
                if not self._waiting and not self._closed:
                    self._changed.wait(IDLE_SECONDS)
                if self._waiting:
                    self._changed.wait_for(lambda: self._urgent or self._closed, BATCH_SECONDS)
                batch, closed = list(self._waiting), self._closed
                self._waiting.clear()
                self._waiting_items, self._urgent = 0, False
            try:
                self._process(self._file, batch)
            except Exception:  # such as of a file that cannot be replaced
                log.exception("the kept answers cannot be written")
            if closed:
                self._file.close()
                return

    def _process(self, file: AnswerFile, batch: Sequence[AnswerRecord | _Change]) -> None:
        try:
            for is_change, group in groupby(batch, lambda entry: isinstance(entry, _Change)):
                if is_change:
                    for entry in group:
                        assert isinstance(entry, _Change)
                        self._apply(file, entry)
                else:
                    self._write(file, [entry for entry in group if isinstance(entry, AnswerRecord)])
        finally:  # no caller waits forever
            for entry in batch:
                if isinstance(entry, _Change) and not entry.done.done():
                    entry.done.set_exception(
                        FailedPrecondition("the kept answers cannot be changed; try again")
                    )
        try:
            while file.shrink(self._max_bytes, time.time() - self._days * DAY_SECONDS) and not self._urgent:
                pass
        except (sqlite3.Error, ItemlensError) as error:
            log.warning("old answers cannot be deleted for now: %s", error)

    def _write(self, file: AnswerFile, records: Sequence[AnswerRecord]) -> None:
        try:
            file.write(records)
        except (sqlite3.Error, ItemlensError) as error:
            with self._changed:
                self._drop(len(records), str(error))

    def _apply(self, file: AnswerFile, change: _Change) -> None:
        try:
            if change.given_to:
                file.give(change.collections, change.user_id, change.given_to)
            else:
                file.forget(change.collections, change.user_id)
        except Exception as error:
            change.done.set_exception(error)
        else:
            change.done.set_result(None)

    def _drop(self, count: int, why: str) -> None:
        """Count answers that are not kept, and say so once in a while."""
        self.dropped += count
        if (now := time.monotonic()) >= self._warned + SECONDS_BETWEEN_WARNINGS:
            self._warned = now
            log.warning("%d answers were not kept so far: %s", self.dropped, why)


def _stopping() -> FailedPrecondition:
    return FailedPrecondition("the kept answers were not deleted: the server is stopping")
