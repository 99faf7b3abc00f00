"""Counts of a collection follow its store: after any writes, deletions, restarts and damage they equal a recount."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from itemlens_server.derived import DerivedFolder
from itemlens_server.engine import fitted
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.fusion import taken
from itemlens_server.fusion.counts import file
from itemlens_server.fusion.counts.comparison import differences
from itemlens_server.fusion.counts.counts import Counts
from itemlens_server.fusion.counts.histories import Histories
from itemlens_server.fusion.counts.recount import Recount
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.tables_process import TablesProcess
from itemlens_server.fusion.terms.popularity import counts as popularity
from itemlens_server.fusion.weights import TableRules
from itemlens_server.services import Collection, EventRecord, QueryRequest, event_tables, live_counts
from itemlens_server.services.live_counts import LiveCounts, recount
from itemlens_server.storage import writes
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.store import Store
from support import spaces
from support.live import Live
from support.spaces import Tiny

KINDS = {2: taken.GLANCE, 3: taken.TAKE, 5: taken.BOUGHT, 6: taken.RETURNED, 7: taken.REJECTED}
VIEW, IMPRESSION, PURCHASE = 2, 1, 5


class Follower:
    """A store, and counts that follow it as a collection's do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder)
        self.collection = 1
        if not self.store.reader().collections():
            self.collection = self.store.write(lambda c: writes.create_collection(c, "c", "sp-1")).id
        self.live = LiveCounts(self.collection, DerivedFolder(folder / "derived"), KINDS, 100)
        self.used = self.live.load(self.store.reader())
        self.events = self.store.reader().counts(self.collection)[1]

    def record(self, *events: tuple[str, str, int, float]) -> None:
        new = [
            EventRecord(f"e{self.events + n}", u, i, kind, at) for n, (u, i, kind, at) in enumerate(events)
        ]
        self.events += len(new)

        def after(result: tuple[list[tuple[int | None, EventRecord]], int]) -> None:
            stored, sequence = result
            self.live.recorded([(event, row) for row, event in stored if row is not None], sequence)

        self.store.write(lambda c: writes.record_events(c, self.collection, new), after)

    def delete(self, user: str) -> None:
        def after(result: tuple[dict[int, list[int]], bool]) -> None:
            for rows in result[0].values():
                self.live.deleted(user, rows)

        self.store.write(lambda c: writes.delete_user(c, [self.collection], user), after)

    def files(self) -> list[Path]:
        return list((self.folder / "derived").glob("*.npz"))

    def again(self) -> Follower:
        self.store.close()
        return Follower(self.folder)

    @property
    def counts(self) -> Counts:
        assert self.live.current is not None
        return self.live.current

    def assert_right(self) -> None:
        reader = self.store.reader()
        assert differences(self.counts.counted(), recount(reader, self.collection, KINDS)) == []


@pytest.fixture
def follower(tmp_path: Path) -> Follower:
    return Follower(tmp_path / "data")


