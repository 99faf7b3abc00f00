"""Writes that take events away from users, in the transaction of the writer's thread. `writes` records events."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from itemlens_server.storage import checksums
from itemlens_server.storage.records import EVENT_COLUMNS, EventRecord
from itemlens_server.storage.slices import Slice
from itemlens_server.storage.writes import columns_of, next_sequence, took_events_away


def delete_events(
    connection: sqlite3.Connection, collection: int, event_ids: Sequence[str]
) -> tuple[dict[str, tuple[str, int]], int, int]:
    """Delete as many events as fit into a slice.

    Returns:
        The user and row of each deleted event by its id, the sequence number, and the number of processed `event_ids`.
    """
    time_slice, deleted, done = Slice(), dict[str, tuple[str, int]](), 0
    for event_id in event_ids:
        done += 1
        row = connection.execute(
            "DELETE FROM events WHERE collection = ? AND event_id = ? RETURNING user_id, id",
            (collection, event_id),
        ).fetchone()
        if row:
            deleted[event_id] = (str(row[0]), int(row[1]))
        if time_slice.used():
            break
    write = took_events_away if deleted else next_sequence
    return deleted, write(connection, collection), done


def merge_users(
    connection: sqlite3.Connection, collections: Sequence[int], source: str, target: str
) -> dict[int, int]:
    """Give the events of one user to another, all in this transaction. Return their number by collection."""
    moved: dict[int, int] = {}
    for collection in collections:
        rows = connection.execute(
            f"SELECT id, {EVENT_COLUMNS}, sequence, checksum FROM events WHERE collection = ? AND user_id = ?",
            (collection, source),
        ).fetchall()
        for number, *columns, sequence, checksum in rows:
            fields = (*columns, sequence)
            # An event that is damaged stays known as damaged.
            if checksum is not None and checksums.holds(checksum, checksums.of_event, fields):
                given = EventRecord(*columns)
                checksum = checksums.of_event((*columns_of(replace(given, user_id=target)), sequence))
            connection.execute(
                "UPDATE events SET user_id = ?, checksum = ? WHERE id = ?", (target, checksum, number)
            )
        if rows:
            took_events_away(connection, collection)
            moved[collection] = len(rows)
    return moved
