"""Damaged data is never served silently: contents have checksums, and SQLite's errors become clear ones."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from itemlens_server.errors import DataLoss
from itemlens_server.storage import writes
from itemlens_server.storage.records import DamagedItem, Document, content_hash
from itemlens_server.storage.store import FILE, Store
from support.filled import ENCODERS, edit, fill

ITEMS = 40
TEXT = content_hash(b"a 3 ".ljust(20, b"x"))
PICTURE = content_hash(b"PICTURE 3")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a closed store with a collection "a". The tests damage its item a3."""
    store = Store(tmp_path / "data")
    fill(store, "a", ITEMS)
    store.close()
    return store.directory


def flip_blob(data: Path, table: str, column: str, where: str, bit: int = 0) -> None:
    """Flip one bit in the middle of a blob."""
    store = Store(data)

    def flip(c: sqlite3.Connection) -> None:
        [blob] = c.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()
        changed = bytearray(blob)
        changed[len(changed) // 2] ^= 1 << bit
        c.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (bytes(changed),))

    store.write(flip)
    store.close()


def damaged_items(data: Path) -> list[str]:
    store = Store(data)
    try:
        return [i.item_id for i in store.reader().raw_vectors(1, ENCODERS) if not i.whole]
    finally:
        store.close()


def problems(data: Path) -> list[str]:
    store = Store(data)
    try:
        return store.reader().problems()
    finally:
        store.close()


def test_a_whole_store_has_no_problems(data: Path) -> None:
    assert problems(data) == damaged_items(data) == []


@pytest.mark.parametrize("bit", [0, 7])
@pytest.mark.parametrize("content", [TEXT, PICTURE])
def test_a_flipped_bit_in_a_vector_takes_its_item_out(data: Path, content: bytes, bit: int) -> None:
    flip_blob(data, "vectors", "data", f"content = x'{content.hex()}'", bit)
    assert damaged_items(data) == ["a3"]
    assert [content.hex() in problem for problem in problems(data)] == [True]
    store = Store(data)
    try:
        assert store.reader().vector(content, ENCODERS["text" if content == TEXT else "image"]) is None
    finally:
        store.close()


@pytest.mark.parametrize("table", ["vectors", "inputs"])
def test_a_flipped_bit_in_the_hash_of_a_content_takes_its_item_out(data: Path, table: str) -> None:
    flip_blob(data, table, "content", f"content = x'{TEXT.hex()}'")
    assert damaged_items(data) == ["a3"]


def test_a_vector_that_is_written_again_is_mended(data: Path) -> None:
    flip_blob(data, "vectors", "data", f"content = x'{TEXT.hex()}'")
    store = Store(data)
    try:
        vector = np.arange(8, dtype=np.float32)
        store.write(lambda c: writes.mend_vectors(c, {(TEXT, ENCODERS["text"]): vector}))
        np.testing.assert_array_equal(store.reader().vector(TEXT, ENCODERS["text"]), vector)
        assert store.reader().problems() == []
    finally:
        store.close()


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE items SET document = replace(document, 'a 3', 'a 2') WHERE item_id = 'a3'", "texts"),
        ("UPDATE items SET document = CAST(x'7bff' AS TEXT) WHERE item_id = 'a3'", "texts"),
        ("UPDATE inputs SET channel = 'imagf' WHERE channel = 'image' AND row = 4", "list of its contents"),
        ("DELETE FROM inputs WHERE channel = 'image' AND row = 4", "list of its contents"),
        ("UPDATE inputs SET row = 400 WHERE channel = 'image' AND row = 4", "list of its contents"),
        ("UPDATE pictures SET data = CAST('PICTURE 2' AS BLOB) WHERE data = CAST('PICTURE 3' AS BLOB)", "'image'"),
        ("DELETE FROM pictures WHERE data = CAST('PICTURE 3' AS BLOB)", "'image'"),
    ],
)  # fmt: skip
def test_a_damaged_item_is_an_error_that_names_it_and_the_others_are_read(
    data: Path, statement: str, what: str
) -> None:
    edit(data, statement)
    store = Store(data)
    try:
        reader = store.reader()
        with pytest.raises(DataLoss, match=rf"item 'a3' is damaged in the store .*{what}.*write it again"):
            reader.items(1, ["a2", "a3"], ENCODERS, data=True)
        assert set(reader.items(1, ["a2", "a4"], ENCODERS, data=True)) == {"a2", "a4"}
        # It can be written again, and deleted.
        [(deleted, *_)] = [store.write(lambda c: writes.delete_items(c, 1, ["a3"]))]
        assert list(deleted) == ["a3"]
    finally:
        store.close()


def test_a_damaged_document_is_an_error_wherever_it_is_read(data: Path) -> None:
    edit(data, "UPDATE items SET document = replace(document, '3', '2') WHERE item_id = 'a3'")
    store = Store(data)
    try:
        for read in (
            lambda r: list(r.documents(1, ["a3"])),
            lambda r: r.items(1, ["a3"], ENCODERS),
        ):
            with pytest.raises(DataLoss, match="'a3'"):
                read(store.reader())
    finally:
        store.close()


