"""Backups: a moment of a store that is written to, checked, and restored as a whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from itemlens_server.errors import DataLoss, FailedPrecondition, StorageFull
from itemlens_server.storage import answers, backup, writes
from itemlens_server.storage.records import EventRecord
from itemlens_server.storage.store import FILE, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    number = opened.write(lambda c: writes.create_collection(c, "shop", "sp-1")).id
    record(opened, number, 0, 3000)
    opened.write(lambda c: writes.mark_counts(c, number, "a mark"))
    yield opened
    opened.close()


def record(store: Store, collection: int, begin: int, end: int) -> None:
    events = [EventRecord(f"e{n:07}", f"u{n % 7}", "x" * 100, 3, float(n)) for n in range(begin, end)]
    store.write(lambda c: writes.record_events(c, collection, events))


def number(store: Store) -> int:
    return store.reader().collections()[0].id


def events_in(data: Path) -> set[str]:
    with closing(sqlite3.connect(data / FILE)) as connection:
        return {row[0] for row in connection.execute("SELECT event_id FROM events")}


def test_a_backup_is_restored_as_it_was_and_can_be_served(store: Store, tmp_path: Path) -> None:
    made = backup.make(tmp_path / "data", tmp_path / "backup")
    assert made.collections == (backup.CollectionInBackup("shop", "sp-1", 0, 3000, 1),) and not made.damage
    assert sorted(path.name for path in (tmp_path / "backup").iterdir()) == [backup.MANIFEST, FILE]
    record(store, number(store), 3000, 3100)
    assert backup.restore(tmp_path / "backup", tmp_path / "again") == made
    with closing(Store(tmp_path / "again")) as again:
        assert again.reader().counts(number(again))[:2] == (0, 3000)
        assert again.reader().problems() == []
        record(again, number(again), 3000, 3001)


def test_a_restored_store_uses_no_file_of_counts(store: Store, tmp_path: Path) -> None:
    backup.make(tmp_path / "data", tmp_path / "backup")
    backup.restore(tmp_path / "backup", tmp_path / "again")
    assert store.reader().counts_mark(number(store)) == "a mark"
    assert Store.read_only(tmp_path / "again").counts_mark(1) is None


def test_a_backup_beside_writers_has_all_acknowledged_before_and_each_transaction_as_a_whole(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_PAGES", 4)  # many steps, with writes between them
    collection, acknowledged, end = number(store), [3000], threading.Event()

    def write() -> None:
        while not end.is_set():
            begin = acknowledged[0]
            record(store, collection, begin, begin + 10)
            acknowledged[0] = begin + 10

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(3):
            before = acknowledged[0]
            backup.make(tmp_path / "data", tmp_path / f"backup-{n}")
            found = events_in(tmp_path / f"backup-{n}")
            assert len(found) % 10 == 0 and len(found) >= before
            assert found == {f"e{event:07}" for event in range(len(found))}
    finally:
        end.set()
        writer.join()
    assert acknowledged[0] > 3000


def test_a_backup_that_was_interrupted_is_refused(store: Store, tmp_path: Path) -> None:
    backup.make(tmp_path / "data", tmp_path / "backup")
    (tmp_path / "backup" / backup.MANIFEST).unlink()
    with pytest.raises(FailedPrecondition, match="not a whole backup"):
        backup.restore(tmp_path / "backup", tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("damage", ["flipped", "torn", "gone", "manifest"])
def test_a_damaged_backup_is_refused_and_nothing_is_restored(
    store: Store, tmp_path: Path, damage: str
) -> None:
    backup.make(tmp_path / "data", tmp_path / "backup")
    path = tmp_path / "backup" / (backup.MANIFEST if damage == "manifest" else FILE)
    intact = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(intact[: len(intact) // 2])
    else:
        path.write_bytes(
            intact[:200] + bytes([intact[200] ^ 1]) + intact[201:] if damage == "flipped" else b"{}"
        )
    with pytest.raises(DataLoss, match="use another backup"):
        backup.restore(tmp_path / "backup", tmp_path / "again")
    left = tmp_path / "again"
    assert not left.exists() or [path.name for path in left.iterdir()] == ["lock"]
    path.write_bytes(intact)
    backup.restore(tmp_path / "backup", tmp_path / "again")


def test_a_folder_in_use_or_not_empty_is_left_alone(store: Store, tmp_path: Path) -> None:
    backup.make(tmp_path / "data", tmp_path / "backup")
    with pytest.raises(FailedPrecondition, match="another server uses"):
        backup.restore(tmp_path / "backup", tmp_path / "data")
    with pytest.raises(FailedPrecondition, match="is not empty"):
        backup.make(tmp_path / "data", tmp_path / "backup")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(FailedPrecondition, match="not empty: it has mine"):
        backup.restore(tmp_path / "backup", tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]


def test_a_restoration_that_was_killed_is_done_again(store: Store, tmp_path: Path) -> None:
    backup.make(tmp_path / "data", tmp_path / "backup")
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "lock").touch()
    (tmp_path / "again" / f"{FILE}.part").write_bytes(b"half")
    backup.restore(tmp_path / "backup", tmp_path / "again")
    assert len(events_in(tmp_path / "again")) == 3000


def some_answers(data: Path) -> None:
    with closing(sqlite3.connect(data / answers.FILE)) as connection:
        connection.execute("CREATE TABLE answers (id)")


def test_a_restoration_that_was_killed_between_its_files_is_done_again(store: Store, tmp_path: Path) -> None:
    some_answers(tmp_path / "data")
    backup.make(tmp_path / "data", tmp_path / "backup")
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / answers.FILE).write_bytes(b"of the first try")
    with pytest.raises(FailedPrecondition, match="not empty: it has answers"):
        backup.restore(tmp_path / "backup", tmp_path / "again")
    (tmp_path / "again" / f"{FILE}.part").write_bytes(b"as it was")
    backup.restore(tmp_path / "backup", tmp_path / "again")
    assert len(events_in(tmp_path / "again")) == 3000 and not answers.problem(tmp_path / "again")


@pytest.mark.parametrize(
    ("number", "error"), [(errno.EACCES, FailedPrecondition), (errno.ENOSPC, StorageFull)]
)
def test_a_restoration_that_failed_says_why_and_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    some_answers(tmp_path / "data")
    backup.make(tmp_path / "data", tmp_path / "backup")
    replace = Path.replace

    def fail(path: Path, target: Path) -> Path:
        if target.name == FILE:
            raise OSError(number, os.strerror(number))
        return replace(path, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", fail)
        with pytest.raises(error, match=os.strerror(number)):
            backup.restore(tmp_path / "backup", tmp_path / "again")
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["lock"]
    backup.restore(tmp_path / "backup", tmp_path / "again")


def test_no_sequence_number_is_used_again_after_a_restoration(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not if one backup is restored twice, or a clock is wrong."""
    backup.make(tmp_path / "data", tmp_path / "backup")
    before = store.reader().sequence(number(store))
    for n, moment in enumerate((0.0, time.time(), time.time() + 1)):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        backup.restore(tmp_path / "backup", tmp_path / f"again-{n}")
        with closing(Store(tmp_path / f"again-{n}")) as again:
            sequence = again.reader().sequence(number(again))
            assert sequence // backup.EPOCH > before // backup.EPOCH
            record(again, number(again), 3000, 3001)
            before = again.reader().sequence(number(again))
            assert before == sequence + 1


