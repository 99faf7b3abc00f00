"""`itemlens compact`: a stopped store's file without free space."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from itemlens_server.storage import writes
from itemlens_server.storage.records import EventRecord
from itemlens_server.storage.store import FILE, Store
from support.command import Run


def test_the_file_of_an_old_version_shrinks_and_keeps_what_is_in_it(run: Run, tmp_path: Path) -> None:
    Store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    connection.execute("PRAGMA auto_vacuum=NONE")
    connection.execute("VACUUM")
    connection.close()
    store = Store(tmp_path)
    collection = store.write(lambda c: writes.create_collection(c, "shop", "sp-1")).id
    events = [EventRecord(f"e{n}", f"u{n % 2}", "x" * 200, 3, float(n)) for n in range(5000)]
    store.write(lambda c: writes.record_events(c, collection, events))
    while not store.write(lambda c: writes.delete_user(c, [collection], "u0"))[1]:
        pass
    store.close()
    before = (tmp_path / FILE).stat().st_size
    done = run("compact", "--data", tmp_path)
    assert done.status == 0 and f"{before / 1e6:.1f} MB, now " in done.said
    assert (tmp_path / FILE).stat().st_size < 0.7 * before
    store = Store(tmp_path)
    assert len(store.reader().history(collection, "u1", 9999)) == 2500
    store.close()


def test_a_folder_without_a_store_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    done = run("compact", "--data", tmp_path)
    assert done.status == 1 and f"no store in {tmp_path}" in done.said and "--data" in done.said


def test_a_store_that_is_served_is_left_alone(run: Run, tmp_path: Path) -> None:
    store = Store(tmp_path)
    done = run("compact", "--data", tmp_path)
    store.close()
    assert done.status == 1 and "another server uses" in done.said
