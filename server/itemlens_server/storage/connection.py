"""Connections to the store's file: their settings, and clear errors if the file is damaged."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from itemlens_server.errors import DataLoss

log = logging.getLogger(__name__)
T = TypeVar("T")

# The low byte of an extended code is its primary code.
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
READ_ERRORS = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ)
# The write-ahead log is truncated to this size after a checkpoint.
JOURNAL_BYTES = 4 << 20


def connect(path: Path, *, cache_bytes: int, max_bytes: int = 0) -> sqlite3.Connection:
    """Open a connection that reads and writes. Threads must take turns on it.

    cache_bytes: size of the page cache. max_bytes: size limit of the file, 0 for none.
    A new file can release space after deletions.

    Raises:
        DataLoss: the file is damaged.
    """
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=30, factory=_Connection
    )
    connection.text_factory = _text
    # This works only before the first table is created and before the switch to WAL.
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA journal_size_limit={JOURNAL_BYTES}")
    connection.execute(f"PRAGMA cache_size=-{max(1, cache_bytes // 1024)}")
    if max_bytes:
        page = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={max(1, max_bytes // page)}")
    return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a connection that only reads, while a server may be running."""
    uri = f"{path.resolve().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30, factory=_Connection)
    connection.text_factory = _text
    return connection


def _text(data: bytes) -> str:
    """Decode a text of the store. Damaged bytes are replaced, so that the read goes on; checksums detect them."""
    return data.decode("utf-8", "replace")


class _Connection(sqlite3.Connection):
    """A connection that raises DataLoss if SQLite finds damage, including while rows are fetched."""

    def execute(self, *args: Any) -> sqlite3.Cursor:
        return self.cursor(_Cursor).execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        return self.cursor(_Cursor).executemany(*args)


class _Cursor(sqlite3.Cursor):
    def execute(self, *args: Any) -> Self:
        return _clearly(super().execute, *args)

    def executemany(self, *args: Any) -> Self:
        return _clearly(super().executemany, *args)

    def __next__(self) -> Any:
        return _clearly(super().__next__)

    def fetchone(self) -> Any:
        return _clearly(super().fetchone)

    def fetchall(self) -> list[Any]:
        return _clearly(super().fetchall)


def _clearly(run: Callable[..., T], *args: Any) -> T:
    try:
        return run(*args)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if not _is_damage(error):
            raise
        log.error("the store is damaged: %s", error)
        raise DataLoss(
            f"the store's file itemlens.db is damaged ({error}): stop the server and restore a backup; "
            "`itemlens doctor` lists the damage"
        ) from error


def _is_damage(error: sqlite3.DatabaseError | UnicodeDecodeError) -> bool:
    # The schema is damaged if Python cannot decode SQLite's message, or a table or column is missing.
    if isinstance(error, UnicodeDecodeError) or str(error).startswith("no such "):
        return True
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in DAMAGE or code in READ_ERRORS