def test_damaged_answers_are_left_out_and_the_store_is_copied(store: Store, tmp_path: Path) -> None:
    (tmp_path / "data" / answers.FILE).write_bytes(b"no database" * 1000)
    made = backup.make(tmp_path / "data", tmp_path / "backup")
    [damage] = made.damage
    assert damage.startswith("answers.db is left out: ") and list(made.files) == [FILE]
    assert backup.restore(tmp_path / "backup", tmp_path / "again") == made
    assert len(events_in(tmp_path / "again")) == 3000


def test_a_later_format_and_a_folder_without_a_store_are_told(store: Store, tmp_path: Path) -> None:
    backup.make(tmp_path / "data", tmp_path / "backup")
    path = tmp_path / "backup" / backup.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(FailedPrecondition, match="has format 99"):
        backup.restore(tmp_path / "backup", tmp_path / "again")
    with pytest.raises(FailedPrecondition, match="no store"):
        backup.make(tmp_path / "nowhere", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_damaged_store_is_copied_and_the_damage_named(store: Store, tmp_path: Path) -> None:
    store.write(lambda c: c.execute("UPDATE events SET item_id = 'changed' WHERE event_id = 'e0000003'"))
    made = backup.make(tmp_path / "data", tmp_path / "backup")
    assert made.damage == ("event 'e0000003' of user 'u3'",)
    assert backup.restore(tmp_path / "backup", tmp_path / "again") == made


def test_without_room_nothing_is_left(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(backup, "connect_read_only", full)
    monkeypatch.setattr(Store, "read_only", lambda _: None)
    with pytest.raises(StorageFull, match="no room"):
        backup.make(tmp_path / "data", tmp_path / "backup")
    assert list((tmp_path / "backup").iterdir()) == []
