"""The store's reads, on one connection; they never wait for writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from itemlens_server.errors import FailedPrecondition
from itemlens_server.storage.records import (
    Array,
    CollectionRecord,
    Document,
    EventRecord,
    StoredInput,
    StoredItem,
)


class Reader:
    """Reads on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def integrity(self) -> str:
        """What is broken in the file; empty if nothing is."""
        verdict = self._connection.execute("PRAGMA quick_check").fetchone()[0]
        return "" if verdict == "ok" else str(verdict)

    def collections(self) -> list[CollectionRecord]:
        """All collections, by name."""
        rows = self._connection.execute(
            "SELECT id, name, space_id, created, sequence FROM collections ORDER BY name"
        )
        return [CollectionRecord(*row) for row in rows]

    def sequence(self, collection: int) -> int:
        """Number of the last write to a collection."""
        row = self._connection.execute(
            "SELECT sequence FROM collections WHERE id = ?", (collection,)
        ).fetchone()
        return int(row[0]) if row else 0

    def events_deleted(self, collection: int) -> int:
        """Number of the last write that deleted events of a collection; 0 if none did."""
        row = self._connection.execute(
            "SELECT events_deleted FROM collections WHERE id = ?", (collection,)
        ).fetchone()
        return int(row[0]) if row else 0

    def labels(self, collection: int) -> set[int]:
        """Labels of all items of a collection."""
        rows = self._connection.execute("SELECT row FROM items WHERE collection = ?", (collection,))
        return {int(label) for (label,) in rows}

    def last_label(self) -> int:
        """The highest label that any item of the store was given; 0 if there were none."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
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
        encoders: Mapping[str, str],
        *,
        data: bool = False,
        vectors: bool = False,
    ) -> dict[str, StoredItem]:
        """Items by id, with data and vectors where asked for, as each channel's encoder (a digest) made them."""
        items = {}
        # In one transaction: an item and its inputs are of the same moment.
        self._connection.execute("BEGIN")
        try:
            for item_id in item_ids:
                row = self._connection.execute(
                    "SELECT row, item_id, sequence, document FROM items WHERE collection = ? AND item_id = ?",
                    (collection, item_id),
                ).fetchone()
                if row:
                    inputs = tuple(self._inputs(row[0], encoders, data, vectors))
                    items[item_id] = StoredItem(row[0], row[1], row[2], Document.parse(row[3]), inputs)
        finally:
            self._connection.execute("COMMIT")
        return items

    def documents(self, collection: int, item_ids: Sequence[str]) -> Iterator[tuple[str, Document]]:
        """(id, what the item says), one read after the other; those that are not there are left out."""
        for item_id in item_ids:
            row = self._connection.execute(
                "SELECT document FROM items WHERE collection = ? AND item_id = ?", (collection, item_id)
            ).fetchone()
            if row:
                yield item_id, Document.parse(row[0])

    def page(self, collection: int, after_row: int, size: int) -> Iterator[StoredItem]:
        """The next `size` items after `after_row`, by row, without inputs, one read after the other."""
        rows = self._connection.execute(
            "SELECT row, item_id, sequence, document FROM items WHERE collection = ? AND row > ? ORDER BY row LIMIT ?",
            (collection, after_row, size),
        )
        for row in rows:
            yield StoredItem(row[0], row[1], row[2], Document.parse(row[3]))

    def raw_vectors(
        self, collection: int, encoders: Mapping[str, str], after_row: int = 0
    ) -> Iterator[tuple[int, str, dict[str, list[Array]]]]:
        """(row, item id, raw vectors by channel) of all items after `after_row`, by row.

        Raises:
            FailedPrecondition: a vector is missing, since it was made by another encoder.
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
                    raise FailedPrecondition(
                        f"item {item_id!r} has no vector of this space's encoder in channel {channel!r}: it was stored "
                        "in another precision (give the one it was served with: --precision) or with another encoder "
                        "(then index it again into a new collection of this space)"
                    )
                current[2].setdefault(channel, []).append(np.frombuffer(data, "<f4"))
        if current is not None:
            yield current

    def vector(self, digest: bytes, encoder: str) -> Array | None:
        """The raw vector of a content, if that encoder made it before."""
        row = self._connection.execute(
            "SELECT data FROM vectors WHERE content = ? AND encoder = ?", (digest, encoder)
        ).fetchone()
        return np.frombuffer(row[0], "<f4") if row else None

    def history(self, collection: int, user_id: str, limit: int) -> list[EventRecord]:
        """The latest `limit` events of a user, oldest first."""
        rows = self._connection.execute(
            "SELECT event_id, user_id, item_id, type, time, quantity, value, recommendation_id FROM events"
            " WHERE collection = ? AND user_id = ? ORDER BY time DESC, id DESC LIMIT ?",
            (collection, user_id, limit),
        ).fetchall()
        return [EventRecord(*row) for row in reversed(rows)]

    def events(self, collection: int) -> Iterator[tuple[str, str, int, float, int]]:
        """(user, item, type, time, sequence) of all events, by user and time."""
        rows = self._connection.execute(
            "SELECT user_id, item_id, type, time, sequence FROM events WHERE collection = ? ORDER BY user_id, time, id",
            (collection,),
        )
        yield from rows

    def has_data(self, digest: bytes, encoder: str) -> bool:
        """Whether what is kept of a content for an encoder is there."""
        row = self._connection.execute(
            "SELECT 1 FROM pictures WHERE content = ? AND encoder = ?", (digest, encoder)
        ).fetchone()
        return row is not None

    def data(self, digest: bytes, encoder: str) -> bytes:
        """What is kept of a content for an encoder; empty if it is not there."""
        row = self._connection.execute(
            "SELECT data FROM pictures WHERE content = ? AND encoder = ?", (digest, encoder)
        ).fetchone()
        return bytes(row[0]) if row else b""

    def _inputs(
        self, row: int, encoders: Mapping[str, str], with_data: bool, with_vectors: bool
    ) -> Iterator[StoredInput]:
        inputs = self._connection.execute(
            "SELECT channel, content FROM inputs WHERE row = ? ORDER BY channel, position", (row,)
        ).fetchall()
        for channel, content in inputs:
            encoder = encoders.get(channel, "")
            data = self.data(content, encoder) if with_data else b""
            vector = self.vector(content, encoder) if with_vectors else None
            yield StoredInput(channel, content, data, vector)
