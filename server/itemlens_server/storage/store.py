"""The durable store: collections, items, their pictures and raw vectors, and events, in one SQLite file.

Raw vectors and pictures are stored by the hash of their content, once for all items and collections with that content.
A content that was encoded before with the same encoder is not encoded again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from itemlens_server.errors import DataLoss, FailedPrecondition, StorageFull
from itemlens_server.stages import stage
from itemlens_server.storage import lock, schema, writes
from itemlens_server.storage.connection import connect, connect_read_only
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.reserve import Reserve
from itemlens_server.storage.tidying import tidy
from itemlens_server.storage.writer import Writer, translate

log = logging.getLogger(__name__)
T = TypeVar("T")


FILE = "itemlens.db"


class Store:
    """The store in `directory`, locked for this process."""

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = 0,
        cache_bytes: int = 2 << 20,
        writer_cache_bytes: int = 32 << 20,
    ) -> None:
        """max_bytes: size limit of its file, 0 for none. cache_bytes: page cache of each connection that reads; there
        is one for each thread that has read. writer_cache_bytes: that of the connection that writes; a transaction that
        changes more writes pages several times.

        Raises:
            FailedPrecondition: the folder or the file cannot be used, or has a format of another version.
            DataLoss: the file is damaged.
        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FailedPrecondition(f"the data folder {directory} cannot be created: {error}") from error
        self.directory = directory
        self._path = directory / FILE
        self._max_bytes, self._cache_bytes = max_bytes, cache_bytes
        self._writer_cache_bytes = writer_cache_bytes
        try:
            self._lock = lock.hold(directory)
            # A new file can be read by this user only.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise FailedPrecondition(f"the data folder {directory} cannot be written to: {error}") from error
        if directory.stat().st_mode & 0o007:
            log.warning(
                "all users of this machine can read the data folder %s, which holds what users did: chmod 700 %s",
                directory, directory,
            )  # fmt: skip
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._reserve = Reserve(directory / "reserve")
        try:
            try:
                self._set_up()
            except sqlite3.OperationalError:
                if not self._reserve.release():
                    raise
                self._set_up()
        except sqlite3.Error as error:
            self._lock.close()
            raise FailedPrecondition(
                f"{self._path} cannot be opened ({error}): free disk space, or restore a backup"
            ) from error
        except DataLoss as error:
            self._lock.close()
            raise DataLoss(f"{self._path}: {error.message}") from error
        except FailedPrecondition:
            self._lock.close()
            raise
        self._writer = Writer(self._connect_writer, self._tidy)

    @staticmethod
    def read_only(directory: Path) -> Reader:
        """Open a reader while a server may be running, as `itemlens fit` does.

        Raises:
            FailedPrecondition: there is no store, or it has another format.
        """
        path = directory / FILE
        if not path.is_file():
            raise FailedPrecondition(f"there is no store in {directory}; give its folder with --data")
        connection = connect_read_only(path)
        schema.check(connection)
        return Reader(connection)

    def write(
        self,
        run: Callable[[sqlite3.Connection], T],
        after: Callable[[T], None] = lambda _: None,
        undone: Callable[[], None] = lambda: None,
    ) -> T:
        """See Writer.write."""
        with stage("store"):
            return self._writer.write(run, after, undone)

    def submit(
        self,
        run: Callable[[sqlite3.Connection], T],
        after: Callable[[Sequence[T]], None],
        undone: Callable[[], None] = lambda: None,
    ) -> Future[T]:
        """See Writer.submit."""
        return self._writer.submit(run, after, undone)

    def delete(
        self, run: Callable[[sqlite3.Connection], T], after: Callable[[T], None] = lambda _: None
    ) -> T:
        """Run a write that frees space, as `write` does. It also works on a full disk."""
        try:
            return self.write(run, after)
        except StorageFull:
            if not self._reserve.release():
                raise
            return self.write(run, after)

    def release_reserve(self) -> bool:
        """Release the disk space that is reserved for deletions. Return whether there was any."""
        return self._reserve.release()

    def secret(self, name: str) -> bytes:
        """Return the store's own random key of this name, which the first call makes."""
        return self.reader().secret(name) or self.write(lambda c: writes.secret(c, name))

    def reader(self) -> Reader:
        """Return the reader on this thread's own connection. Reads never wait for writes."""
        if not hasattr(self._local, "reader"):
            connection = self._connect()
            self._readers.append(connection)
            self._local.reader = Reader(connection)
        reader: Reader = self._local.reader
        return reader

    def finish_writes(self) -> None:
        """Finish all queued writes and refuse later ones. Threads may still read."""
        self._writer.close()

    @property
    def connections(self) -> int:
        """Number of connections."""
        return len(self._readers) + 1

    def compact(self) -> None:
        """Empty deleted collections and rewrite the file without free space. It may take long during other work.

        Afterwards a file of format 2 releases space by itself. The disk must have room for the new file.

        Raises:
            StorageFull: the disk lacks that room. Nothing was changed.
        """
        while self.write(tidy):
            pass
        with contextlib.closing(self._connect()) as connection:
            try:
                connection.execute("VACUUM")
            except sqlite3.Error as error:
                raise translate(error) from error
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Finish all queued writes, close all connections and unlock the folder."""
        self.finish_writes()
        for connection in self._readers:
            connection.close()
        self._lock.close()

    def _set_up(self) -> None:
        with contextlib.closing(self._connect()) as connection:
            schema.set_up(connection)

    def _tidy(self, connection: sqlite3.Connection, waiting: Callable[[], bool]) -> bool:
        worked = tidy(connection, waiting)
        if not worked:
            self._reserve.keep()
        return worked

    def _connect_writer(self) -> sqlite3.Connection:
        connection = connect(self._path, cache_bytes=self._writer_cache_bytes, max_bytes=self._max_bytes)
        # For the pages that a savepoint would restore: in a file, they are a third of what a large write writes.
        connection.execute("PRAGMA temp_store=MEMORY")
        return connection

    def _connect(self) -> sqlite3.Connection:
        return connect(self._path, cache_bytes=self._cache_bytes, max_bytes=self._max_bytes)
