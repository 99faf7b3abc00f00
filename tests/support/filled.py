"""A store with rows in every table."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np

from itemlens_server.storage import writes
from itemlens_server.storage.records import Document, EventRecord, NewItem, StoredInput, content_hash
from itemlens_server.storage.store import FILE, Store
from itemlens_server.storage.tidying import tidy

ENCODERS = {"text": "encoder-t", "image": "encoder-i"}


def item(item_id: str, text: str, pictures: tuple[bytes, ...] = ()) -> NewItem:
    vector = np.full(8, len(text), np.float32)
    inputs = [StoredInput("text", content_hash(text.encode()), b"", vector)]
    inputs += [StoredInput("image", content_hash(p), p, vector) for p in pictures]
    return NewItem(item_id, Document({"text": text}, {"price": 3}, ()), tuple(inputs))


def fill(store: Store, name: str, items: int, text_bytes: int = 20) -> int:
    """Write a collection of items with one text, one picture and one event each. Return its id."""
    collection = store.write(lambda c: writes.create_collection(c, name, "sp-1")).id
    new = [
        item(f"{name}{n}", f"{name} {n} ".ljust(text_bytes, "x"), (f"PICTURE {n}".encode(),))
        for n in range(items)
    ]
    store.write(lambda c: writes.upsert_items(c, collection, new, ENCODERS))
    events = [EventRecord(f"e{n}", f"user {n % 3}", f"{name}{n}", 3, float(n)) for n in range(items)]
    store.write(lambda c: writes.record_events(c, collection, events))
    return collection


def tidy_up(store: Store) -> None:
    """Wait until deleted collections are empty and free space is released."""
    while store.write(tidy):
        pass


def count(store: Store, table: str) -> int:
    return int(store.write(lambda c: c.execute(f"SELECT count(*) FROM {table}").fetchone()[0]))


def edit(directory: Path, statement: str, *values: object) -> None:
    """Change the file of a closed store directly, as the server never does."""
    connection = sqlite3.connect(directory / FILE, isolation_level=None)
    connection.execute(statement, values)
    connection.close()
