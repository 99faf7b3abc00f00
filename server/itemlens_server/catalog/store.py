"""The durable truth: collections, items, their pictures and raw vectors, and events, in one SQLite file.

Raw vectors and pictures are kept by the hash of their content, once for all items and collections that hold it:
what was encoded before, with the same encoder, is not encoded again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from itemlens_server.catalog.writer import Writer
from itemlens_server.errors import AlreadyExists, NotFound, WrongState

Array = np.ndarray[Any, np.dtype[np.float32]]
T = TypeVar("T")

FORMAT = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, space_id TEXT NOT NULL,
    created REAL NOT NULL, sequence INTEGER NOT NULL DEFAULT 0);
-- A replaced item gets a new row: rows only grow, and a row's content never changes.
CREATE TABLE IF NOT EXISTS items (
    row INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, item_id TEXT NOT NULL,
    sequence INTEGER NOT NULL, document TEXT NOT NULL, UNIQUE (collection, item_id));
CREATE TABLE IF NOT EXISTS inputs (
    row INTEGER NOT NULL, channel TEXT NOT NULL, position INTEGER NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (row, channel, position)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS inputs_content ON inputs (content);
CREATE TABLE IF NOT EXISTS pictures (content BLOB NOT NULL UNIQUE, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS vectors (
    content BLOB NOT NULL, encoder TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (content, encoder));
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, event_id TEXT NOT NULL, user_id TEXT NOT NULL,
    item_id TEXT NOT NULL, type INTEGER NOT NULL, time REAL NOT NULL, quantity REAL NOT NULL, value REAL,
    recommendation_id TEXT NOT NULL, sequence INTEGER NOT NULL, UNIQUE (collection, event_id));
CREATE INDEX IF NOT EXISTS events_user ON events (collection, user_id, time);
"""


def content_hash(data: bytes) -> bytes:
    """Identity of a text's or picture's bytes: 16 bytes."""
    return hashlib.blake2b(data, digest_size=16).digest()


@dataclass(frozen=True)
class CollectionRow:
    """A collection as it is stored."""

    id: int
    name: str
    space_id: str
    created: float
    sequence: int


@dataclass(frozen=True)
class Document:
    """What an item says: texts by channel, facts, and (type, item id) of its relations."""

    texts: Mapping[str, str]
    attributes: Mapping[str, Any]
    relations: tuple[tuple[str, str], ...]

    def dump(self) -> str:
        """As JSON."""
        value = {"texts": self.texts, "attributes": self.attributes, "relations": self.relations}
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    @staticmethod
    def parse(text: str) -> Document:
        """From what `dump` made."""
        value = json.loads(text)
        return Document(value["texts"], value["attributes"], tuple((t, i) for t, i in value["relations"]))


@dataclass(frozen=True)
class StoredInput:
    """One text or picture of an item. `picture` is empty for texts and where pictures were not asked for."""

    channel: str
    content: bytes
    picture: bytes = b""
    vector: Array | None = None


@dataclass(frozen=True)
class StoredItem:
    """An item as it is stored; `row` is its label in the indexes."""

    row: int
    item_id: str
    sequence: int
    document: Document
    inputs: tuple[StoredInput, ...] = ()


@dataclass(frozen=True)
class NewItem:
    """An item to store. `replaces`: the row that must be there now (0: none), or None to replace whatever is."""

    item_id: str
    document: Document
    inputs: tuple[StoredInput, ...]
    replaces: int | None = None


@dataclass(frozen=True)
class EventRow:
    """Something that a user did; `type` is the number of the contract's EventType."""

    event_id: str
    user_id: str
    item_id: str
    type: int
    time: float
    quantity: float = 1.0
    value: float | None = None
    recommendation_id: str = ""


@dataclass(frozen=True)
class Replaced:
    """Outcome of one upsert: the new row, and the one it replaced (0: none). row 0: `replaces` did not hold."""

    row: int
    old_row: int
    sequence: int


