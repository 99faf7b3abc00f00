"""The writes of the store, on the connection and in the transaction of the writer's thread."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from itemlens_server.errors import AlreadyExists, NotFound
from itemlens_server.storage import checksums
from itemlens_server.storage.collection_settings import DEFAULT, CollectionSettings
from itemlens_server.storage.reader import IDS_AT_A_TIME, Reader, placeholders
from itemlens_server.storage.records import (
    EVENT_COLUMNS,
    OF_NO_BASKET,
    Array,
    CollectionRecord,
    DescribedItem,
    EventRecord,
    NewItem,
    Upserted,
    contents_of,
)
from itemlens_server.storage.slices import Slice

EVENTS_AT_A_TIME = 200
SECRET_BYTES = 32


def next_sequence(connection: sqlite3.Connection, collection: int) -> int:
    """Assign and return the sequence number of the current write to `collection`."""
    row = connection.execute(
        "UPDATE collections SET sequence = sequence + 1 WHERE id = ? RETURNING sequence", (collection,)
    ).fetchone()
    if row is None:
        raise NotFound("the collection was deleted meanwhile", "collection", str(collection), "collection")
    return int(row[0])


def create_collection(
    connection: sqlite3.Connection, name: str, space_id: str, settings: CollectionSettings = DEFAULT
) -> CollectionRecord:
    """Add a collection."""
    created = time.time()
    try:
        cursor = connection.execute(
            "INSERT INTO collections (name, space_id, created, settings) VALUES (?, ?, ?, ?)",
            (name, space_id, created, settings.dump()),
        )
    except sqlite3.IntegrityError as error:
        raise AlreadyExists(f"collection {name!r} already exists", "name") from error
    assert cursor.lastrowid is not None
    return CollectionRecord(cursor.lastrowid, name, space_id, created, 0, settings)


def move_collection(connection: sqlite3.Connection, collection: int, space_id: str) -> None:
    """Set the space of a collection."""
    connection.execute("UPDATE collections SET space_id = ? WHERE id = ?", (space_id, collection))


def set_settings(connection: sqlite3.Connection, collection: int, settings: CollectionSettings) -> None:
    """Set the settings of a collection."""
    next_sequence(connection, collection)
    connection.execute("UPDATE collections SET settings = ? WHERE id = ?", (settings.dump(), collection))


def delete_collection(connection: sqlite3.Connection, collection: int) -> None:
    """Delete a collection. It disappears at once; `tidying` deletes its contents between other writes."""
    connection.execute("DELETE FROM collections WHERE id = ?", (collection,))
    connection.execute("INSERT INTO deleted_collections VALUES (?)", (collection,))
    connection.execute("DELETE FROM count_marks WHERE collection = ?", (collection,))
    connection.execute("DELETE FROM streams WHERE collection = ?", (collection,))


def upsert_items(
    connection: sqlite3.Connection, collection: int, items: Sequence[NewItem], encoders: Mapping[str, str]
) -> list[Upserted]:
    """Store `items`; `encoders` gives the digest of each channel's encoder.

    An item whose contents do not change keeps its row if `keeps` allows it, and only its document is written.
    """
    sequence = next_sequence(connection, collection)
    outcomes = []
    for item in items:
        existing = connection.execute(
            "SELECT row FROM items WHERE collection = ? AND item_id = ?", (collection, item.item_id)
        ).fetchone()
        old_label = int(existing[0]) if existing else 0
        if not _has_data(connection, item, encoders):
            outcomes.append(Upserted(0, old_label, sequence))
            continue
        for stored in item.inputs:
            encoder = encoders[stored.channel]
            if stored.data:
                _keep(connection, "pictures", stored.digest, encoder, stored.data)
            if stored.vector is not None:
                _keep(connection, "vectors", stored.digest, encoder, stored.vector.astype("<f4").tobytes())
        document, contents = item.document.dump(), contents_of(item.inputs)
        values = (
            sequence, document, checksums.of_document(item.item_id, document),
            checksums.of_inputs(item.item_id, contents),
        )  # fmt: skip
        if old_label and old_label == item.keeps and contents == _contents(connection, old_label):
            connection.execute(
                "UPDATE items SET sequence = ?, document = ?, document_checksum = ?, inputs_checksum = ? WHERE row = ?",
                (*values, old_label),
            )
            outcomes.append(Upserted(old_label, old_label, sequence))
            continue
        if old_label:
            # Unchanged contents keep their vectors: old contents are deleted only after the new row refers to them.
            connection.execute("DELETE FROM items WHERE row = ?", (old_label,))
        cursor = connection.execute(
            "INSERT INTO items (sequence, document, document_checksum, inputs_checksum, collection, item_id)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (*values, collection, item.item_id),
        )
        assert cursor.lastrowid is not None
        label = cursor.lastrowid
        positions: dict[str, int] = {}
        for channel, content in contents:
            position = positions[channel] = positions.get(channel, -1) + 1
            connection.execute("INSERT INTO inputs VALUES (?, ?, ?, ?)", (label, channel, position, content))
        if old_label:
            delete_rows(connection, [old_label])
        outcomes.append(Upserted(label, old_label, sequence))
    return outcomes


def set_documents(connection: sqlite3.Connection, items: Sequence[DescribedItem]) -> None:
    """Replace the documents of items, and set their sequence numbers. Their rows and contents stay."""
    connection.executemany(
        "UPDATE items SET sequence = ?, document = ?, document_checksum = ? WHERE row = ?",
        [(i.sequence, i.text, checksums.of_document(i.item_id, i.text), i.label) for i in items],
    )


def _keep(connection: sqlite3.Connection, table: str, content: bytes, encoder: str, data: bytes) -> None:
    """Store the output of an encoder for a content. An existing row is equal, or damaged and then repaired."""
    connection.execute(
        f"INSERT INTO {table} (content, encoder, data, checksum) VALUES (?, ?, ?, ?) ON CONFLICT (content, encoder)"
        " DO UPDATE SET data = excluded.data, checksum = excluded.checksum WHERE data IS NOT excluded.data",
        (content, encoder, data, checksums.of_data(data)),
    )


def mend_vectors(connection: sqlite3.Connection, vectors: Mapping[tuple[bytes, str], Array]) -> None:
    """Replace damaged vectors by these, given by content hash and encoder."""
    for (content, encoder), vector in vectors.items():
        _keep(connection, "vectors", content, encoder, vector.astype("<f4").tobytes())


def _contents(connection: sqlite3.Connection, row: int) -> list[tuple[str, bytes]]:
    """Return the row's contents in the form of `contents_of`."""
    return connection.execute(
        "SELECT channel, content FROM inputs WHERE row = ? ORDER BY channel, position", (row,)
    ).fetchall()


