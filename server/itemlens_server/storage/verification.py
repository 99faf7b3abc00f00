"""Verification of the whole file for `itemlens doctor`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from itemlens_server.storage import checksums, streams
from itemlens_server.storage.records import EVENT_COLUMNS

# Limit of SQLite's messages about a damaged file, and of the listed damaged rows.
MOST_PROBLEMS = 20


def problems(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield the damage: first what SQLite finds, then every row whose checksum does not match.

    Raises:
        DataLoss: the damage prevents reading the rows.
    """
    for (verdict,) in connection.execute(f"PRAGMA integrity_check({MOST_PROBLEMS})").fetchall():
        if verdict != "ok":
            yield str(verdict)
    for row, item_id, text, document_checksum, inputs_checksum in connection.execute(
        "SELECT row, item_id, document, document_checksum, inputs_checksum FROM items"
    ):
        if not checksums.holds(document_checksum, checksums.of_document, item_id, text):
            yield f"item {item_id!r}: its id, texts or attributes"
        contents = connection.execute(
            "SELECT channel, content FROM inputs WHERE row = ? ORDER BY channel, position", (row,)
        ).fetchall()
        if not checksums.holds(inputs_checksum, checksums.of_inputs, item_id, contents):
            yield f"item {item_id!r}: the list of its contents"
    for table in ("pictures", "vectors"):
        for content, encoder, data, checksum in connection.execute(
            f"SELECT content, encoder, data, checksum FROM {table}"
        ):
            if not checksums.holds(checksum, checksums.of_data, data):
                yield f"{table}: that of content {bytes(content).hex()} for encoder {encoder}"
    for *fields, checksum in connection.execute(f"SELECT {EVENT_COLUMNS}, sequence, checksum FROM events"):
        if not checksums.holds(checksum, checksums.of_event, tuple(fields)):
            yield f"event {fields[0]!r} of user {fields[1]!r}"
    for *fields, checksum in connection.execute(f"SELECT {streams.COLUMNS}, checksum FROM streams"):
        if not checksums.holds(checksum, checksums.of_stream, tuple(fields)):
            yield f"stream {fields[0]!r}: its position"