class Store:
    """The store in `directory`, locked for this process."""

    def __init__(self, directory: Path, max_bytes: int = 0) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WrongState(f"the data folder {directory} cannot be made: {error}") from error
        self.directory = directory
        self._path = directory / "itemlens.db"
        self._max_bytes = max_bytes
        try:
            self._lock = (directory / "lock").open("w")
        except OSError as error:
            raise WrongState(f"the data folder {directory} cannot be written to: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise WrongState(
                f"another server uses {directory}; stop it or give --data another folder"
            ) from error
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        try:
            self._set_up()
        except sqlite3.Error as error:
            self._lock.close()
            raise WrongState(
                f"{self._path} cannot be opened ({error}): free disk space, or put a backup in its place"
            ) from error
        except WrongState:
            self._lock.close()
            raise
        self._writer = Writer(self._connect)

    def _set_up(self) -> None:
        with contextlib.closing(self._connect()) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, FORMAT):
                raise WrongState(f"{self._path} has format {version}; this server reads {FORMAT}")
            connection.executescript(SCHEMA)
            if version != FORMAT:
                connection.execute(f"PRAGMA user_version={FORMAT}")

    @staticmethod
    def read_only(directory: Path) -> Reader:
        """Reads beside a running server, as `itemlens fit` does."""
        path = directory / "itemlens.db"
        if not path.is_file():
            raise WrongState(f"there is no store in {directory}")
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
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

    def close(self) -> None:
        """Finish what is queued, close all connections and unlock."""
        self._writer.close()
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


def next_sequence(connection: sqlite3.Connection, collection: int) -> int:
    """Number of the write that is being made in `collection`."""
    row = connection.execute(
        "UPDATE collections SET sequence = sequence + 1 WHERE id = ? RETURNING sequence", (collection,)
    ).fetchone()
    if row is None:
        raise NotFound("the collection was deleted meanwhile", "collection", str(collection), "collection")
    return int(row[0])


def create_collection(connection: sqlite3.Connection, name: str, space_id: str) -> CollectionRow:
    """Add a collection."""
    created = time.time()
    try:
        cursor = connection.execute(
            "INSERT INTO collections (name, space_id, created) VALUES (?, ?, ?)", (name, space_id, created)
        )
    except sqlite3.IntegrityError as error:
        raise AlreadyExists(f"there is a collection {name!r} already", "name") from error
    assert cursor.lastrowid is not None
    return CollectionRow(cursor.lastrowid, name, space_id, created, 0)


def delete_collection(connection: sqlite3.Connection, collection: int) -> None:
    """Delete a collection and all that is in it."""
    for (row,) in connection.execute("SELECT row FROM items WHERE collection = ?", (collection,)).fetchall():
        _delete_row(connection, row)
    connection.execute("DELETE FROM events WHERE collection = ?", (collection,))
    connection.execute("DELETE FROM collections WHERE id = ?", (collection,))


def upsert_items(
    connection: sqlite3.Connection, collection: int, items: Sequence[NewItem], encoders: Mapping[str, str]
) -> list[Replaced]:
    """Store `items`; `encoders` gives the digest of each channel's encoder."""
    sequence = next_sequence(connection, collection)
    outcomes = []
    for item in items:
        found = connection.execute(
            "SELECT row FROM items WHERE collection = ? AND item_id = ?", (collection, item.item_id)
        ).fetchone()
        old_row = int(found[0]) if found else 0
        if item.replaces is not None and item.replaces != old_row:
            outcomes.append(Replaced(0, old_row, sequence))
            continue
        if old_row:
            # Contents that stay keep their vectors: they are released only after the new row holds them.
            connection.execute("DELETE FROM items WHERE row = ?", (old_row,))
        cursor = connection.execute(
            "INSERT INTO items (collection, item_id, sequence, document) VALUES (?, ?, ?, ?)",
            (collection, item.item_id, sequence, item.document.dump()),
        )
        assert cursor.lastrowid is not None
        row = cursor.lastrowid
        positions: dict[str, int] = {}
        for one in item.inputs:
            position = positions[one.channel] = positions.get(one.channel, -1) + 1
            connection.execute(
                "INSERT INTO inputs VALUES (?, ?, ?, ?)", (row, one.channel, position, one.content)
            )
            if one.picture:
                connection.execute("INSERT OR IGNORE INTO pictures VALUES (?, ?)", (one.content, one.picture))
            if one.vector is not None:
                connection.execute(
                    "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)",
                    (one.content, encoders[one.channel], one.vector.astype("<f4").tobytes()),
                )
        if old_row:
            _delete_row(connection, old_row)
        outcomes.append(Replaced(row, old_row, sequence))
    return outcomes


