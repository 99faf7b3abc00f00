"""Loading of derived files at a start: only files that were built from the present store are used."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.fusion.tables import Tables
from itemlens_server.index.hnsw import HnswIndex
from itemlens_server.services import ItemInput, QueryRequest, event_tables, live_counts
from support import spaces
from support.live import Live, contents
from support.spaces import Tiny
from support.tables import entry

PURCHASE = 5
WORDS = ("red running shoe", "blue silk dress", "steel kettle", "island tour")


@pytest.fixture(autouse=True)
def without_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_tables, "REST", 0)
    monkeypatch.setattr(live_counts, "REST", 0)


@pytest.fixture
def filled(live: Live) -> Live:
    """120 items in graphs, and a table fitted to 180 events."""
    put(live, "i", range(120))
    buy(live, "u", range(60))
    maintain(live)
    assert graph_rows(live) == 120 and live.collection.event_tables.tables is not None
    return live


def put(live: Live, prefix: str, numbers: range, text: str = "") -> None:
    themes = [theme for theme in spaces.THEMES if theme != "fund"]
    items = []
    for n in numbers:
        words = [w for w in spaces.THEMES[themes[n % len(themes)]] if w.isascii()]
        own = text or f"{list(spaces.COLOURS)[n % 4]} {words[n % len(words)]} {words[n // 7 % len(words)]}"
        items.append(ItemInput(f"{prefix}{n}", contents(f"{own} {n}"), {}, ()))
    outcomes, _, _ = live.catalogue.upsert("", items, False, CallContext())
    assert all(o.error is None for o in outcomes)


def buy(live: Live, prefix: str, users: range, first: int = 0) -> None:
    live.record(*((f"{prefix}{u}", f"i{first + (u + n) % 9}", PURCHASE) for u in users for n in range(3)))


def maintain(live: Live) -> None:
    while live.catalogue.maintain():
        pass


def graph_rows(live: Live) -> int:
    assert isinstance(live.collection.index, HnswIndex)
    return live.collection.index.graph_rows()


def backup(live: Live, path: Path) -> Path:
    """A copy of the store, made with SQLite's backup."""
    with (
        contextlib.closing(sqlite3.connect(live.data / "itemlens.db")) as source,
        contextlib.closing(sqlite3.connect(path)) as copy,
    ):
        source.backup(copy)
    return path


@contextlib.contextmanager
def restarted(live: Live, restore: Path | None = None) -> Iterator[Live]:
    """A new catalogue on the same data folder, after `restore` has replaced the store, if it is given."""
    live.store.close()
    if restore is not None:
        for name in ("itemlens.db", "itemlens.db-wal", "itemlens.db-shm"):
            (live.data / name).unlink(missing_ok=True)
        shutil.copy(restore, live.data / "itemlens.db")
    again = Live(live.repository, live.data, live.space_id, candidates_per_channel=20)
    try:
        yield again
    finally:
        again.close()


def assert_right(live: Live, *words: str) -> None:
    """Check that lists equal those of a scan."""
    for text in words or WORDS:
        request = QueryRequest(content=contents(text))
        served, exact = live.ask(request, k=10), live.ask(request, k=10, exact=True)
        least = exact.items[-1].score - 1e-5
        assert sum(item.score >= least for item in served.items) == len(exact.items)


