"""One thread that writes to SQLite for everybody: operations that wait together share one transaction.

A commit waits for the disk (synchronous=FULL), so joining the operations of several callers into one is what makes
many small writes fast. Each operation runs in a savepoint of its own: one that fails takes nothing with it.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from itemlens_server.errors import DataLoss, FailedPrecondition, StorageFull

log = logging.getLogger(__name__)
T = TypeVar("T")
GROUP = 64
# A slice of work on the connection; the second argument says whether writes wait. Whether there was anything to do.
Tidy = Callable[[sqlite3.Connection, Callable[[], bool]], bool]


@dataclass
class _Write:
    run: Callable[[sqlite3.Connection], Any]
    after: Callable[[Any], None]
    future: Future[Any] = field(default_factory=Future)
    result: Any = None


class Writer:
    """Runs writes one after the other on its own connection; `write` returns when they are on disk."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        tidy: Tidy | None = None,
    ) -> None:
        """`tidy`: work for when nobody waits, a slice in a transaction of its own. It has its turn after each group of
        writes, too.
        """
        self._connect = connect
        self._tidy = tidy
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def write(self, run: Callable[[sqlite3.Connection], T], after: Callable[[T], None] = lambda _: None) -> T:
        """Run `run` in a transaction; once that is on disk, run `after` (before any later write) and return.

        Raises:
            StorageFull: the disk or the size limit is full; nothing was kept.
            FailedPrecondition: the store is closed.
        """
        job = _Write(run, after)
        # With the lock nothing is queued behind the mark that ends the thread: it would wait for ever.
        with self._closing:
            if self._closed:
                raise FailedPrecondition("the store is closed: the server is stopping")
            self._queue.put(job)
        result: T = job.future.result()
        return result

    def close(self) -> None:
        """Finish what is queued and stop."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        connection = self._connect()
        # Whether there may be something to tidy, as after a restart.
        stop, untidy = False, self._tidy is not None
        while not stop:
            group: list[_Write] = []
            # Waits for a write only where nothing is to be tidied.
            while len(group) < GROUP and not (self._queue.empty() and (group or untidy)):
                job = self._queue.get()
                if job is None:
                    stop = True
                    break
                group.append(job)
            if group and not self._commit(connection, group) and len(group) > 1:
                # The group did not fit; each write alone may.
                for job in group:
                    if not job.future.done():
                        self._commit(connection, [job])
            if self._tidy is not None and not stop:
                untidy = self._tidied(connection, self._tidy, untidy)
        connection.close()

    def _tidied(self, connection: sqlite3.Connection, tidy: Tidy, before: bool) -> bool:
        """Tidy a slice; whether there was anything to do. before: whether there was the last time."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            worked = tidy(connection, lambda: not self._queue.empty())
            connection.execute("COMMIT")
            if before and not worked:
                # Only a checkpoint makes the file itself shorter. This one does not wait for readers.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            return worked
        except (sqlite3.Error, DataLoss) as error:  # tried again after the next write
            log.warning("the space of deleted rows is not given back for now: %s", error)
            _roll_back(connection)
            return False

    def _commit(self, connection: sqlite3.Connection, group: list[_Write]) -> bool:
        """Commit the group and finish its futures; False if the commit failed and more than one was in it."""
        try:
            if connection.in_transaction:  # left by a rollback that failed, as on a broken disk
                connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            done = []
            for job in group:
                connection.execute("SAVEPOINT one")
                try:
                    job.result = job.run(connection)
                except (sqlite3.OperationalError, DataLoss):
                    raise
                except Exception as error:  # the caller's; the rest of the group goes on
                    connection.execute("ROLLBACK TO one")
                    connection.execute("RELEASE one")
                    job.future.set_exception(error)
                else:
                    connection.execute("RELEASE one")
                    done.append(job)
            connection.execute("COMMIT")
        except (sqlite3.Error, DataLoss) as error:
            _roll_back(connection)
            if len(group) > 1:
                return False
            if not group[0].future.done():
                group[0].future.set_exception(translate(error))
            return True
        for job in done:
            try:
                job.after(job.result)
            except Exception as error:  # what is on disk stays; the caller hears of the rest
                job.future.set_exception(error)
            else:
                job.future.set_result(job.result)
        return True


def _roll_back(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error, DataLoss):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def translate(error: Exception) -> Exception:
    """StorageFull where the disk or the limit is full, else the error itself."""
    text = str(error)
    if "full" in text or "disk I/O" in text:
        return StorageFull(
            f"the store cannot grow ({text}): free disk space or raise max_store_bytes; nothing was kept"
        )
    return error