def _has_data(connection: sqlite3.Connection, item: NewItem, encoders: Mapping[str, str]) -> bool:
    """Return whether the store has the data that the item needs. It is deleted with the last item of the content."""
    reader = Reader(connection)
    return all(reader.has_data(i.digest, encoders[i.channel]) for i in item.inputs if i.needs_data)


def delete_items(
    connection: sqlite3.Connection, collection: int, item_ids: Sequence[str]
) -> tuple[dict[str, int], int, int]:
    """Delete as many items as fit into a slice.

    Returns:
        The row of each deleted item, the sequence number, and the number of processed `item_ids`.
    """
    time_slice = Slice()
    sequence = next_sequence(connection, collection)
    deleted: dict[str, int] = {}
    for done, item_id in enumerate(item_ids, 1):
        existing = connection.execute(
            "SELECT row FROM items WHERE collection = ? AND item_id = ?", (collection, item_id)
        ).fetchone()
        if existing:
            delete_rows(connection, [existing[0]])
            deleted[item_id] = int(existing[0])
        if time_slice.used():
            return deleted, sequence, done
    return deleted, sequence, len(item_ids)


def delete_rows(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    """Delete items by row, and their contents if no other item has them."""
    these = placeholders(rows)
    contents = [
        content
        for (content,) in connection.execute(
            f"SELECT DISTINCT content FROM inputs WHERE row IN {these}", rows
        )
    ]
    connection.execute(f"DELETE FROM inputs WHERE row IN {these}", rows)
    connection.execute(f"DELETE FROM items WHERE row IN {these}", rows)
    for start in range(0, len(contents), IDS_AT_A_TIME):
        some = contents[start : start + IDS_AT_A_TIME]
        for table in ("pictures", "vectors"):
            connection.execute(
                f"DELETE FROM {table} WHERE content IN {placeholders(some)}"
                f" AND NOT EXISTS (SELECT 1 FROM inputs WHERE content = {table}.content)",
                some,
            )


def record_events(
    connection: sqlite3.Connection, collection: int, events: Sequence[EventRecord]
) -> tuple[list[tuple[int | None, EventRecord]], int]:
    """Store events. Return each event as it is stored, with its new row, or None if its id was there before; and the
    sequence number."""
    sequence = next_sequence(connection, collection)
    known = _known_events(connection, collection, [event.event_id for event in events])
    row = int(
        connection.execute(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'"
        ).fetchone()[0]
    )
    stored: list[tuple[int | None, EventRecord]] = []
    values: list[tuple[object, ...]] = []
    times: dict[tuple[str, str], float] = {}
    for given in events:
        there = known.get(given.event_id)
        if there is not None:
            stored.append((None, there))
            continue
        e = given
        if given.order_id and not given.held and given.type not in OF_NO_BASKET:
            order = (given.user_id, given.order_id)
            if order not in times:
                times[order] = _order_time(connection, collection, given)
            e = replace(given, time=times[order])
        row += 1
        fields = (*columns_of(e), sequence)
        values.append((row, collection, *fields, checksums.of_event(fields)))
        stored.append((row, e))
        known[e.event_id] = e
    connection.executemany(
        f"INSERT INTO events (id, collection, {EVENT_COLUMNS}, sequence, checksum)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    )
    return stored, sequence


def _known_events(
    connection: sqlite3.Connection, collection: int, event_ids: Sequence[str]
) -> dict[str, EventRecord]:
    """Return the stored events of these ids."""
    known: dict[str, EventRecord] = {}
    for start in range(0, len(event_ids), IDS_AT_A_TIME):
        some = event_ids[start : start + IDS_AT_A_TIME]
        rows = connection.execute(
            f"SELECT {EVENT_COLUMNS} FROM events WHERE collection = ? AND event_id IN {placeholders(some)}",
            (collection, *some),
        )
        known.update((row[0], EventRecord(*row)) for row in rows)
    return known


def columns_of(event: EventRecord) -> tuple[object, ...]:
    """Return the columns of an event as SQLite returns them, which checksums need; it returns 0.0 for -0.0."""
    value = None if event.value is None else float(event.value) + 0.0
    numbers = (int(event.type), float(event.time) + 0.0, float(event.quantity) + 0.0, value)
    texts = (event.recommendation_id, event.order_id, event.own_type)
    return event.event_id, event.user_id, event.item_id, *numbers, *texts, int(event.held)


def _order_time(connection: sqlite3.Connection, collection: int, event: EventRecord) -> float:
    """Return the time of an event of an order: that of the order's first event, so that they are one basket. An event
    of a mistaken time gives its time to no other."""
    row = connection.execute(
        "SELECT time FROM events WHERE collection = ? AND user_id = ? AND order_id = ? AND order_id != ''"
        f" AND held = 0 AND type NOT IN {OF_NO_BASKET} ORDER BY id LIMIT 1",
        (collection, event.user_id, event.order_id),
    ).fetchone()
    return float(row[0]) if row else event.time


def delete_user(
    connection: sqlite3.Connection, collections: Sequence[int], user_id: str
) -> tuple[dict[int, list[int]], bool]:
    """Delete as many events of a user as fit into a slice. Return their rows by collection, and whether no events are
    left."""
    time_slice, deleted, done = Slice(), dict[int, list[int]](), True
    for collection in collections:
        done, rows = False, list[int]()
        while not done and not ((deleted or rows) and time_slice.used()):
            some = connection.execute(
                "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE collection = ? AND user_id = ? LIMIT ?)"
                " RETURNING id",
                (collection, user_id, EVENTS_AT_A_TIME),
            ).fetchall()
            rows += [row for (row,) in some]
            done = len(some) < EVENTS_AT_A_TIME
        if rows:
            took_events_away(connection, collection)
            deleted[collection] = rows
    return deleted, done


def took_events_away(connection: sqlite3.Connection, collection: int) -> int:
    """Note that users lost events. Return the sequence number."""
    sequence = next_sequence(connection, collection)
    connection.execute("UPDATE collections SET events_deleted = ? WHERE id = ?", (sequence, collection))
    # The file of counts still has these events.
    connection.execute("DELETE FROM count_marks WHERE collection = ?", (collection,))
    return sequence


def mark_counts(connection: sqlite3.Connection, collection: int, mark: str) -> None:
    """Remember the mark of the file of counts that belongs to the events of a collection."""
    connection.execute(
        "INSERT INTO count_marks SELECT id, ? FROM collections WHERE id = ?"
        " ON CONFLICT (collection) DO UPDATE SET mark = excluded.mark",
        (mark, collection),
    )


def secret(connection: sqlite3.Connection, name: str) -> bytes:
    """Return the store's own random key of this name, which the first call makes."""
    connection.execute(
        "INSERT OR IGNORE INTO secrets (name, value) VALUES (?, ?)", (name, secrets.token_bytes(SECRET_BYTES))
    )
    row = connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
    return bytes(row[0])
