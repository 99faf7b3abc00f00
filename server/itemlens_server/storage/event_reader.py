"""The reads of events, on one connection."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from itemlens_server.storage import checksums, streams
from itemlens_server.storage.records import EVENT_COLUMNS, EventRecord
from itemlens_server.storage.streams import StreamRecord

log = logging.getLogger(__name__)


class EventReader:
    """Reads events on one connection: a user's, a collection's, and what is kept about them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def events_deleted(self, collection: int) -> int:
        """Return the sequence number of the last write that deleted events of a collection; 0 if there is none."""
        row = self._connection.execute(
            "SELECT events_deleted FROM collections WHERE id = ?", (collection,)
        ).fetchone()
        return int(row[0]) if row else 0

    def history(self, collection: int, user_id: str, limit: int) -> list[EventRecord]:
        """Return the latest `limit` events of a user that count, oldest first, without damaged ones."""
        rows = self._connection.execute(
            f"SELECT {EVENT_COLUMNS}, sequence, checksum FROM events"
            " WHERE collection = ? AND user_id = ? AND held = 0 ORDER BY time DESC, id DESC LIMIT ?",
            (collection, user_id, limit),
        ).fetchall()
        return [EventRecord(*fields[:-1]) for fields in _events(reversed(rows))]

    def history_apart(
        self, collection: int, user_id: str, limit: int, *, apart: Sequence[int], without: Sequence[int]
    ) -> list[EventRecord]:
        """Return the latest `limit` events of the types `apart`, and the latest `limit` of the others, as `history`
        does. without: types to leave out."""
        latest = (
            f"SELECT * FROM (SELECT id, {EVENT_COLUMNS}, sequence, checksum FROM events"
            " WHERE collection = ? AND user_id = ? AND held = 0 AND type {} ORDER BY time DESC, id DESC LIMIT ?)"
        )
        both = (latest.format(f"IN {_listed(apart)}"), latest.format(f"NOT IN {_listed([*apart, *without])}"))
        rows = self._connection.execute(
            f"{' UNION ALL '.join(both)} ORDER BY time, id", (collection, user_id, limit) * 2
        ).fetchall()
        return [EventRecord(*fields[:-1]) for fields in _events(row[1:] for row in rows)]

    def events_of(
        self, collection: int, user_id: str, after_row: int, size: int
    ) -> list[tuple[int, EventRecord]]:
        """Return the next `size` events of a user after a row, with their rows, by row, held ones included, without
        damaged ones."""
        rows = self._connection.execute(
            f"SELECT id, {EVENT_COLUMNS}, sequence, checksum FROM events"
            " WHERE collection = ? AND user_id = ? AND id > ? ORDER BY id",
            (collection, user_id, after_row),
        )
        whole = ((row[0], EventRecord(*fields[:-1])) for row in rows for fields in _events([row[1:]]))
        return list(islice(whole, size))

    def events(self, collection: int) -> Iterator[tuple[str, str, int, float, int]]:
        """Yield (user, item, type, time, sequence) of all events that count, by user and time, without damaged ones."""
        rows = self._connection.execute(
            f"SELECT {EVENT_COLUMNS}, sequence, checksum FROM events WHERE collection = ? AND held = 0"
            " ORDER BY user_id, time, id",
            (collection,),
        )
        for _, user_id, item_id, kind, time, *_, sequence in _events(rows):
            yield user_id, item_id, kind, time, sequence

    def events_after(self, collection: int, row: int) -> Iterator[tuple[str, str, int, float, int, int]]:
        """Yield (user, item, type, time, sequence, row) of the events after a row, by row, without damaged ones."""
        rows = self._connection.execute(
            f"SELECT {EVENT_COLUMNS}, sequence, checksum, id FROM events"
            " WHERE collection = ? AND id > ? AND held = 0 ORDER BY id",
            (collection, row),
        )
        for *fields, number in rows:
            for _, user_id, item_id, kind, time, *_, sequence in _events([tuple(fields)]):
                yield user_id, item_id, kind, time, sequence, number

    def events_of_answers(self, collection: int, first: str, end: str) -> Iterator[EventRecord]:
        """Yield the events that count and whose `recommendation_id` is at least `first`, not empty, and before `end`,
        ordered by it, without damaged ones."""
        rows = self._connection.execute(
            f"SELECT {EVENT_COLUMNS}, sequence, checksum FROM events WHERE +collection = ?"
            " AND recommendation_id >= ? AND recommendation_id < ? AND recommendation_id != '' AND held = 0"
            " ORDER BY recommendation_id, id",
            (collection, first, end),
        )
        for fields in _events(rows):
            yield EventRecord(*fields[:-1])

    def counts_mark(self, collection: int) -> str | None:
        """Return the mark of the file of counts that belongs to the events of a collection; None if none does."""
        row = self._connection.execute(
            "SELECT mark FROM count_marks WHERE collection = ?", (collection,)
        ).fetchone()
        return str(row[0]) if row else None

    def streams(self, collection: int) -> list[StreamRecord]:
        """Return the streams of a collection, by name.

        Raises:
            DataLoss: one of them is damaged.
        """
        return streams.all_of(self._connection, collection)


def _listed(types: Sequence[int]) -> str:
    return f"({', '.join(str(int(number)) for number in types)})"


def _events(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Yield the events of rows that end in their checksum, without damaged ones."""
    for row in rows:
        fields = row[:-1]
        if checksums.holds(row[-1], checksums.of_event, fields):
            yield fields
        else:
            log.error("event %r is damaged in the store; it is ignored", fields[0])
