"""The file of answers: which items were recommended to whom, where and when. `itemlens report` reads it.

It is beside the store's file, because losing its last moments is no harm: nothing here waits for the disk. A file that
cannot be used is replaced by an empty one, so that nothing stays in it that a deletion should have reached.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from itemlens_server.errors import DataLoss, FailedPrecondition
from itemlens_server.storage.connection import DAMAGE, JOURNAL_BYTES, READ_ERRORS
from itemlens_server.storage.writer import translate

log = logging.getLogger(__name__)
T = TypeVar("T")

FILE = "answers.db"
FORMAT = 1
# What SQLite keeps beside a file.
SUFFIXES = ("", "-wal", "-shm")
ROWS_AT_A_TIME = 200
PAGES_AT_A_TIME = 64
# Share of free pages that may stay for the next answers.
MOST_FREE = 0.25
COLUMNS = "id, collection, user_id, surface, time, space_id, item_ids, scores, explored"
EXPLORES = "explored != '[]'"
TABLES = (
    # The store that the file belongs to.
    "CREATE TABLE about (store TEXT NOT NULL)",
    # item_ids: JSON list of texts. scores: float32, little-endian. explored: JSON list of indices into item_ids.
    """CREATE TABLE answers (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, collection INTEGER NOT NULL, user_id TEXT NOT NULL,
        surface TEXT NOT NULL, time REAL NOT NULL, space_id TEXT NOT NULL, item_ids TEXT NOT NULL,
        scores BLOB NOT NULL, explored TEXT NOT NULL)""",
    "CREATE INDEX answers_user ON answers (user_id, collection)",
)


@dataclass(frozen=True)
class AnswerRecord:
    """A list as it was recommended.

    collection: its number. user_id: empty if the question named none. time: seconds since the epoch. explored: indices
    of the items that are in the list to learn about them.
    """

    recommendation_id: str
    collection: int
    user_id: str
    surface: str
    time: float
    space_id: str
    item_ids: tuple[str, ...]
    scores: tuple[float, ...]
    explored: tuple[int, ...] = ()


class AnswerFile:
    """The file in a data folder, for one thread at a time."""

    def __init__(self, directory: Path, store: str) -> None:
        """`store`: what names the store of the folder; the answers of another store are dropped.

        Raises:
            sqlite3.Error: there is no usable file, and none can be made.
        """
        self._path, self._store = directory / FILE, store
        try:
            self._connection = self._open()
        except (sqlite3.DatabaseError, FailedPrecondition) as error:
            if isinstance(error, sqlite3.DatabaseError) and not _is_damage(error):
                raise
            self._connection = self._replace(error)

    def write(self, records: Sequence[AnswerRecord]) -> None:
        """Add answers, all or none.

        Raises:
            StorageFull: the disk is full.
        """
        rows = [_row(record) for record in records]
        marks = ", ".join("?" * len(COLUMNS.split(", ")))
        self._run(
            lambda c: c.executemany(f"INSERT OR IGNORE INTO answers ({COLUMNS}) VALUES ({marks})", rows)
        )

    def forget(self, collections: Sequence[int], user_id: str = "") -> None:
        """Delete the answers of these collections; with `user_id`, those to this user only.

        Raises:
            StorageFull: the disk is full.
        """

        def delete(connection: sqlite3.Connection) -> None:
            where, values = ("user_id = ? AND ", [user_id]) if user_id else ("", [])
            connection.executemany(
                f"DELETE FROM answers WHERE {where}collection = ?", [(*values, c) for c in collections]
            )

        self._run_durably(delete)

    def give(self, collections: Sequence[int], source: str, target: str) -> None:
        """Give the answers to one user to another.

        Raises:
            StorageFull: the disk is full.
        """
        self._run_durably(
            lambda c: c.executemany(
                "UPDATE answers SET user_id = ? WHERE user_id = ? AND collection = ?",
                [(target, source, collection) for collection in collections],
            )
        )

    def keep_only(self, collections: Sequence[int]) -> None:
        """Delete the answers of all other collections."""
        known = json.dumps(list(collections))
        self._run_durably(
            lambda c: c.execute(
                "DELETE FROM answers WHERE collection NOT IN (SELECT value FROM json_each(?))", (known,)
            )
        )

    def explored(self) -> dict[int, dict[str, int]]:
        """Return, by collection and item, the number of kept answers that the item was in to learn about it."""
        rows = self._run(
            lambda c: c.execute(
                "SELECT collection, json_extract(item_ids, '$[' || place.value || ']'), count(*) "
                f"FROM answers, json_each(explored) AS place WHERE {EXPLORES} GROUP BY 1, 2"
            ).fetchall()
        )
        found: dict[int, dict[str, int]] = {}
        for collection, item_id, count in rows:
            found.setdefault(collection, {})[item_id] = count
        return found

    def shrink(self, max_bytes: int, before: float) -> bool:
        """Delete a slice of the oldest answers if the file has more than `max_bytes`, or if they were given before this
        time. Return whether there was anything to do."""
        return self._run(lambda c: _delete_oldest(c, max_bytes, before) or _give_back(c))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _run_durably(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run a write that must not come undone when power is lost: what was deleted stays deleted."""
        self._connection.execute("PRAGMA synchronous=FULL")
        try:
            return self._run(run)
        finally:
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA synchronous=NORMAL")

    def _run(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run a write in a transaction. In a file that is found to be damaged, it is run again after the file was
        replaced."""
        try:
            return self._transaction(run)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise translate(error) from error
            self._connection.close()
            self._connection = self._replace(error)
            try:
                return self._transaction(run)
            except sqlite3.DatabaseError as again:
                raise translate(again) from again

    def _transaction(self, run: Callable[[sqlite3.Connection], T]) -> T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = run(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            raise
        return result

    def _open(self) -> sqlite3.Connection:
        # A new file can be read by this user only.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        try:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(f"PRAGMA journal_size_limit={JOURNAL_BYTES}")
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        self._check(connection)
        # Files of earlier versions have none.
        connection.execute(
            f"CREATE INDEX IF NOT EXISTS answers_explored ON answers (collection) WHERE {EXPLORES}"
        )

    def _check(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if not version:
            connection.execute("BEGIN IMMEDIATE")
            for statement in TABLES:
                connection.execute(statement)
            connection.execute("INSERT INTO about VALUES (?)", (self._store,))
            connection.execute(f"PRAGMA user_version={FORMAT}")
            connection.execute("COMMIT")
            return
        if version != FORMAT:
            raise FailedPrecondition(f"its format is {version}, not {FORMAT}")
        if connection.execute("SELECT store FROM about").fetchone() != (self._store,):
            raise FailedPrecondition("it belongs to another store")

    def _replace(self, why: Exception) -> sqlite3.Connection:
        log.warning("%s is dropped, with all answers in it: %s", self._path, why)
        remove(self._path.parent)
        return self._open()


def remove(directory: Path) -> bool:
    """Remove the file of a folder. Return whether there was one."""
    there = (directory / FILE).exists()
    for suffix in SUFFIXES:
        (directory / f"{FILE}{suffix}").unlink(missing_ok=True)
    return there


def problem(directory: Path) -> str:
    """Check the whole file of a folder. Return the first damage; empty if there is none, or no file."""
    path = directory / FILE
    if not path.is_file():
        return ""
    try:
        with closing(_read_only(path)) as connection:
            verdict = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)
    return "" if verdict == "ok" else verdict


def read(
    directory: Path, collection: int, first: float = 0.0, end: float = float("inf")
) -> Iterator[AnswerRecord]:
    """Yield the answers of a collection from `first` until before `end`, by id; none if there is no file. A server may
    be running.

    Raises:
        FailedPrecondition: the file has another format, or cannot be read.
        DataLoss: the file is damaged.
    """
    path = directory / FILE
    if not path.is_file():
        return
    try:
        with closing(_read_only(path)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, FORMAT):
                raise FailedPrecondition(
                    f"{path} has format {version}, not {FORMAT}: use the version that wrote it"
                )
            if not version:
                return
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM answers WHERE collection = ? AND time >= ? AND time < ? ORDER BY id",
                (collection, first, end),
            )
            for row in rows:
                yield _record(*row)
    except (sqlite3.Error, ValueError, TypeError) as error:
        if isinstance(error, sqlite3.Error) and not _is_damage(error):
            raise FailedPrecondition(f"{path} cannot be read: {error}") from error
        raise DataLoss(
            f"{path} is damaged ({error}): delete it while no server runs, and its answers are lost"
        ) from error


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=30)


def _row(record: AnswerRecord) -> tuple[Any, ...]:
    return (
        record.recommendation_id, record.collection, record.user_id, record.surface, record.time, record.space_id,
        json.dumps(record.item_ids, ensure_ascii=False, separators=(",", ":")),
        np.asarray(record.scores, "<f4").tobytes(), json.dumps(record.explored),
    )  # fmt: skip


def _record(*row: Any) -> AnswerRecord:
    recommendation_id, number, user_id, surface, seconds, space_id, item_ids, scores, explored = row
    return AnswerRecord(
        recommendation_id, number, user_id, surface, seconds, space_id, tuple(json.loads(item_ids)),
        tuple(np.frombuffer(scores, "<f4").tolist()), tuple(json.loads(explored)),
    )  # fmt: skip


def _delete_oldest(connection: sqlite3.Connection, max_bytes: int, before: float) -> bool:
    oldest = f"SELECT number, time FROM answers ORDER BY number LIMIT {ROWS_AT_A_TIME}"
    if _pages(connection, "page_count") - _pages(connection, "freelist_count") > max_bytes // _pages(
        connection, "page_size"
    ):
        before = float("inf")
    return (
        connection.execute(
            f"DELETE FROM answers WHERE number IN (SELECT number FROM ({oldest}) WHERE time < ?)", (before,)
        ).rowcount
        > 0
    )


def _give_back(connection: sqlite3.Connection) -> bool:
    """Cut some free pages from the file if it has many. Return whether it had."""
    if _pages(connection, "freelist_count") <= max(
        PAGES_AT_A_TIME, MOST_FREE * _pages(connection, "page_count")
    ):
        return False
    connection.execute(f"PRAGMA incremental_vacuum({PAGES_AT_A_TIME})").fetchall()
    return True


def _pages(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in DAMAGE or code in READ_ERRORS or str(error).startswith("no such ")
