"""The positions of streams of events: a position moves in the transaction that stores the events before it."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from itemlens_server.errors import DataLoss, StreamMoved, quoted
from itemlens_server.storage import checksums

COLUMNS = "stream, position, previous, events, lag, time"


@dataclass(frozen=True)
class StreamStep:
    """A step in a stream, from the position `previous` (empty: the stream is new) to `position`.

    lag: how much is still to be read after it, in the caller's unit
    """

    stream: str
    position: str
    previous: str = ""
    lag: int = 0


@dataclass(frozen=True)
class StreamRecord:
    """A stored stream: its last step, the number of events that it brought in all, and the time of the step."""

    stream: str
    position: str
    previous: str
    events: int
    lag: int
    time: float


def was_made(connection: sqlite3.Connection, collection: int, step: StreamStep) -> bool:
    """Return whether this step was the last one of its stream; False if it can be made now.

    Raises:
        StreamMoved: the stream is neither before nor after the step.
        DataLoss: its row is damaged.
    """
    stored = find(connection, collection, step.stream)
    there = stored.position if stored else ""
    if stored is not None and (there, stored.previous) == (step.position, step.previous):
        return True
    if there != step.previous:
        at = f"at {quoted(there)}" if stored else "new in this collection"
        raise StreamMoved(
            f"stream {quoted(step.stream)} is {at}, not at {quoted(step.previous)}: nothing was recorded; go on from "
            "its position, which ListStreams has, and let one caller read a stream",
            "stream.previous",
        )
    return False


def move(connection: sqlite3.Connection, collection: int, step: StreamStep, events: int) -> None:
    """Make a step that brought `events` new events."""
    stored = find(connection, collection, step.stream)
    total = events + (stored.events if stored else 0)
    fields = (step.stream, step.position, step.previous, total, step.lag, time.time())
    connection.execute(
        f"INSERT OR REPLACE INTO streams (collection, {COLUMNS}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (collection, *fields, checksums.of_stream(fields)),
    )


def find(connection: sqlite3.Connection, collection: int, stream: str) -> StreamRecord | None:
    """Return a stream; None if nothing was recorded from it."""
    row = connection.execute(
        f"SELECT {COLUMNS}, checksum FROM streams WHERE collection = ? AND stream = ?", (collection, stream)
    ).fetchone()
    return _record(row) if row else None


def all_of(connection: sqlite3.Connection, collection: int) -> list[StreamRecord]:
    """Return the streams of a collection, by name."""
    rows = connection.execute(
        f"SELECT {COLUMNS}, checksum FROM streams WHERE collection = ? ORDER BY stream", (collection,)
    )
    return [_record(row) for row in rows]


def _record(row: tuple[Any, ...]) -> StreamRecord:
    *fields, checksum = row
    if not checksums.holds(checksum, checksums.of_stream, tuple(fields)):
        raise DataLoss(
            f"the position of stream {fields[0]!r} is damaged in the store: restore a backup, or read the stream again "
            "from its start under another name; events with ids of their own are not recorded twice"
        )
    return StreamRecord(*fields)
