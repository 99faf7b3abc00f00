"""The reads of the store, on one connection. They never wait for writes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from itemlens_server.errors import DataLoss, FailedPrecondition
from itemlens_server.storage import checksums, verification
from itemlens_server.storage.collection_settings import CollectionSettings
from itemlens_server.storage.event_reader import EventReader
from itemlens_server.storage.records import (
    Array,
    CollectionRecord,
    DamagedItem,
    DescribedItem,
    Document,
    ItemVectors,
    StoredInput,
    StoredItem,
)

log = logging.getLogger(__name__)
# SQLite limits the number of values in a statement.
IDS_AT_A_TIME = 500
ITEM = "SELECT CAST(item_id AS BLOB), row, item_id, sequence, document, document_checksum FROM items"

NO_DOCUMENT = Document({}, {}, ())


class Reader(EventReader):
    """Reads on one connection: collections, items, contents, and the events of `EventReader`."""

    @contextlib.contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Read everything as it was at the first read, whatever is written meanwhile."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def problems(self) -> list[str]:
        """Check the whole file. Return the damage, as far as the file can be read."""
        return list(verification.problems(self._connection))

    def collections(self) -> list[CollectionRecord]:
        """Return all collections, ordered by name."""
        rows = self._connection.execute(
            "SELECT id, name, space_id, created, sequence, settings FROM collections ORDER BY name"
        )
        return [
            CollectionRecord(number, name, space_id, created, sequence, CollectionSettings.parse(settings))
            for number, name, space_id, created, sequence, settings in rows
        ]

    def sequence(self, collection: int) -> int:
        """Return the sequence number of the last write to a collection."""
        row = self._connection.execute(
            "SELECT sequence FROM collections WHERE id = ?", (collection,)
        ).fetchone()
        return int(row[0]) if row else 0

    def last_label(self) -> int:
        """Return the highest label ever assigned to an item of the store; 0 if there is none."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
        return int(row[0]) if row else 0

    def counts(self, collection: int) -> tuple[int, int, int]:
        """Return the number of items, the number of events and the sequence number of a collection."""
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
        """Return items by id; on request with data and vectors. encoders: digest of the encoder by channel.

        Raises:
            DataLoss: one of the items is damaged. Damaged vectors are None, since they can be computed again.
        """
        items = {}
        # One transaction, of the write or of this call, reads an item and its inputs at the same moment.
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
        """Yield (id, document) of the items that exist, read one at a time.

        Raises:
            DataLoss: the next document is damaged.
        """
        for item_id in item_ids:
            row = self._connection.execute(
                "SELECT document, document_checksum FROM items WHERE collection = ? AND item_id = ?",
                (collection, item_id),
            ).fetchone()
            if row:
                yield item_id, _document(item_id, *row)

    def described(self, collection: int, item_ids: Sequence[str]) -> dict[str, DescribedItem | DamagedItem]:
        """Return the documents of the items that exist, by id."""
        found: dict[str, DescribedItem | DamagedItem] = {}
        for start in range(0, len(item_ids), IDS_AT_A_TIME):
            some = item_ids[start : start + IDS_AT_A_TIME]
            rows = self._connection.execute(
                "SELECT row, item_id, sequence, document, document_checksum FROM items"
                f" WHERE collection = ? AND item_id IN {placeholders(some)}",
                (collection, *some),
            ).fetchall()
            for row, item_id, sequence, text, checksum in rows:
                try:
                    document = _document(item_id, text, checksum)
                    found[item_id] = DescribedItem(row, item_id, sequence, document, text)
                except DataLoss as error:
                    found[item_id] = DamagedItem(row, item_id, sequence, error)
        return found

    def page(
        self, collection: int, after: bytes, size: int
    ) -> Iterator[tuple[bytes, StoredItem | DamagedItem]]:
        """Yield the next `size` items after the id `after`, by id, without inputs, read one at a time, each with its id
        as bytes, which are those of the store even where the id is damaged."""
        rows = self._connection.execute(
            f"{ITEM} WHERE collection = ? AND item_id > CAST(? AS TEXT) ORDER BY item_id LIMIT ?",
            (collection, after, size),
        )
        return map(_stored_item, rows)

    def item_ids(self, collection: int, after: bytes, size: int) -> list[tuple[bytes, str]]:
        """Return the next `size` ids after the id `after`, in order, each as bytes, too, as `page` does."""
        return self._connection.execute(
            "SELECT CAST(item_id AS BLOB), item_id FROM items WHERE collection = ? AND item_id > CAST(? AS TEXT)"
            " ORDER BY item_id LIMIT ?",
            (collection, after, size),
        ).fetchall()

    def named(
        self, collection: int, item_ids: Iterable[str]
    ) -> Iterator[tuple[bytes, StoredItem | DamagedItem]]:
        """Yield the items with these ids, in their order, as `page` does. Those that are gone are left out."""
        for item_id in item_ids:
            found = self._connection.execute(
                f"{ITEM} WHERE collection = ? AND item_id = ?", (collection, item_id)
            ).fetchone()
            if found:
                yield _stored_item(found)

    def attributes(
        self, collection: int, since: int = 0
    ) -> Generator[tuple[str, Mapping[str, Any]], None, None]:
        """Yield the attributes of items as `every_document` does."""
        for item_id, document in self.every_document(collection, since):
            yield item_id, document.attributes

    def every_document(self, collection: int, since: int = 0) -> Generator[tuple[str, Document], None, None]:
        """Yield the items that were written after a sequence number with their documents, by row; an empty one of a
        damaged item."""
        rows = self._connection.execute(
            "SELECT item_id, document, document_checksum FROM items"
            " WHERE +collection = ? AND sequence > ? ORDER BY row",
            (collection, since),
        )
        for item_id, *stored in rows:
            yield item_id, _document_or_none(item_id, *stored)

    def raw_vectors(
        self, collection: int, encoders: Mapping[str, str], after_row: int = 0, *, documents: bool = False
    ) -> Iterator[ItemVectors]:
        """Yield the raw vectors of all items after `after_row`, by row, and their texts and attributes if wanted.

        Raises:
            FailedPrecondition: a channel has no vector of its encoder, because another encoder made them.
        """
        encoder_of = "CASE n.channel " + "WHEN ? THEN ? " * len(encoders) + "END"
        document = "i.document, i.document_checksum" if documents else "NULL, NULL"
        rows = self._connection.execute(
            f"SELECT i.row, i.item_id, i.inputs_checksum, {document}, n.channel, n.content, v.data, v.checksum"
            " FROM items i LEFT JOIN inputs n ON n.row = i.row"
            f" LEFT JOIN vectors v ON v.content = n.content AND v.encoder = {encoder_of}"
            " WHERE +i.collection = ? AND i.row > ? ORDER BY i.row, n.channel, n.position",
            (*(value for pair in encoders.items() for value in pair), collection, after_row),
        )
        checked: set[str] = set()
        for (label, item_id, inputs_checksum, *described), group in groupby(rows, key=lambda row: row[:5]):
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
            own = _document_or_none(item_id, *described) if documents else NO_DOCUMENT
            yield ItemVectors(label, item_id, vectors, whole, own.attributes, own.texts)

    def _check_encoder(self, collection: int, item_id: str, channel: str, encoder: str) -> None:
        """Raise FailedPrecondition if no vector is from `encoder`: another encoder was used, and nothing is damaged."""
        found = self._connection.execute(
            "SELECT 1 FROM items i JOIN inputs n ON n.row = i.row JOIN vectors v ON v.content = n.content"
            " WHERE i.collection = ? AND n.channel = ? AND v.encoder = ? LIMIT 1",
            (collection, channel, encoder),
        ).fetchone()
        if found is None:
            raise FailedPrecondition(
                f"item {item_id!r} has no vector of this space's encoder in channel {channel!r}: it was stored "
                "in another precision (give that precision with --precision) or with another encoder (index it again "
                "into a new collection of this space)"
            )

    def vector(self, digest: bytes, encoder: str) -> Array | None:
        """Return the raw vector of a content by an encoder; None if there is none or it is damaged."""
        row = self._connection.execute(
            "SELECT data, checksum FROM vectors WHERE content = ? AND encoder = ?", (digest, encoder)
        ).fetchone()
        return _vector(*row) if row else None

    def secret(self, name: str) -> bytes | None:
        """Return the store's own key of this name; None if it is not made yet."""
        row = self._connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else None

    def has_data(self, digest: bytes, encoder: str) -> bool:
        """Return whether the store has the data of a content for an encoder."""
        row = self._connection.execute(
            "SELECT 1 FROM pictures WHERE content = ? AND encoder = ?", (digest, encoder)
        ).fetchone()
        return row is not None

    def data(self, digest: bytes, encoder: str) -> bytes:
        """Return the data of a content for an encoder; empty if it is missing or damaged."""
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