@pytest.mark.parametrize("damaged", ["replace(document, '3', '2')", "CAST(x'7bff' AS TEXT)"])
def test_vectors_are_read_without_the_attributes_of_a_damaged_document(data: Path, damaged: str) -> None:
    edit(data, f"UPDATE items SET document = {damaged} WHERE item_id = 'a3'")
    with closing(Store(data)) as store:
        found = {i.item_id: i for i in store.reader().raw_vectors(1, ENCODERS, documents=True)}
    assert found["a3"].whole and not found["a3"].attributes
    assert found["a2"].attributes


def test_a_page_goes_on_after_a_damaged_document(data: Path) -> None:
    edit(data, "UPDATE items SET document = replace(document, '3', '2') WHERE item_id = 'a3'")
    store = Store(data)
    try:
        page = [item for _, item in store.reader().page(1, b"", 100)]
        [damaged] = [item for item in page if isinstance(item, DamagedItem)]
        assert (damaged.item_id, "'a3'" in str(damaged.error)) == ("a3", True)
        assert [item.item_id for item in page] == sorted(item.item_id for item in page)
        assert page[-1].item_id != "a3" and len(page) == store.reader().counts(1)[0]
    finally:
        store.close()


def test_pages_come_to_an_end_where_an_id_is_damaged(data: Path) -> None:
    edit(data, "UPDATE items SET item_id = CAST(x'61ff' AS TEXT) WHERE item_id = 'a3'")
    with closing(Store(data)) as store:
        count, key, found = store.reader().counts(1)[0], b"", []
        while page := list(store.reader().page(1, key, 1)):
            [(key, item)] = page
            found.append(item.item_id)
            assert len(found) <= count
        assert len(found) == count


@pytest.mark.parametrize("changed", ["b3", "a\x80"])
def test_a_damaged_id_takes_the_item_out(data: Path, changed: str) -> None:
    edit(data, "UPDATE items SET item_id = CAST(? AS TEXT) WHERE item_id = 'a3'", changed.encode("latin-1"))
    assert len(damaged_items(data)) == 1
    assert len(problems(data)) == 2


@pytest.mark.parametrize(
    "change",
    ["item_id = 'a4'", "user_id = 'user 1'", "time = 77", "type = 4", "item_id = CAST(x'ff' AS TEXT)"],
)
def test_a_damaged_event_does_not_count(data: Path, change: str) -> None:
    edit(data, f"UPDATE events SET {change} WHERE event_id = 'e3'")
    store = Store(data)
    try:
        reader = store.reader()
        kept = {e.event_id for user in range(3) for e in reader.history(1, f"user {user}", 100)}
        assert kept == {f"e{n}" for n in range(ITEMS)} - {"e3"}
        assert len(list(reader.events(1))) == ITEMS - 1
        assert len(reader.problems()) == 1
    finally:
        store.close()


def test_pages_that_sqlite_cannot_read_are_a_clear_error(data: Path) -> None:
    file = data / FILE
    content = bytearray(file.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 64] = b"\xa5" * 64
    file.write_bytes(bytes(content))
    with pytest.raises(DataLoss, match=r"itemlens\.db is damaged .*restore a backup"):
        store = Store(data)
        try:
            list(store.reader().raw_vectors(1, ENCODERS))
        finally:
            store.close()


@pytest.mark.parametrize(
    "damage", [(b"inputs_checksum INTEGER", b"inputs_checksun INTEGER"), (b"created REAL", b"cr\xceated REA")]
)
def test_a_damaged_schema_is_a_clear_error(data: Path, damage: tuple[bytes, bytes]) -> None:
    file = data / FILE
    file.write_bytes(file.read_bytes().replace(*damage))
    with pytest.raises(DataLoss, match=r"itemlens\.db is damaged"):
        store = Store(data)
        try:
            store.reader().collections()
            list(store.reader().raw_vectors(1, ENCODERS))
        finally:
            store.close()


def test_a_write_that_meets_damage_fails_and_the_others_continue(data: Path) -> None:
    store = Store(data)

    def meet(_: object) -> None:
        raise DataLoss("damaged")

    try:
        with pytest.raises(DataLoss):
            store.write(meet)
        assert fill(store, "b", 2)
    finally:
        store.close()


def test_a_vector_of_format_2_that_is_not_finite_is_not_taken(data: Path) -> None:
    edit(data, "UPDATE vectors SET checksum = NULL")
    assert damaged_items(data) == []
    nan = np.full(8, np.nan, "<f4").tobytes()
    edit(data, f"UPDATE vectors SET data = ? WHERE content = x'{TEXT.hex()}'", nan)
    assert damaged_items(data) == ["a3"]


def test_what_a_document_says_survives(data: Path) -> None:
    store = Store(data)
    try:
        assert dict(store.reader().documents(1, ["a3"])) == {
            "a3": Document({"text": "a 3 ".ljust(20, "x")}, {"price": 3}, ())
        }
    finally:
        store.close()
