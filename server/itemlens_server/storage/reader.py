"""The store's reads, on one connection; they never wait for writes."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from itemlens_server.errors import DataLoss, FailedPrecondition
from itemlens_server.storage import checksums, verification
from itemlens_server.storage.records import (
    EVENT_COLUMNS,
    Array,
    CollectionRecord,
    Document,
    EventRecord,
    ItemVectors,
    StoredInput,
    StoredItem,
)

log = logging.getLogger(__name__)


class Reader:
    """Reads on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def problems(self) -> list[str]:
        """What is broken in the file, as far as it can be read. Looks at all of it."""
        return list(verification.problems(self._connection))

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
        """Items by id, with data and vectors where asked for, as each channel's encoder (a digest) made them.

        Raises:
            DataLoss: one of them is damaged. Vectors that are damaged are None: they can be made again.
        """
        items = {}
        # In one transaction, a write's own or one of this call: an item and its inputs are of the same moment.
        own = not self._connection.in_transaction
        if own:
            self._connection.execute("BEGIN")
        try:
            for item_id in item_ids:
                row = self._connection.execute(
                    "SELECT row, sequence, document, document_checksum, inputs_checksum FROM items"
                    " WHERE collection = ? AND item_id = ?",
                    (collection, item_id),
                ).fetchone()
                if row is None:
                    continue
                label, sequence, text, document_checksum, inputs_checksum = row
                document = _document(item_id, text, document_checksum)
                inputs = tuple(self._inputs(label, encoders, data, vectors))
                contents = [(i.channel, i.digest) for i in inputs]
                if not checksums.holds(inputs_checksum, checksums.of_inputs, item_id, contents):
                    raise _damaged(item_id, "the list of its contents")
                for i in inputs:
                    if data and not i.data and i.channel in encoders and i.channel not in document.texts:
                        raise _damaged(item_id, f"a content of channel {i.channel!r}")
                items[item_id] = StoredItem(label, item_id, sequence, document, inputs)
        finally:
            if own:
                self._connection.execute("COMMIT")
        return items

    def documents(self, collection: int, item_ids: Sequence[str]) -> Iterator[tuple[str, Document]]:
        """(id, what the item says), one read after the other; those that are not there are left out.

        Raises:
            DataLoss: the next one is damaged.
        """
        for item_id in item_ids:
            row = self._connection.execute(
                "SELECT document, document_checksum FROM items WHERE collection = ? AND item_id = ?",
                (collection, item_id),
            ).fetchone()
            if row:
                yield item_id, _document(item_id, *row)

    def page(self, collection: int, after_row: int, size: int) -> Iterator[StoredItem]:
        """The next `size` items after `after_row`, by row, without inputs, one read after the other.

        Raises:
            DataLoss: the next one is damaged.
        """
        rows = self._connection.execute(
            # With the plus SQLite goes by row, instead of by collection, which sorts all items for each page.
            "SELECT row, item_id, sequence, document, document_checksum FROM items WHERE +collection = ? AND row > ?"
            " ORDER BY row LIMIT ?",
            (collection, after_row, size),
        )
        for row, item_id, sequence, *stored in rows:
            yield StoredItem(row, item_id, sequence, _document(item_id, *stored))

    def raw_vectors(
        self, collection: int, encoders: Mapping[str, str], after_row: int = 0
    ) -> Iterator[ItemVectors]:
        """Raw vectors of all items after `after_row`, by row.

        Raises:
            FailedPrecondition: a channel has no vector of its encoder: they were made by another one.
        """
        encoder_of = "CASE n.channel " + "WHEN ? THEN ? " * len(encoders) + "END"
        rows = self._connection.execute(
            "SELECT i.row, i.item_id, i.inputs_checksum, n.channel, n.content, v.data, v.checksum"
            " FROM items i LEFT JOIN inputs n ON n.row = i.row"
            f" LEFT JOIN vectors v ON v.content = n.content AND v.encoder = {encoder_of}"
            " WHERE +i.collection = ? AND i.row > ? ORDER BY i.row, n.channel, n.position",
            (*(value for pair in encoders.items() for value in pair), collection, after_row),
        )
        checked: set[str] = set()
        for (label, item_id, inputs_checksum), group in groupby(rows, key=lambda row: row[:3]):
            vectors: dict[str, list[Array]] = {}
            contents, whole = [], True
            for *_, channel, content, data, checksum in group:
                contents.append((channel, content))
                if channel not in encoders:
                    continue
                vector = _vector(data, checksum)
                if vector is None:
                    if channel not in checked:
                        self._check_encoder(collection, item_id, channel, encoders[channel])
                        checked.add(channel)
                    whole = False
                else:
                    vectors.setdefault(channel, []).append(vector)
            whole &= checksums.holds(inputs_checksum, checksums.of_inputs, item_id, contents)
            yield ItemVectors(label, item_id, vectors, whole)

    def _check_encoder(self, collection: int, item_id: str, channel: str, encoder: str) -> None:
        """Tell items that another encoder has encoded from damaged ones: of the former there are no vectors at all."""
        found = self._connection.execute(
            "SELECT 1 FROM items i JOIN inputs n ON n.row = i.row JOIN vectors v ON v.content = n.content"
            " WHERE i.collection = ? AND n.channel = ? AND v.encoder = ? LIMIT 1",
            (collection, channel, encoder),
        ).fetchone()
        if found is None:
            raise FailedPrecondition(
                f"item {item_id!r} has no vector of this space's encoder in channel {channel!r}: it was stored "
                "in another precision (give the one it was served with: --precision) or with another encoder "
                "(then index it again into a new collection of this space)"
            )

    def vector(self, digest: bytes, encoder: str) -> Array | None:
        """The raw vector of a content, if that encoder made it before and it is not damaged."""
        row = self._connection.execute(
            "SELECT data, checksum FROM vectors WHERE content = ? AND encoder = ?", (digest, encoder)
        ).fetchone()
        return _vector(*row) if row else None

    def history(self, collection: int, user_id: str, limit: int) -> list[EventRecord]:
        """The latest `limit` events of a user, oldest first, without damaged ones."""
        rows = self._connection.execute(
            f"SELECT {EVENT_COLUMNS}, sequence, checksum FROM events"
            " WHERE collection = ? AND user_id = ? ORDER BY time DESC, id DESC LIMIT ?",
            (collection, user_id, limit),
        ).fetchall()
        return [EventRecord(*fields[:-1]) for fields in _events(reversed(rows))]

    def events(self, collection: int) -> Iterator[tuple[str, str, int, float, int]]:
        """(user, item, type, time, sequence) of all events, by user and time, without damaged ones."""
        rows = self._connection.execute(
            f"SELECT {EVENT_COLUMNS}, sequence, checksum FROM events WHERE collection = ? ORDER BY user_id, time, id",
            (collection,),
        )
        for _, user_id, item_id, kind, time, *_, sequence in _events(rows):
            yield user_id, item_id, kind, time, sequence

    def events_digest(self, collection: int, types: Sequence[int], last_sequence: int) -> str:
        """Identity of the events of these types up to a write: equal where they are."""
        rows = self._connection.execute(
            "SELECT id, user_id, item_id, type, sequence FROM events WHERE collection = ? AND sequence <= ?"
            f" AND type IN ({','.join('?' * len(types))}) ORDER BY user_id, time, id",
            (collection, last_sequence, *types),
        )
        digest = hashlib.sha256()
        for row in rows:
            digest.update(repr(row).encode())
        return digest.hexdigest()

    def has_data(self, digest: bytes, encoder: str) -> bool:
        """Whether what is kept of a content for an encoder is there."""
        row = self._connection.execute(
            "SELECT 1 FROM pictures WHERE content = ? AND encoder = ?", (digest, encoder)
        ).fetchone()
        return row is not None

    def data(self, digest: bytes, encoder: str) -> bytes:
        """What is kept of a content for an encoder; empty if it is not there, or damaged."""
        row = self._connection.execute(
            "SELECT data, checksum FROM pictures WHERE content = ? AND encoder = ?", (digest, encoder)
        ).fetchone()
        if row is None or not checksums.holds(row[1], checksums.of_data, row[0]):
            return b""
        return bytes(row[0])

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


def _document(item_id: str, text: str, checksum: int | None) -> Document:
    if checksums.holds(checksum, checksums.of_document, item_id, text):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return Document.parse(text)
    raise _damaged(item_id, "its texts and attributes")


def _damaged(item_id: str, what: str) -> DataLoss:
    log.error("item %r is damaged in the store: %s", item_id, what)
    return DataLoss(
        f"item {item_id!r} is damaged in the store ({what}): write it again or delete it, or restore a backup"
    )


def _vector(data: object, checksum: int | None) -> Array | None:
    """The vector; None if it is not there, or damaged."""
    if not isinstance(data, bytes) or not checksums.holds(checksum, checksums.of_data, data):
        return None
    try:
        vector = np.frombuffer(data, "<f4")
    except ValueError:  # no whole number of floats
        return None
    # What was stored with a checksum was finite.
    return vector if checksum is not None or np.isfinite(vector).all() else None


def _events(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The events of rows that end in their checksum, without those that are damaged."""
    for row in rows:
        fields = row[:-1]
        if checksums.holds(row[-1], checksums.of_event, fields):
            yield fields
        else:
            log.error("event %r is damaged in the store: it does not count", fields[0])
