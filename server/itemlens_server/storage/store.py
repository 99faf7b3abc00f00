"""The durable truth: collections, items, their pictures and raw vectors, and events, in one SQLite file.

Raw vectors and pictures are kept by the hash of their content, once for all items and collections that hold it:
what was encoded before, with the same encoder, is not encoded again.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from itemlens_server.errors import FailedPrecondition
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.writer import Writer

T = TypeVar("T")

FORMAT = 2
SCHEMA = """
CREATE TABLE IF NOT EXISTS collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, space_id TEXT NOT NULL,
    created REAL NOT NULL, sequence INTEGER NOT NULL DEFAULT 0,
    -- Number of the last write that deleted events: what was learnt before it must be learnt again.
    events_deleted INTEGER NOT NULL DEFAULT 0);
-- A replaced item gets a new row: rows only grow, and a row's content never changes. A row's number is its `label`
-- in the code.
CREATE TABLE IF NOT EXISTS items (
    row INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, item_id TEXT NOT NULL,
    sequence INTEGER NOT NULL, document TEXT NOT NULL, UNIQUE (collection, item_id));
-- An item's contents: their order in the channel, and their hash.
CREATE TABLE IF NOT EXISTS inputs (
    row INTEGER NOT NULL, channel TEXT NOT NULL, position INTEGER NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (row, channel, position)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS inputs_content ON inputs (content);
-- What is kept of contents that are no texts: of a picture, made for one encoder's input size.
CREATE TABLE IF NOT EXISTS pictures (
    content BLOB NOT NULL, encoder TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (content, encoder));
CREATE TABLE IF NOT EXISTS vectors (
    content BLOB NOT NULL, encoder TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (content, encoder));
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, event_id TEXT NOT NULL, user_id TEXT NOT NULL,
    item_id TEXT NOT NULL, type INTEGER NOT NULL, time REAL NOT NULL, quantity REAL NOT NULL, value REAL,
    recommendation_id TEXT NOT NULL, sequence INTEGER NOT NULL, UNIQUE (collection, event_id));
CREATE INDEX IF NOT EXISTS events_user ON events (collection, user_id, time);
"""


class Store:
    """The store in `directory`, locked for this process."""

    def __init__(self, directory: Path, max_bytes: int = 0) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FailedPrecondition(f"the data folder {directory} cannot be made: {error}") from error
        self.directory = directory
        self._path = directory / "itemlens.db"
        self._max_bytes = max_bytes
        try:
            self._lock = (directory / "lock").open("w")
        except OSError as error:
            raise FailedPrecondition(f"the data folder {directory} cannot be written to: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise FailedPrecondition(
                f"another server uses {directory}; stop it or give --data another folder"
            ) from error
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        try:
            self._set_up()
        except sqlite3.Error as error:
            self._lock.close()
            raise FailedPrecondition(
                f"{self._path} cannot be opened ({error}): free disk space, or put a backup in its place"
            ) from error
        except FailedPrecondition:
            self._lock.close()
            raise
        self._writer = Writer(self._connect)

    def _set_up(self) -> None:
        with contextlib.closing(self._connect()) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, FORMAT):
                raise FailedPrecondition(f"{self._path} has format {version}; this server reads {FORMAT}")
            connection.executescript(SCHEMA)
            if version != FORMAT:
                connection.execute(f"PRAGMA user_version={FORMAT}")

    @staticmethod
    def read_only(directory: Path) -> Reader:
        """Reads beside a running server, as `itemlens fit` does."""
        path = directory / "itemlens.db"
        if not path.is_file():
            raise FailedPrecondition(f"there is no store in {directory}")
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        return Reader(connection)

    def write(self, run: Callable[[sqlite3.Connection], T], after: Callable[[T], None] = lambda _: None) -> T:
        """See Writer.write."""
        return self._writer.write(run, after)

    def reader(self) -> Reader:
        """Reads on this thread's own connection; they never wait for writes."""
        if not hasattr(self._local, "reader"):
            connection = self._connect()
            self._readers.append(connection)
            self._local.reader = Reader(connection)
        reader: Reader = self._local.reader
        return reader

    def finish_writes(self) -> None:
        """Finish what is queued; there are no writes afterwards. Threads may still read."""
        self._writer.close()

    def close(self) -> None:
        """Finish what is queued, close all connections and unlock."""
        self.finish_writes()
        for connection in self._readers:
            connection.close()
        self._lock.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-65536")
        if self._max_bytes:
            page = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={max(1, self._max_bytes // page)}")
        return connection
