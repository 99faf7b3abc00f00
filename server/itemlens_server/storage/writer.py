"""One thread that writes to SQLite for everybody: operations that wait together share one transaction.

A commit waits for the disk (synchronous=FULL), so joining the operations of several callers into one is what makes
many small writes fast. Each operation runs in a savepoint of its own: one that fails takes nothing with it.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from itemlens_server.errors import FailedPrecondition, StorageFull

T = TypeVar("T")
GROUP = 64


@dataclass
class _Write:
    run: Callable[[sqlite3.Connection], Any]
    after: Callable[[Any], None]
    future: Future[Any] = field(default_factory=Future)
    result: Any = None


class Writer:
    """Runs writes one after the other on its own connection; `write` returns when they are on disk."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
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
        while (first := self._queue.get()) is not None:
            group, stop = [first], False
            while len(group) < GROUP and not self._queue.empty():
                job = self._queue.get()
                if job is None:
                    stop = True
                    break
                group.append(job)
            if not self._commit(connection, group) and len(group) > 1:
                # The group did not fit; each write alone may.
                for job in group:
                    if not job.future.done():
                        self._commit(connection, [job])
            if stop:
                break
        connection.close()

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
                except sqlite3.OperationalError:
                    raise
                except Exception as error:  # the caller's; the rest of the group goes on
                    connection.execute("ROLLBACK TO one")
                    connection.execute("RELEASE one")
                    job.future.set_exception(error)
                else:
                    connection.execute("RELEASE one")
                    done.append(job)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            if len(group) > 1:
                return False
            if not group[0].future.done():
                group[0].future.set_exception(_translate(error))
            return True
        for job in done:
            try:
                job.after(job.result)
            except Exception as error:  # what is on disk stays; the caller hears of the rest
                job.future.set_exception(error)
            else:
                job.future.set_result(job.result)
        return True


def _translate(error: sqlite3.Error) -> Exception:
    text = str(error)
    if "full" in text or "disk I/O" in text:
        return StorageFull(
            f"the store cannot grow ({text}): free disk space or raise max_store_bytes; nothing was kept"
        )
    return error