class TestRestore:
    def test_after_a_backup_is_put_back_new_items_are_found(
        self, filled: Live, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        saved = backup(filled, tmp_path / "backup.db")
        put(filled, "late", range(60))
        maintain(filled)
        assert graph_rows(filled) == 180
        with restarted(filled, saved) as live:
            assert "other items" in caplog.text and graph_rows(live) == 120  # of the items before the backup
            put(live, "fund", range(60), "green savings fund bond")
            assert_right(live, "green fund", "savings bond", *WORDS)
            with restarted(live) as again:
                assert_right(again, "green fund", "savings bond", *WORDS)
                maintain(again)
                assert graph_rows(again) == 180
                assert_right(again, "green fund", "savings bond", *WORDS)

    def test_what_was_learnt_after_the_backup_is_forgotten(self, filled: Live, tmp_path: Path) -> None:
        saved = backup(filled, tmp_path / "backup.db")
        buy(filled, "late", range(30), first=20)
        maintain(filled)
        assert "i25" in filled.tables.rows
        with restarted(filled, saved) as live:
            assert "i25" not in live.tables.rows

    def test_a_user_who_is_deleted_after_it_is_unlearnt(self, filled: Live, tmp_path: Path) -> None:
        filled.record(*(("secret", i, PURCHASE) for i in ("i1", "only-secret")))
        saved = backup(filled, tmp_path / "backup.db")
        for n in range(30):  # sequence numbers are ahead of the backup's
            buy(filled, f"late{n}-", range(1))
        maintain(filled)
        with restarted(filled, saved) as live:
            maintain(live)
            assert "only-secret" in live.tables.rows
            live.delete_user("secret")
            maintain(live)
            assert "only-secret" not in live.tables.rows

    def test_numbers_of_writes_say_nothing_of_what_was_written(self, filled: Live, tmp_path: Path) -> None:
        saved = backup(filled, tmp_path / "backup.db")
        buy(filled, "secret", range(30), first=20)
        maintain(filled)
        with restarted(filled, saved) as live:
            buy(live, "other", range(30), first=40)
            with restarted(live) as again:
                rows = again.tables.rows
                assert "i25" not in rows

    def test_another_store_in_the_same_folder_is_served_as_it_is(self, filled: Live, tmp_path: Path) -> None:
        other = Live(filled.repository, tmp_path / "other", filled.space_id)
        put(other, "i", range(100, 240))
        buy(other, "other", range(60), first=100)
        saved = backup(other, tmp_path / "other.db")
        other.close()
        with restarted(filled, saved) as live:
            assert graph_rows(live) == 0
            assert set(live.tables.rows) == {f"i{n}" for n in range(100, 109)}
            assert_right(live)

    def test_a_copy_of_the_whole_folder_takes_all_of_it(
        self, filled: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(*_: object, **__: object) -> None:
            raise AssertionError("fitted again")

        filled.store.close()
        shutil.copytree(filled.data, tmp_path / "copy")
        monkeypatch.setattr(Tables, "of", fails)
        copy = Live(filled.repository, tmp_path / "copy", filled.space_id, candidates_per_channel=20)
        assert graph_rows(copy) == 120 and copy.collection.event_tables.tables is not None
        assert_right(copy)
        copy.close()


class TestDamage:
    @staticmethod
    def said(live: Live) -> list[float]:
        """What taking i1 says of others."""
        tables = live.collection.event_tables.tables
        assert tables is not None
        both = (tables.behaviour, tables.sequence)
        return [entry(table, tables, "i1", i) for table in both for i in ("i2", "i3")]

    def test_of_any_derived_file_costs_no_start_and_no_answer(self, filled: Live) -> None:
        rng = np.random.default_rng(4)
        files = {p: p.read_bytes() for p in filled.collection.folder.path.rglob("*") if p.is_file()}
        assert len(files) >= 4
        before = self.said(filled)
        live = filled
        for path, intact in files.items():
            flipped = bytearray(intact)
            flipped[rng.integers(len(intact))] ^= 1 << int(rng.integers(8))
            for content in (bytes(flipped), intact[: rng.integers(len(intact))], b"null", b""):
                path.write_bytes(content)
                with restarted(live) as live:
                    assert_right(live)
                    assert self.said(live) == pytest.approx(before)
                # A start deletes tables whose counts are damaged.
                for other, content in files.items():
                    other.write_bytes(content)

    def test_a_folder_in_the_place_of_a_file_costs_no_start(self, filled: Live) -> None:
        path = filled.collection.folder.path / event_tables.TABLE_FILE
        path.unlink()
        path.mkdir()
        with restarted(filled) as live:
            assert live.collection.event_tables.tables is not None


class TestBehaviourAtStart:
    def test_of_many_events_it_is_learnt_in_the_background_and_the_log_says_so(
        self, filled: Live, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(live_counts, "COUNTED_AT_START", 100)
        (filled.collection.folder.path / event_tables.TABLE_FILE).unlink()
        with restarted(filled) as live:
            assert live.collection.event_tables.tables is None
            assert "in the background" in caplog.text
            maintain(live)
            assert live.collection.event_tables.tables is not None

    def test_of_many_items_it_is_learnt_in_the_background(
        self, filled: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(event_tables, "ITEMS_AT_START", 8)
        (filled.collection.folder.path / event_tables.TABLE_FILE).unlink()
        with restarted(filled) as live:
            assert (
                live.collection.event_tables.counts is not None
                and live.collection.event_tables.counts.current is not None
            )
            assert live.collection.event_tables.tables is None
            maintain(live)
            assert live.collection.event_tables.tables is not None

    def test_a_failure_costs_no_start(self, filled: Live, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(*_: object, **__: object) -> None:
            raise MemoryError

        (filled.collection.folder.path / event_tables.TABLE_FILE).unlink()
        with monkeypatch.context() as patched:
            patched.setattr(Tables, "of", fails)
            with restarted(filled) as live:
                assert live.collection.event_tables.tables is None


class TestFolders:
    def test_of_collections_that_are_gone_are_removed_at_a_start(self, filled: Live) -> None:
        gone = filled.data / "collections" / "99"
        gone.mkdir()
        (gone / "behaviour.npz").touch()
        with restarted(filled) as live:
            assert [p.name for p in (live.data / "collections").iterdir()] == [str(live.collection.record.id)]

    def test_hold_nothing_that_a_killed_process_left(self, filled: Live) -> None:
        folder = filled.collection.folder.path
        kept = {p.name for p in folder.iterdir()}
        (folder / "tmpx1.npz").touch()
        (folder / f".graphs-{filled.space_id}.old").mkdir()
        (folder / f"graphs-{filled.space_id}.x1").mkdir()
        (folder / "graphs-sp-0").mkdir()
        with restarted(filled) as live:
            assert {p.name for p in folder.iterdir()} == kept and graph_rows(live) == 120

    def test_are_not_made_again_by_what_was_being_built(
        self, filled: Live, repository: ModelRepository
    ) -> None:
        collection, folder = filled.collection, filled.collection.folder.path
        put(filled, "more", range(60))
        filled.catalogue.delete("default")
        collection.maintain(filled.store)
        assert not folder.exists()

    def test_stay_gone_after_a_move_too(self, filled: Live, tiny: Tiny) -> None:
        old, folder = filled.collection, filled.collection.folder.path
        put(filled, "more", range(60))
        filled.catalogue.move("default", tiny.plain)
        filled.catalogue.delete("default")
        assert old.index.build(old.snapshot().view) and not folder.exists()