def placeholders(values: Sequence[object]) -> str:
    """Return the SQL of a list of values that are bound."""
    return f"({','.join('?' * len(values))})"


def _document(item_id: str, text: str, checksum: int | None) -> Document:
    if checksums.holds(checksum, checksums.of_document, item_id, text):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return Document.parse(text)
    raise _damaged(item_id, "its texts and attributes")


def _stored_item(columns: tuple[Any, ...]) -> tuple[bytes, StoredItem | DamagedItem]:
    key, row, item_id, sequence, *stored = columns
    try:
        return key, StoredItem(row, item_id, sequence, _document(item_id, *stored))
    except DataLoss as error:
        return key, DamagedItem(row, item_id, sequence, error)


def _document_or_none(item_id: str, text: str, checksum: int | None) -> Document:
    """Return a document; an empty one if it is damaged, which is said where the document itself is read."""
    try:
        return _document(item_id, text, checksum)
    except DataLoss:
        return NO_DOCUMENT


def _damaged(item_id: str, what: str) -> DataLoss:
    log.error("item %r is damaged in the store: %s", item_id, what)
    return DataLoss(
        f"item {item_id!r} is damaged in the store ({what}): write it again or delete it, or restore a backup"
    )


def _vector(data: object, checksum: int | None) -> Array | None:
    """Return the vector; None if it is missing or damaged."""
    if not isinstance(data, bytes) or not checksums.holds(checksum, checksums.of_data, data):
        return None
    try:
        vector = np.frombuffer(data, "<f4")
    except ValueError:  # the size is not a multiple of 4
        return None
    # Vectors stored with a checksum are finite.
    return vector if checksum is not None or np.isfinite(vector).all() else None
