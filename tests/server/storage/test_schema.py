"""The file's format: files of older versions can still be read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from itemlens_server.errors import FailedPrecondition
from itemlens_server.storage.records import Document, EventRecord, content_hash
from itemlens_server.storage.store import FILE, Store
from support.filled import ENCODERS, fill, tidy_up

# The tables as version 0.1 created them.
FORMAT_2 = """
CREATE TABLE collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, space_id TEXT NOT NULL,
    created REAL NOT NULL, sequence INTEGER NOT NULL DEFAULT 0, events_deleted INTEGER NOT NULL DEFAULT 0);
CREATE TABLE items (
    row INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, item_id TEXT NOT NULL,
    sequence INTEGER NOT NULL, document TEXT NOT NULL, UNIQUE (collection, item_id));
CREATE TABLE inputs (
    row INTEGER NOT NULL, channel TEXT NOT NULL, position INTEGER NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (row, channel, position)) WITHOUT ROWID;
CREATE INDEX inputs_content ON inputs (content);
CREATE TABLE pictures (
    content BLOB NOT NULL, encoder TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (content, encoder));
CREATE TABLE vectors (
    content BLOB NOT NULL, encoder TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (content, encoder));
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, event_id TEXT NOT NULL, user_id TEXT NOT NULL,
    item_id TEXT NOT NULL, type INTEGER NOT NULL, time REAL NOT NULL, quantity REAL NOT NULL, value REAL,
    recommendation_id TEXT NOT NULL, sequence INTEGER NOT NULL, UNIQUE (collection, event_id));
CREATE INDEX events_user ON events (collection, user_id, time);
PRAGMA user_version=2;
"""
TEXT, VECTOR = "red shoe", np.arange(8, dtype="<f4")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder of a store of format 2 with one item and one event."""
    connection = sqlite3.connect(tmp_path / FILE)
    connection.executescript(FORMAT_2)
    content = content_hash(TEXT.encode())
    document = Document({"text": TEXT}, {}, ()).dump()
    connection.execute("INSERT INTO collections (name, space_id, created) VALUES ('shop', 'sp-1', 1.0)")
    connection.execute(
        "INSERT INTO items (collection, item_id, sequence, document) VALUES (1, 'a', 1, ?)", (document,)
    )
    connection.execute("INSERT INTO inputs VALUES (1, 'text', 0, ?)", (content,))
    connection.execute("INSERT INTO vectors VALUES (?, 'encoder-t', ?)", (content, VECTOR.tobytes()))
    connection.execute("INSERT INTO events VALUES (1, 1, 'e', 'u', 'a', 3, 5.0, 1.0, NULL, '', 1)")
    connection.commit()
    connection.close()
    return tmp_path


def test_a_store_of_format_2_is_converted_and_its_contents_are_accepted(old: Path) -> None:
    for _ in range(2):
        store = Store(old)
        try:
            reader = store.reader()
            assert reader.items(1, ["a"], ENCODERS)["a"].document.texts == {"text": TEXT}
            [stored] = reader.raw_vectors(1, ENCODERS)
            assert stored.whole
            np.testing.assert_array_equal(stored.vectors["text"][0], VECTOR)
            assert reader.history(1, "u", 9) == [EventRecord("e", "u", "a", 3, 5.0)]
            assert reader.streams(1) == []
            assert reader.problems() == []
        finally:
            store.close()


def test_a_converted_store_takes_new_items_and_deletions(old: Path) -> None:
    store = Store(old)
    try:
        fill(store, "new", 3)
        assert all(i.whole for i in store.reader().raw_vectors(2, ENCODERS))
        tidy_up(store)
        assert store.reader().problems() == []
    finally:
        store.close()


def test_a_store_that_is_not_converted_cannot_be_read_beside_the_server(old: Path) -> None:
    with pytest.raises(FailedPrecondition, match="format 2, not 5: serve it once"):
        Store.read_only(old)


def test_of_an_unknown_format_is_refused(tmp_path: Path) -> None:
    for version in (1, 99):
        connection = sqlite3.connect(tmp_path / FILE)
        connection.execute(f"PRAGMA user_version={version}")
        connection.close()
        with pytest.raises(FailedPrecondition, match=f"format {version}"):
            Store(tmp_path)


def test_a_converted_store_has_the_tables_and_indexes_of_a_new_one(old: Path, tmp_path: Path) -> None:
    def shape(folder: Path) -> dict[str, list[str]]:
        Store(folder).close()
        connection = sqlite3.connect(folder / FILE)
        names = connection.execute(
            "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        ).fetchall()
        columns = {
            name: sorted(row[1] for row in connection.execute(f"PRAGMA table_info({name})"))
            if kind == "table"
            else [row[2] for row in connection.execute(f"PRAGMA index_info({name})")]
            for kind, name in names
        }
        connection.close()
        return columns

    new = tmp_path / "new"
    new.mkdir()
    assert shape(old) == shape(new)