def delete_items(
    connection: sqlite3.Connection, collection: int, item_ids: Iterable[str]
) -> tuple[dict[str, int], int]:
    """Delete items; the row of each that was there, and the sequence number."""
    sequence = next_sequence(connection, collection)
    deleted = {}
    for item_id in item_ids:
        found = connection.execute(
            "SELECT row FROM items WHERE collection = ? AND item_id = ?", (collection, item_id)
        ).fetchone()
        if found:
            _delete_row(connection, found[0])
            deleted[item_id] = int(found[0])
    return deleted, sequence


def _delete_row(connection: sqlite3.Connection, row: int) -> None:
    contents = connection.execute("SELECT DISTINCT content FROM inputs WHERE row = ?", (row,)).fetchall()
    connection.execute("DELETE FROM inputs WHERE row = ?", (row,))
    connection.execute("DELETE FROM items WHERE row = ?", (row,))
    for (content,) in contents:
        for table in ("pictures", "vectors"):
            connection.execute(
                f"DELETE FROM {table} WHERE content = ? AND NOT EXISTS (SELECT 1 FROM inputs WHERE content = ?)",
                (content, content),
            )


def record_events(
    connection: sqlite3.Connection, collection: int, events: Sequence[EventRow]
) -> tuple[list[EventRow | None], int]:
    """Store events; for each None if it is new, else what was stored under its id before; and the sequence number."""
    sequence = next_sequence(connection, collection)
    before: list[EventRow | None] = []
    for e in events:
        values = (e.event_id, e.user_id, e.item_id, e.type, e.time, e.quantity, e.value, e.recommendation_id)
        cursor = connection.execute(
            "INSERT OR IGNORE INTO events (collection, event_id, user_id, item_id, type, time, quantity, value,"
            " recommendation_id, sequence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (collection, *values, sequence),
        )
        if cursor.rowcount:
            before.append(None)
        else:
            row = connection.execute(
                "SELECT event_id, user_id, item_id, type, time, quantity, value, recommendation_id FROM events"
                " WHERE collection = ? AND event_id = ?",
                (collection, e.event_id),
            ).fetchone()
            before.append(EventRow(*row))
    return before, sequence


def delete_user(connection: sqlite3.Connection, collection: int, user_id: str) -> int:
    """Delete a user's events; how many there were."""
    cursor = connection.execute(
        "DELETE FROM events WHERE collection = ? AND user_id = ?", (collection, user_id)
    )
    if cursor.rowcount:
        next_sequence(connection, collection)
    return cursor.rowcount