def some(follower: Follower, users: int = 8, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    follower.record(*(
        (f"u{u}", f"i{i}", kind, float(at))
        for u, i, kind, at in zip(
            rng.integers(0, users, 60).tolist(),
            rng.integers(0, 20, 60).tolist(),
            rng.choice([VIEW, IMPRESSION, PURCHASE], 60).tolist(),
            rng.integers(0, 9, 60) * 50_000,
            strict=True,
        )
    ))  # fmt: skip


def fails(*_: object) -> None:
    raise MemoryError


def cannot(*_: object, **__: object) -> None:
    raise PermissionError("operation not permitted")


def test_any_writes_deletions_and_restarts_end_in_a_recount(follower: Follower) -> None:
    rng = np.random.default_rng(3)
    used = 0
    for step in range(60):
        match rng.integers(0, 6):
            case 0 | 1 | 2:
                some(follower, seed=step)
            case 3:
                follower.delete(f"u{rng.integers(0, 8)}")
            case 4:
                follower.live._rests_until = 0.0
                follower.live.save(follower.store)
            case _:
                follower = follower.again()
                used += bool(follower.used)
        follower.assert_right()
    assert used > 2


def test_events_of_other_types_do_not_count(follower: Follower) -> None:
    follower.record(("u", "a", IMPRESSION, 1.0), ("u", "b", PURCHASE, 1.0))
    assert follower.counts.counted().item_ids == ("b",)


def test_events_of_other_types_are_not_read_again(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(follower)
    follower.record(*(("u", "a", IMPRESSION, float(n)) for n in range(5)))
    assert follower.counts.last == 65
    assert follower.live.save(follower.store)
    follower.record(("u", "b", IMPRESSION, 1.0))
    rows = list[int]()
    events_after = Reader.events_after

    def reading(self: Reader, collection: int, row: int) -> Iterator[Any]:
        rows.append(row)
        return events_after(self, collection, row)

    monkeypatch.setattr(Reader, "events_after", reading)
    follower = follower.again()
    assert rows == [65] and follower.counts.last == 66
    follower.assert_right()


class TestFile:
    def test_is_read_at_a_start_with_the_events_after_it(
        self, follower: Follower, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        some(follower)
        assert follower.live.save(follower.store)
        some(follower, seed=1)
        follower.store.close()
        monkeypatch.setattr(live_counts, "COUNTED_AT_START", 0)  # all events cannot have been counted
        again = Follower(follower.folder)
        assert again.used
        again.assert_right()

    def test_is_written_after_enough_events_and_alone(
        self, follower: Follower, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live_counts, "REST", 0)
        some(follower)
        assert follower.live.save(follower.store) and not follower.live.save(follower.store)
        some(follower, seed=1)
        assert not follower.live.save(follower.store)
        monkeypatch.setattr(live_counts, "EVENTS_BETWEEN_FILES", 50)
        assert follower.live.save(follower.store)
        assert len(follower.files()) == 1

    def test_older_than_a_deletion_is_gone_and_one_put_back_is_not_used(
        self, follower: Follower, tmp_path: Path
    ) -> None:
        some(follower)
        follower.live.save(follower.store)
        [path] = follower.files()
        shutil.copy(path, tmp_path / "copy")
        follower.delete("u1")
        assert follower.files() == []
        shutil.copy(tmp_path / "copy", path)
        again = follower.again()
        assert not again.used
        again.assert_right()

    def test_is_not_valid_if_a_user_is_deleted_while_it_is_written(
        self, follower: Follower, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        some(follower)
        save = file.save

        def slowly(path: Path, *rest: Any) -> None:
            save(path, *rest)
            follower.delete("u1")

        monkeypatch.setattr(file, "save", slowly)
        assert not follower.live.save(follower.store)
        again = follower.again()
        assert not again.used and again.files() == []
        again.assert_right()

    @pytest.mark.parametrize("failing", ["file", "mark"])
    def test_that_cannot_be_written_leaves_the_one_before_and_is_not_tried_again_at_once(
        self, follower: Follower, monkeypatch: pytest.MonkeyPatch, failing: str
    ) -> None:
        def full(*_: object) -> None:
            raise OSError("no space left on device")

        monkeypatch.setattr(live_counts, "REST", 0)
        monkeypatch.setattr(live_counts, "EVENTS_BETWEEN_FILES", 1)
        some(follower)
        assert follower.live.save(follower.store)
        before = list((follower.folder / "derived").iterdir())
        some(follower, seed=1)
        with monkeypatch.context() as patched:
            patched.setattr(*(os, "fsync") if failing == "file" else (writes, "mark_counts"), full)
            with pytest.raises(OSError, match="no space"):
                follower.live.save(follower.store)
        assert list((follower.folder / "derived").iterdir()) == before
        assert not follower.live.save(follower.store)
        follower.live._rests_until = 0.0
        assert follower.live.save(follower.store)
        again = follower.again()
        assert again.used
        again.assert_right()

    def test_is_not_written_of_counts_that_failed_meanwhile(
        self, follower: Follower, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        some(follower)
        state = LiveCounts._state

        def late(self: LiveCounts, store: Store) -> Any:
            with monkeypatch.context() as patched:
                patched.setattr(Counts, "_count_order", fails)
                some(follower, seed=1)
            return state(self, store)

        monkeypatch.setattr(LiveCounts, "_state", late)
        assert not follower.live.save(follower.store) and not follower.files()

    def test_that_cannot_be_deleted_is_not_used(
        self, follower: Follower, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        some(follower)
        assert follower.live.save(follower.store)
        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", cannot)
            follower.delete("u1")  # the deletion is acknowledged
        assert follower.files()
        again = follower.again()
        assert not again.used
        again.assert_right()

    def test_without_matrices_is_not_used_where_there_is_room_for_them_now(self, follower: Follower) -> None:
        follower.live.bound = 3
        assert follower.live.count(follower.store) is False
        follower.live._drop()
        some(follower)
        assert follower.live.count(follower.store) and follower.counts.pairs is None
        assert follower.live.save(follower.store)
        again = follower.again()
        assert not again.used and again.counts.pairs is not None
        again.assert_right()

    def test_of_other_rules_is_not_used(self, follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
        some(follower)
        follower.live.save(follower.store)
        follower.store.close()
        monkeypatch.setattr(file, "FORMAT", 99)
        again = Follower(follower.folder)
        assert not again.used
        again.assert_right()

    def test_that_is_damaged_is_counted_again(self, follower: Follower) -> None:
        some(follower)
        follower.live.save(follower.store)
        follower.store.close()
        [path] = follower.files()
        intact = path.read_bytes()
        rng = np.random.default_rng(2)
        for n in range(30):
            flipped = bytearray(intact)
            flipped[rng.integers(len(intact))] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(flipped) if n % 3 else intact[: rng.integers(len(intact))])
            again = Follower(follower.folder)
            again.assert_right()
            again.store.close()

    @pytest.mark.parametrize("saved_since", [False, True])
    def test_of_a_backup_that_was_put_back_is_used_only_if_it_is_of_its_events(
        self, follower: Follower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved_since: bool
    ) -> None:
        monkeypatch.setattr(live_counts, "EVENTS_BETWEEN_FILES", 1)
        some(follower)
        assert follower.live.save(follower.store)
        follower.store.close()
        shutil.copytree(follower.folder, tmp_path / "backup")
        follower = Follower(follower.folder)
        some(follower, seed=1)
        if saved_since:
            assert follower.live.save(follower.store)
        follower.store.close()
        for path in (tmp_path / "backup").glob("itemlens.db*"):
            shutil.copy(path, follower.folder / path.name)
        again = Follower(follower.folder)
        assert bool(again.used) != saved_since
        again.assert_right()


class TestInTheBackground:
    def test_many_events_are_counted_while_others_are_written(
        self, follower: Follower, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        some(follower)
        monkeypatch.setattr(live_counts, "COUNTED_AT_START", 10)
        follower = follower.again()
        assert follower.live.current is None
        self.meanwhile(monkeypatch, lambda: some(follower, seed=1))
        some(follower, seed=2)
        assert follower.live.count(follower.store)
        follower.assert_right()
        some(follower, seed=3)
        follower.assert_right()
        assert not follower.live.count(follower.store)

    def test_a_deletion_meanwhile_starts_it_again(
        self, follower: Follower, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        some(follower)
        monkeypatch.setattr(live_counts, "COUNTED_AT_START", 10)
        follower = follower.again()
        with monkeypatch.context() as patched:
            self.meanwhile(patched, lambda: follower.delete("u1"))
            assert not follower.live.count(follower.store)
        assert follower.live.count(follower.store)
        follower.assert_right()

    def test_a_failure_is_followed_by_a_recount(
        self, follower: Follower, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        some(follower)
        with monkeypatch.context() as patched:
            patched.setattr(Counts, "_count_order", fails)
            some(follower, seed=1)  # the write is acknowledged
        assert follower.live.current is None and "counted again" in caplog.text
        assert follower.live.count(follower.store)
        follower.assert_right()

    @staticmethod
    def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
        """Do something after the first batch of events was counted."""
        follow, done = LiveCounts._follow, list[bool]()

        def following(self: LiveCounts, *rest: Any) -> None:
            follow(self, *rest)
            if not done:
                done.append(True)
                act()

        monkeypatch.setattr(LiveCounts, "_follow", following)


class TestPopularity:
    def test_counts_at_the_next_read(self, live: Live) -> None:
        live.put("i0", "red shoe")
        live.record(*((f"u{n}", f"i{(n + m) % 6}", PURCHASE) for n in range(80) for m in range(2)))
        while live.catalogue.maintain():
            pass
        row = live.tables.rows["i3"]
        before = live.collection.snapshot().tables
        live.catalogue.record("", [EventRecord("new", "somebody", "i3", PURCHASE, 200.0)])
        after = live.collection.snapshot().tables
        assert before is not None and after is not None
        assert after.takers[row] == before.takers[row] + 1 and after.recent[row] == before.recent[row] + 1
        assert popularity(after)[row].tolist() > popularity(before)[row].tolist()
        live.delete_user("somebody")
        forgotten = live.collection.snapshot().tables
        assert forgotten is not None and forgotten.takers.tolist() == before.takers.tolist()
        assert forgotten.recent.tolist() == before.recent.tolist()

    def test_of_the_next_computation_is_the_same(self, live: Live) -> None:
        live.put("i0", "red shoe")
        live.record(*((f"u{n}", f"i{(n + m) % 6}", PURCHASE) for n in range(80) for m in range(2)))
        while live.catalogue.maintain():
            pass
        live.collection.event_tables._rests_until = 0.0
        live.record(*((f"v{n}", f"i{n % 6}", PURCHASE) for n in range(40)))
        read = live.collection.snapshot().tables
        assert live.collection.event_tables.fit_tables()
        assert read is not None and read.takers.tolist() == live.tables.takers.tolist()
        assert read.recent.tolist() == live.tables.recent.tolist()

    def test_alone_is_computed_without_a_count_of_all_events(
        self, repository: ModelRepository, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live = Live(repository, tmp_path / "data", tiny.plain)
        try:
            live.put("i0", "red shoe")
            monkeypatch.setattr(Recount, "of_histories", fails)
            monkeypatch.setattr(Histories, "copy", fails)
            live.record(*((f"u{n}", f"i{(n + m) % 6}", PURCHASE) for n in range(80) for m in range(2)))
            assert live.collection.event_tables.fit_tables() and sum(live.tables.takers) == 2 * 80
        finally:
            live.close()


class TestSequence:
    def test_an_event_changes_what_others_are_told_at_the_next_read_and_is_explained(
        self, live: Live
    ) -> None:
        for n in range(8):
            live.put(f"i{n}", f"red shoe {n}")
        live.record(*((f"u{n}", f"i{(n + m) % 6}", PURCHASE) for n in range(80) for m in range(2)))
        live.record(("asks", "i0", PURCHASE))
        while live.catalogue.maintain():
            pass

        def said() -> float:
            [explained] = live.explain(QueryRequest(user_id="asks"), "i4")
            assert abs(explained.residual) < 1e-4
            return sum(
                part.value for part in explained.by_source if part.kind == "SEQUENCE" and part.past_item_id
            )

        before = said()
        for n in range(5):
            live.record((f"new{n}", "i0", PURCHASE), (f"new{n}", "i4", PURCHASE))
        after = said()
        assert after > before
        for n in range(5):
            live.delete_user(f"new{n}")
        assert said() == pytest.approx(before)

    def test_is_the_same_after_a_restart_and_only_changed_rows_are_read_from_the_counts(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(event_tables, "REST", 1e9)
        live.put("i0", "red shoe")
        live.record(*((f"u{n}", f"i{(n + m) % 6}", PURCHASE) for n in range(80) for m in range(2)))
        assert live.collection.event_tables.fit_tables()
        live.record(("early", "i0", PURCHASE), ("early", "i4", PURCHASE))  # before the files are written
        while live.catalogue.maintain():
            pass
        live.record(("late", "i1", PURCHASE), ("late", "i5", PURCHASE))
        before = live.collection.snapshot().tables
        live.store.close()
        again = Live(live.repository, live.data, live.space_id)
        after = again.collection.snapshot().tables
        again.close()
        assert before is not None and after is not None and after.fresh is not None
        rows = np.arange(6)
        assert after.fresh.changed(rows).tolist() == [True, True, False, False, False, False]
        np.testing.assert_array_equal(
            before.table_rows("sequence", rows).toarray(), after.table_rows("sequence", rows).toarray()
        )
        assert before.takers.tolist() == after.takers.tolist()


class TestBehaviour:
    def test_is_computed_again_after_a_rest_and_at_once_after_a_deletion(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(event_tables, "REST", 1e9)
        live.put("i0", "red shoe")
        live.record(*((f"u{n}", f"i{(n + m) % 6}", PURCHASE) for n in range(80) for m in range(2)))
        assert live.collection.event_tables.fit_tables()
        live.record(("v", "i1", PURCHASE))
        assert not live.collection.event_tables.fit_tables()
        live.delete_user("v")
        assert live.collection.event_tables.fit_tables() and not live.collection.event_tables.fit_tables()
        live.record(("v", "i1", PURCHASE))
        live.collection.event_tables._rests_until = 0.0
        assert live.collection.event_tables.fit_tables()

    def test_is_not_tried_again_at_once_after_a_failure(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.put("i0", "red shoe")
        live.record(*((f"u{n}", f"i{(n + m) % 6}", PURCHASE) for n in range(80) for m in range(2)))

        def ended(*_: object) -> Tables:
            raise RuntimeError("no memory")

        with monkeypatch.context() as patched:
            patched.setattr(TablesProcess, "compute", ended)
            with pytest.raises(RuntimeError, match="no memory"):
                live.collection.event_tables.fit_tables()
            assert not live.collection.event_tables.fit_tables()
            live.collection.event_tables._failed_until = 0.0
        assert live.collection.event_tables.fit_tables()

    def test_knows_nothing_of_a_deleted_user_while_it_cannot_be_computed(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.put("i0", "red shoe")
        live.record(*((f"u{n}", f"i{(n + m) % 6}", PURCHASE) for n in range(80) for m in range(2)))
        assert live.collection.event_tables.fit_tables()

        def ended(*_: object) -> Tables:
            raise RuntimeError("no memory")

        monkeypatch.setattr(TablesProcess, "compute", ended)
        live.delete_user("u1")
        with pytest.raises(RuntimeError, match="no memory"):
            live.collection.event_tables.fit_tables()
        assert not live.collection.event_tables.fit_tables() and live.collection.event_tables.tables is None

    def test_computed_before_a_deletion_is_not_saved_after_it(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.put("i0", "red shoe")
        live.record(*((f"u{n}", f"i{(n + m) % 6}", PURCHASE) for n in range(80) for m in range(2)))
        live.record(("secret", "only-secret", PURCHASE))
        assert live.collection.event_tables.fit_tables()
        save = LiveCounts.save

        def late(self: LiveCounts, store: Store) -> Any:
            live.delete_user("secret")
            return save(self, store)

        with monkeypatch.context() as patched:
            patched.setattr(LiveCounts, "save", late)
            assert live.collection.event_tables.save(live.store)
        assert not (live.collection.folder.path / event_tables.TABLE_FILE).exists()
        assert live.collection.event_tables.counts is not None
        live.collection.event_tables.counts._rests_until = 0.0
        while live.catalogue.maintain():
            pass
        kept = Tables.load(live.collection.folder.path / event_tables.TABLE_FILE)
        assert kept is not None and "only-secret" not in kept.rows

    def test_is_that_of_a_server_that_never_saw_a_deleted_user(self, live: Live) -> None:
        live.put("i0", "red shoe")
        live.record(*((f"u{n}", f"i{(n + m) % 6}", PURCHASE) for n in range(80) for m in range(2)))
        assert live.collection.event_tables.fit_tables()
        before = live.tables
        live.record(*(("secret", i, PURCHASE) for i in ("i1", "only-secret", "i0", "i5")))
        live.collection.event_tables._rests_until = 0.0
        assert live.collection.event_tables.fit_tables() and "only-secret" in live.tables.rows
        while live.catalogue.maintain():
            pass
        assert len(list(live.collection.folder.path.glob("*.npz"))) == 2
        live.delete_user("secret")
        assert not list(live.collection.folder.path.glob("*.npz"))
        assert live.collection.event_tables.fit_tables()
        after = live.tables
        assert after.item_ids == before.item_ids
        for one, other in ((before.behaviour, after.behaviour), (before.sequence, after.sequence)):
            np.testing.assert_array_equal(one.toarray(), other.toarray())
        assert (before.takers == after.takers).all() and (before.recent == after.recent).all()


class TestMove:
    """To a space with another step of SEQUENCE, which needs counts of its own."""

    @pytest.fixture
    def moving(self, tiny: Tiny, tmp_path: Path) -> Iterator[tuple[Live, str]]:
        """A catalogue, and the id of the other space."""
        models = tmp_path / "models"
        shutil.copytree(tiny.models, models)
        repository = spaces.open_repository(models)
        space = repository.load(tiny.fitted)
        head = replace(space.head, table_rules=TableRules(5.0, step=0.3))
        other = fitted.write(models, space.manifest, head, "other-step").space_id
        live = Live(repository, tmp_path / "data", tiny.fitted)
        live.put("i0", "red shoe")
        live.record(*((f"u{n}", f"i{(n + m) % 6}", PURCHASE) for n in range(80) for m in range(3)))
        live.record(("secret", "only-secret", PURCHASE))
        while live.catalogue.maintain():
            pass
        yield live, other
        live.close()
        repository.close()

    @staticmethod
    def assert_right(live: Live) -> None:
        counts = live.collection.event_tables.counts
        assert counts is not None and counts.current is not None
        expected = recount(live.store.reader(), live.collection.record.id, counts._kinds, counts.step)
        assert differences(counts.current.counted(), expected) == []

    def test_takes_over_the_counts_that_were_made_for_it(
        self, moving: tuple[Live, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live, other = moving
        old = live.collection.event_tables.counts
        self.meanwhile(monkeypatch, lambda: live.record(("late", "i1", PURCHASE), ("late", "i2", PURCHASE)))
        live.catalogue.move("default", other)
        assert old is not None and old.current is None
        assert (
            live.collection.event_tables.counts is not None
            and live.collection.event_tables.counts.step == 0.3
        )
        self.assert_right(live)
        live.record(("later", "i1", PURCHASE), ("later", "i2", PURCHASE))
        live.delete_user("late")
        self.assert_right(live)

    def test_a_user_who_is_deleted_meanwhile_does_not_come_back(
        self, moving: tuple[Live, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live, other = moving
        with monkeypatch.context() as patched:
            self.meanwhile(patched, lambda: live.delete_user("secret"))
            live.catalogue.move("default", other)
        assert (
            live.collection.event_tables.counts is not None
            and live.collection.event_tables.counts.current is None
        )  # counted again
        live.store.close()
        again = Live(live.repository, live.data, live.space_id)
        self.assert_right(again)
        assert "only-secret" not in again.tables.rows
        again.close()

    def test_what_was_left_is_not_saved_any_more(self, moving: tuple[Live, str]) -> None:
        live, other = moving
        old = live.collection
        live.catalogue.move("default", other)
        live.delete_user("secret")
        assert not old.maintain(live.store)
        assert live.store.reader().counts_mark(old.record.id) is None

    @staticmethod
    def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        """Do something after the counts for the new space were made, before the collection moves."""
        prepare, done = Collection.prepare, list[bool]()

        def preparing(self: Collection, store: Store) -> bool:
            worked = prepare(self, store)
            if not done:
                done.append(True)
                act()
            return worked

        monkeypatch.setattr(Collection, "prepare", preparing)

    def test_to_a_space_without_a_fit_leaves_popularity_and_back_brings_pairs(
        self, live: Live, tiny: Tiny
    ) -> None:
        record_pairs(live)
        live.catalogue.move("default", tiny.plain)
        live.record(("late", "i1", PURCHASE), ("late", "i2", PURCHASE))
        live.delete_user("u1")
        maintain(live)
        counts = live.collection.event_tables.counts
        assert counts is not None and counts.current is not None and counts.current.pairs is None
        assert not live.tables.behaviour.nnz and not live.tables.sequence.nnz
        taken = dict(zip(live.tables.item_ids, live.tables.takers.tolist(), strict=True))
        assert sum(taken.values()) == 2 * 80 and taken["i0"] == counts.current.users_of_both("i0", ["i0"])[0]
        live.catalogue.move("default", tiny.fitted)
        self.assert_right(live)
        assert live.tables.behaviour.nnz and live.tables.sequence.nnz

    def test_to_a_space_that_does_not_use_events_ends_the_counts_and_back_begins_them(
        self, tiny: Tiny, tmp_path: Path
    ) -> None:
        models = shutil.copytree(tiny.models, tmp_path / "models")
        silent = spaces.build_fitted(models, tiny.plain, "silent", uses_events=False)
        repository = spaces.open_repository(models)
        live = Live(repository, tmp_path / "data", tiny.fitted)
        try:
            record_pairs(live)
            live.catalogue.move("default", silent)
            assert live.collection.event_tables.counts is None and live.collection.event_tables.tables is None
            live.record(("late", "i1", PURCHASE), ("late", "i2", PURCHASE))
            live.delete_user("u1")
            assert not list(live.collection.folder.path.glob("*.npz"))
            maintain(live)
            live.catalogue.move("default", tiny.fitted)
            self.assert_right(live)
            assert live.collection.event_tables.tables is not None
        finally:
            live.close()
            repository.close()


def record_pairs(live: Live) -> None:
    """Purchases of two items each by 80 users, with tables of them."""
    live.put("i0", "red shoe")
    live.record(*((f"u{n}", f"i{(n + m) % 6}", PURCHASE) for n in range(80) for m in range(2)))
    maintain(live)


def maintain(live: Live) -> None:
    while live.catalogue.maintain():
        pass


def test_a_new_collection_is_counted_without_a_look_at_others(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.put("i0", "red shoe")
    live.record(("u", "i0", PURCHASE))
    with monkeypatch.context() as patched:
        patched.setattr(Reader, "events_after", None)
        created = live.catalogue.create("new", "")
    live.catalogue.record("new", [EventRecord("e", "u", "i0", PURCHASE, 1.0)])
    assert created.event_tables.counts is not None and created.event_tables.counts.current is not None
    assert created.event_tables.counts.current.counted().item_ids == ("i0",)
