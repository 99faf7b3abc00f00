"""Deletions of any size take effect at once, run between other writes, and release their space."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from itemlens_server.errors import StorageFull
from itemlens_server.storage import slices, tidying, writes
from itemlens_server.storage.connection import JOURNAL_BYTES, connect
from itemlens_server.storage.store import FILE, Store
from itemlens_server.storage.tidying import tidy
from support.filled import ENCODERS, count, edit, fill, item, tidy_up

TABLES = ("items", "inputs", "vectors", "pictures", "events", "deleted_collections")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


def delete(store: Store, collection: int) -> None:
    store.write(lambda c: writes.delete_collection(c, collection))


class TestADeletedCollection:
    def test_is_gone_at_once_and_its_name_is_free(self, store: Store) -> None:
        old = fill(store, "shop", 10)
        delete(store, old)
        assert store.reader().collections() == []
        assert fill(store, "shop", 2) > old
        tidy_up(store)
        assert store.reader().counts(old) == (0, 0, 0)
        assert (count(store, "items"), count(store, "vectors"), count(store, "events")) == (2, 4, 2)

    def test_leaves_nothing_and_takes_nothing_of_others(self, store: Store) -> None:
        # The pictures are the same in both.
        gone, kept = fill(store, "a", 120), fill(store, "b", 120)
        delete(store, gone)
        tidy_up(store)
        assert [count(store, table) for table in TABLES] == [120, 240, 240, 120, 120, 0]
        assert len(store.reader().items(kept, [f"b{n}" for n in range(120)], {})) == 120
        delete(store, kept)
        tidy_up(store)
        assert [count(store, table) for table in TABLES] == [0] * 6

    def test_is_emptied_however_many_contents_its_items_have(self, store: Store) -> None:
        collection = store.write(lambda c: writes.create_collection(c, "a", "sp-1")).id
        pictures = [tuple(f"{n} {m}".encode() for m in range(170)) for n in range(200)]
        items = [item(str(n), str(n), own) for n, own in enumerate(pictures)]
        store.write(lambda c: writes.upsert_items(c, collection, items, ENCODERS))
        assert count(store, "pictures") == 34_000
        delete(store, collection)
        tidy_up(store)
        assert [count(store, table) for table in TABLES] == [0] * 6

    def test_is_emptied_by_the_next_start_if_the_server_is_killed(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        collection = fill(store, "a", 120)
        store.close()
        # The state after a kill: the deletion is on disk, and a slice of the rows is deleted.
        connection = connect(tmp_path / FILE, cache_bytes=1 << 20)
        writes.delete_collection(connection, collection)
        writes.delete_rows(connection, [1, 2, 3])
        connection.close()
        again = Store(tmp_path)
        try:
            assert again.reader().collections() == []
            tidy_up(again)
            assert [count(again, table) for table in TABLES] == [0] * 6
        finally:
            again.close()

    def test_is_emptied_slice_by_slice(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        collection = fill(store, "a", 120)
        monkeypatch.setattr(slices, "SLICE_SECONDS", 0)
        monkeypatch.setattr(tidying, "ROWS_AT_A_TIME", 50)
        connection = connect(store.directory / FILE, cache_bytes=1 << 20)
        left = []
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            writes.delete_collection(connection, collection)
            while tidy(connection):
                left.append(connection.execute("SELECT count(*) FROM items").fetchone()[0])
        connection.close()
        assert left[:3] == [70, 20, 0]


class TestSpace:
    def test_of_deleted_rows_goes_back_to_the_disk(self, store: Store) -> None:
        fill(store, "kept", 20, text_bytes=2000)
        collection = fill(store, "large", 500, text_bytes=4000)
        # A checkpoint copies the write-ahead log into the file.
        store.write(tidy)
        store.reader()._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        full = (store.directory / FILE).stat().st_size
        delete(store, collection)
        tidy_up(store)
        store.close()
        assert (store.directory / FILE).stat().st_size < full / 4

    def test_of_the_log_is_bounded_after_a_large_write(self, store: Store) -> None:
        fill(store, "large", 1000, text_bytes=10_000)
        for n in range(3):
            fill(store, f"c{n}", 1)
        assert (store.directory / f"{FILE}-wal").stat().st_size <= JOURNAL_BYTES

    def test_is_free_for_new_items_where_the_limit_was_reached(self, tmp_path: Path) -> None:
        store = Store(tmp_path, max_bytes=2_000_000)
        try:
            collection = fill(store, "large", 300, text_bytes=4000)
            with pytest.raises(StorageFull):
                fill(store, "more", 300, text_bytes=4000)
            delete(store, collection)
            tidy_up(store)
            fill(store, "another", 300, text_bytes=4000)
        finally:
            store.close()

    def test_of_an_old_file_goes_back_once_it_is_compacted(self, tmp_path: Path) -> None:
        Store(tmp_path).close()
        edit(tmp_path, "PRAGMA auto_vacuum=NONE")
        edit(tmp_path, "VACUUM")
        store = Store(tmp_path)
        collection = fill(store, "large", 500, text_bytes=4000)
        delete(store, collection)
        tidy_up(store)
        store.compact()
        assert (tmp_path / FILE).stat().st_size < 200_000
        collection = fill(store, "large", 500, text_bytes=4000)
        delete(store, collection)
        tidy_up(store)
        store.close()
        assert (tmp_path / FILE).stat().st_size < 400_000


class TestManyRowsOfOneCall:
    def test_items_are_deleted_slice_by_slice(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        collection = fill(store, "a", 5)
        monkeypatch.setattr(slices, "SLICE_SECONDS", 0)
        monkeypatch.setattr(slices, "LONG_SLICE_SECONDS", 0)
        ids = ["a0", "nope", "a1"]
        deleted, first, done = store.write(lambda c: writes.delete_items(c, collection, ids))
        assert (list(deleted), done) == (["a0"], 1)
        deleted, second, done = store.write(lambda c: writes.delete_items(c, collection, ids[1:]))
        assert (list(deleted), done) == ([], 1) and second > first

    def test_events_of_a_user_are_deleted_slice_by_slice(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, two = fill(store, "a", 9), fill(store, "b", 9)
        monkeypatch.setattr(slices, "SLICE_SECONDS", 0)
        monkeypatch.setattr(writes, "EVENTS_AT_A_TIME", 2)
        said: list[tuple[dict[int, list[int]], bool]] = []
        while not said or not said[-1][1]:
            said.append(store.write(lambda c: writes.delete_user(c, [one, two], "user 0")))
        assert sum(len(rows) for deleted, _ in said for rows in deleted.values()) == 6 and len(said) > 2
        reader = store.reader()
        assert reader.history(one, "user 0", 9) == reader.history(two, "user 0", 9) == []
        assert len(reader.history(two, "user 1", 9)) == 3
        assert reader.events_deleted(one) and reader.events_deleted(two)