class Reader:
    """Reads on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def integrity(self) -> str:
        """What is broken in the file; empty if nothing is."""
        found = self._connection.execute("PRAGMA quick_check").fetchone()[0]
        return "" if found == "ok" else str(found)

    def collections(self) -> list[CollectionRow]:
        """All collections, by name."""
        rows = self._connection.execute(
            "SELECT id, name, space_id, created, sequence FROM collections ORDER BY name"
        )
        return [CollectionRow(*row) for row in rows]

    def sequence(self, collection: int) -> int:
        """Number of the last write to a collection."""
        row = self._connection.execute(
            "SELECT sequence FROM collections WHERE id = ?", (collection,)
        ).fetchone()
        return int(row[0]) if row else 0

    def counts(self, collection: int) -> tuple[int, int, int]:
        """Items, events and sequence number of a collection."""
        row = self._connection.execute(
            "SELECT (SELECT count(*) FROM items WHERE collection = c.id),"
            " (SELECT count(*) FROM events WHERE collection = c.id), sequence FROM collections c WHERE id = ?",
            (collection,),
        ).fetchone()
        return (row[0], row[1], row[2]) if row else (0, 0, 0)

    def items(
        self,
        collection: int,
        item_ids: Sequence[str],
        pictures: bool = False,
        encoders: Mapping[str, str] | None = None,
    ) -> dict[str, StoredItem]:
        """Items by id, with pictures and (given each channel's encoder digest) vectors where asked for."""
        found = {}
        # In one transaction: an item and its inputs are of the same moment.
        self._connection.execute("BEGIN")
        try:
            for item_id in item_ids:
                row = self._connection.execute(
                    "SELECT row, item_id, sequence, document FROM items WHERE collection = ? AND item_id = ?",
                    (collection, item_id),
                ).fetchone()
                if row:
                    inputs = tuple(self._inputs(row[0], pictures, encoders))
                    found[item_id] = StoredItem(row[0], row[1], row[2], Document.parse(row[3]), inputs)
        finally:
            self._connection.execute("COMMIT")
        return found

    def page(self, collection: int, after_row: int, size: int) -> list[StoredItem]:
        """The next `size` items after `after_row`, by row, without inputs."""
        rows = self._connection.execute(
            "SELECT row, item_id, sequence, document FROM items WHERE collection = ? AND row > ? ORDER BY row LIMIT ?",
            (collection, after_row, size),
        )
        return [StoredItem(r[0], r[1], r[2], Document.parse(r[3])) for r in rows]

    def raw_vectors(
        self, collection: int, encoders: Mapping[str, str], after_row: int = 0
    ) -> Iterator[tuple[int, str, dict[str, list[Array]]]]:
        """(row, item id, raw vectors by channel) of all items after `after_row`, by row.

        Raises:
            WrongState: a vector is missing, since it was made by another encoder.
        """
        encoder_of = "CASE n.channel " + "WHEN ? THEN ? " * len(encoders) + "END"
        rows = self._connection.execute(
            "SELECT i.row, i.item_id, n.channel, v.data FROM items i LEFT JOIN inputs n ON n.row = i.row"
            f" LEFT JOIN vectors v ON v.content = n.content AND v.encoder = {encoder_of}"
            " WHERE i.collection = ? AND i.row > ? ORDER BY i.row, n.channel, n.position",
            (*(value for pair in encoders.items() for value in pair), collection, after_row),
        )
        current: tuple[int, str, dict[str, list[Array]]] | None = None
        for row, item_id, channel, data in rows:
            if current is None or current[0] != row:
                if current is not None:
                    yield current
                current = (row, item_id, {})
            if channel in encoders:
                if data is None:
                    raise WrongState(
                        f"item {item_id!r} has no vector of this space's encoder in channel {channel!r}: it was stored "
                        "with another encoder; index it again into a new collection of this space"
                    )
                current[2].setdefault(channel, []).append(np.frombuffer(data, "<f4"))
        if current is not None:
            yield current

    def vector(self, content: bytes, encoder: str) -> Array | None:
        """The raw vector of a content, if that encoder made it before."""
        row = self._connection.execute(
            "SELECT data FROM vectors WHERE content = ? AND encoder = ?", (content, encoder)
        ).fetchone()
        return np.frombuffer(row[0], "<f4") if row else None

    def history(self, collection: int, user_id: str, limit: int) -> list[EventRow]:
        """The latest `limit` events of a user, oldest first."""
        rows = self._connection.execute(
            "SELECT event_id, user_id, item_id, type, time, quantity, value, recommendation_id FROM events"
            " WHERE collection = ? AND user_id = ? ORDER BY time DESC, id DESC LIMIT ?",
            (collection, user_id, limit),
        ).fetchall()
        return [EventRow(*row) for row in reversed(rows)]

    def events(self, collection: int) -> Iterator[tuple[str, str, int, float, int]]:
        """(user, item, type, time, sequence) of all events, by user and time."""
        rows = self._connection.execute(
            "SELECT user_id, item_id, type, time, sequence FROM events WHERE collection = ? ORDER BY user_id, time, id",
            (collection,),
        )
        yield from rows

    def picture(self, content: bytes) -> bytes:
        """The stored form of a picture; empty if it is not there."""
        row = self._connection.execute("SELECT data FROM pictures WHERE content = ?", (content,)).fetchone()
        return bytes(row[0]) if row else b""

    def _inputs(self, row: int, pictures: bool, encoders: Mapping[str, str] | None) -> Iterator[StoredInput]:
        found = self._connection.execute(
            "SELECT channel, content FROM inputs WHERE row = ? ORDER BY channel, position", (row,)
        ).fetchall()
        for channel, content in found:
            data = self.picture(content) if pictures else b""
            vector = self.vector(content, encoders[channel]) if encoders and channel in encoders else None
            yield StoredInput(channel, content, data, vector)
