"""The store's writes, each on the connection and in the transaction of the writer's thread."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence

from itemlens_server.errors import AlreadyExists, NotFound
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import (
    CollectionRecord,
    EventRecord,
    NewItem,
    Upserted,
)


def next_sequence(connection: sqlite3.Connection, collection: int) -> int:
    """Number of the write that is being made in `collection`."""
    row = connection.execute(
        "UPDATE collections SET sequence = sequence + 1 WHERE id = ? RETURNING sequence", (collection,)
    ).fetchone()
    if row is None:
        raise NotFound("the collection was deleted meanwhile", "collection", str(collection), "collection")
    return int(row[0])


def create_collection(connection: sqlite3.Connection, name: str, space_id: str) -> CollectionRecord:
    """Add a collection."""
    created = time.time()
    try:
        cursor = connection.execute(
            "INSERT INTO collections (name, space_id, created) VALUES (?, ?, ?)", (name, space_id, created)
        )
    except sqlite3.IntegrityError as error:
        raise AlreadyExists(f"there is a collection {name!r} already", "name") from error
    assert cursor.lastrowid is not None
    return CollectionRecord(cursor.lastrowid, name, space_id, created, 0)


def move_collection(connection: sqlite3.Connection, collection: int, space_id: str) -> None:
    """Say that a collection is of another space from now on."""
    connection.execute("UPDATE collections SET space_id = ? WHERE id = ?", (space_id, collection))


def delete_collection(connection: sqlite3.Connection, collection: int) -> None:
    """Delete a collection and all that is in it."""
    for (row,) in connection.execute("SELECT row FROM items WHERE collection = ?", (collection,)).fetchall():
        _delete_row(connection, row)
    connection.execute("DELETE FROM events WHERE collection = ?", (collection,))
    connection.execute("DELETE FROM collections WHERE id = ?", (collection,))


def upsert_items(
    connection: sqlite3.Connection, collection: int, items: Sequence[NewItem], encoders: Mapping[str, str]
) -> list[Upserted]:
    """Store `items`; `encoders` gives the digest of each channel's encoder."""
    sequence = next_sequence(connection, collection)
    outcomes = []
    for item in items:
        existing = connection.execute(
            "SELECT row FROM items WHERE collection = ? AND item_id = ?", (collection, item.item_id)
        ).fetchone()
        old_label = int(existing[0]) if existing else 0
        changed = item.replaces is not None and item.replaces != old_label
        if changed or not _has_data(connection, item, encoders):
            outcomes.append(Upserted(0, old_label, sequence))
            continue
        if old_label:
            # Contents that stay keep their vectors: they are released only after the new row holds them.
            connection.execute("DELETE FROM items WHERE row = ?", (old_label,))
        cursor = connection.execute(
            "INSERT INTO items (collection, item_id, sequence, document) VALUES (?, ?, ?, ?)",
            (collection, item.item_id, sequence, item.document.dump()),
        )
        assert cursor.lastrowid is not None
        label = cursor.lastrowid
        positions: dict[str, int] = {}
        for stored in item.inputs:
            position = positions[stored.channel] = positions.get(stored.channel, -1) + 1
            connection.execute(
                "INSERT INTO inputs VALUES (?, ?, ?, ?)", (label, stored.channel, position, stored.digest)
            )
            if stored.data:
                connection.execute(
                    "INSERT OR IGNORE INTO pictures VALUES (?, ?, ?)",
                    (stored.digest, encoders[stored.channel], stored.data),
                )
            if stored.vector is not None:
                connection.execute(
                    "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)",
                    (stored.digest, encoders[stored.channel], stored.vector.astype("<f4").tobytes()),
                )
        if old_label:
            _delete_row(connection, old_label)
        outcomes.append(Upserted(label, old_label, sequence))
    return outcomes


def _has_data(connection: sqlite3.Connection, item: NewItem, encoders: Mapping[str, str]) -> bool:
    """Whether the data is there that the item relies on: it goes with the last item that holds the content."""
    reader = Reader(connection)
    return all(reader.has_data(i.digest, encoders[i.channel]) for i in item.inputs if i.needs_data)


def delete_items(
    connection: sqlite3.Connection, collection: int, item_ids: Iterable[str]
) -> tuple[dict[str, int], int]:
    """Delete items; the row of each that was there, and the sequence number."""
    sequence = next_sequence(connection, collection)
    deleted = {}
    for item_id in item_ids:
        existing = connection.execute(
            "SELECT row FROM items WHERE collection = ? AND item_id = ?", (collection, item_id)
        ).fetchone()
        if existing:
            _delete_row(connection, existing[0])
            deleted[item_id] = int(existing[0])
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
    connection: sqlite3.Connection, collection: int, events: Sequence[EventRecord]
) -> tuple[list[EventRecord | None], int]:
    """Store events; for each None if it is new, else what was stored under its id before; and the sequence number."""
    sequence = next_sequence(connection, collection)
    before: list[EventRecord | None] = []
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
            before.append(EventRecord(*row))
    return before, sequence


def delete_user(connection: sqlite3.Connection, collection: int, user_id: str) -> int:
    """Delete a user's events; how many there were."""
    cursor = connection.execute(
        "DELETE FROM events WHERE collection = ? AND user_id = ?", (collection, user_id)
    )
    if cursor.rowcount:
        sequence = next_sequence(connection, collection)
        connection.execute("UPDATE collections SET events_deleted = ? WHERE id = ?", (sequence, collection))
    return cursor.rowcount
