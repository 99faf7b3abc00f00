"""A single thread writes to SQLite: operations that wait at the same time share a transaction (group commit).

A commit waits for the disk (synchronous=FULL), so group commit makes many small writes fast. Each operation runs in its
own savepoint, so that a failure does not affect the others.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeVar

from itemlens_server.errors import DataLoss, FailedPrecondition, StorageFull

log = logging.getLogger(__name__)
T = TypeVar("T")
GROUP = 64
# A slice of work on the connection. The second argument returns whether writes wait. Returns whether there was anything
# to do.
Tidy = Callable[[sqlite3.Connection, Callable[[], bool]], bool]


@dataclass
class _Write:
    run: Callable[[sqlite3.Connection], Any]
    after: Callable[[Sequence[Any]], None]
    undone: Callable[[], None]
    future: Future[Any] = field(default_factory=Future)
    result: Any = None


class Writer:
    """Runs writes one at a time on its own connection. `write` returns when the write is on disk."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        tidy: Tidy | None = None,
    ) -> None:
        """`tidy`: background work, one slice in each transaction. It runs while no write waits, and once after each
        group of writes.
        """
        self._connect = connect
        self._tidy = tidy
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def write(
        self,
        run: Callable[[sqlite3.Connection], T],
        after: Callable[[T], None] = lambda _: None,
        undone: Callable[[], None] = lambda: None,
    ) -> T:
        """Run `run` in a transaction. Once that is on disk, run `after` (before any later write) and return.

        undone: called each time that what `run` did in the store is taken back, before any other write. `run` may be
        called again then.

        Raises:
            StorageFull: the disk is full or the size limit is reached. Nothing was stored.
            FailedPrecondition: the store is closed.
        """

        def after_this(results: Sequence[T]) -> None:
            after(results[0])

        return self.submit(run, after_this, undone).result()

    def submit(
        self,
        run: Callable[[sqlite3.Connection], T],
        after: Callable[[Sequence[T]], None],
        undone: Callable[[], None] = lambda: None,
    ) -> Future[T]:
        """As `write`, without waiting for the end. Writes that follow each other in a transaction and have the same
        `after` share one call of it, with the results of all."""
        job = _Write(run, after, undone)
        # Nobody can cancel a write.
        job.future.set_running_or_notify_cancel()
        # The lock ensures that nothing is queued after the end mark, where it would never run.
        with self._closing:
            if self._closed:
                raise FailedPrecondition("the store is closed: the server is stopping")
            self._queue.put(job)
        return job.future

    def close(self) -> None:
        """Finish all queued writes and stop."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        connection = self._connect()
        # There may be work for `tidy` after a restart.
        stop, untidy = False, self._tidy is not None
        while not stop:
            group: list[_Write] = []
            # Wait for a write only if `tidy` has nothing to do.
            while len(group) < GROUP and not (self._queue.empty() and (group or untidy)):
                job = self._queue.get()
                if job is None:
                    stop = True
                    break
                group.append(job)
            if group and not self._commit(connection, group) and len(group) > 1:
                # The group did not fit; a single write may.
                for job in group:
                    if not job.future.done():
                        self._commit(connection, [job])
            if self._tidy is not None and not stop:
                untidy = self._tidied(connection, self._tidy, untidy)
        connection.close()

    def _tidied(self, connection: sqlite3.Connection, tidy: Tidy, before: bool) -> bool:
        """Run a slice of `tidy`. Return whether there was anything to do. before: the previous result."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            worked = tidy(connection, lambda: not self._queue.empty())
            connection.execute("COMMIT")
            if before and not worked:
                # Only a checkpoint shortens the file. This one does not wait for readers.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            return worked
        except (sqlite3.Error, DataLoss) as error:  # tried again after the next write
            log.warning("the space of deleted rows cannot be released for now: %s", error)
            _roll_back(connection)
            return False

    def _commit(self, connection: sqlite3.Connection, group: list[_Write]) -> bool:
        """Commit the group and finish its futures. Return False if the commit of several writes failed."""
        begun: list[_Write] = []
        try:
            if connection.in_transaction:  # left by a rollback that failed, as on a broken disk
                connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            done = []
            for job in group:
                connection.execute("SAVEPOINT one")
                begun.append(job)
                try:
                    job.result = job.run(connection)
                except (sqlite3.OperationalError, DataLoss):
                    raise
                except Exception as error:  # an error of this write only; the others continue
                    connection.execute("ROLLBACK TO one")
                    connection.execute("RELEASE one")
                    begun.pop().undone()
                    job.future.set_exception(error)
                else:
                    connection.execute("RELEASE one")
                    done.append(job)
            connection.execute("COMMIT")
        except (sqlite3.Error, DataLoss) as error:
            _roll_back(connection)
            for job in begun:
                job.undone()
            if len(group) > 1:
                return False
            if not group[0].future.done():
                group[0].future.set_exception(translate(error))
            return True
        for after, jobs in groupby(done, key=lambda job: job.after):
            together = list(jobs)
            try:
                after([job.result for job in together])
            except Exception as error:  # the writes stay on disk; the callers get the error
                for job in together:
                    job.future.set_exception(error)
            else:
                for job in together:
                    job.future.set_result(job.result)
        return True


def _roll_back(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error, DataLoss):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def translate(error: Exception) -> Exception:
    """Return StorageFull if the disk is full or the size limit is reached, else the error itself."""
    text = str(error)
    if "full" in text or "disk I/O" in text:
        return StorageFull(
            f"the store cannot grow ({text}): free disk space or raise max_store_bytes; this write was not stored"
        )
    return error
