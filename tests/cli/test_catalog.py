"""`itemlens catalog verify`: the kept counts against a count of all events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from itemlens_server.derived import DerivedFolder
from itemlens_server.fusion.counts import file
from itemlens_server.fusion.taken import BOUGHT
from itemlens_server.services.live_counts import LiveCounts
from itemlens_server.storage import writes
from itemlens_server.storage.records import EventRecord
from itemlens_server.storage.store import Store
from support.command import Run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return filled(tmp_path, bound=100)


def filled(folder: Path, bound: int) -> Store:
    """A store with 40 events of a collection, whose counts are in a file, and 20 events after it."""
    store = Store(folder)
    collection = store.write(lambda c: writes.create_collection(c, "shop", "sp-1")).id
    events = [EventRecord(f"e{n}", f"u{n % 7}", f"i{n % 5}", 5, 1000.0 * n) for n in range(60)]
    store.write(lambda c: writes.record_events(c, collection, events[:40]))
    live = LiveCounts(collection, DerivedFolder(folder / "collections" / str(collection)), {5: BOUGHT}, bound)
    live.load(store.reader())
    assert live.save(store)
    store.write(lambda c: writes.record_events(c, collection, events[40:]))
    return store


def test_counts_that_are_right_are_equal_while_a_server_has_the_store(
    run: Run, store: Store, tmp_path: Path
) -> None:
    done = run("catalog", "verify", "--data", tmp_path)
    store.close()
    assert done.status == 0
    assert all(word in done.said for word in ("shop", "60", "7", "5", "equal"))


def test_counts_that_are_wrong_are_told_and_what_to_do(run: Run, store: Store, tmp_path: Path) -> None:
    store.close()
    [path] = tmp_path.rglob("counts-*.npz")
    mark, about = path.stem.removeprefix("counts-"), file.describe(path)
    assert about is not None
    state = file.load(path, mark, about.rules)
    assert state is not None
    pairs = state.arrays["pairs"].copy()
    pairs[1] += 1
    file.save(path, replace(state, arrays={**state.arrays, "pairs": pairs}), mark, about.rules)
    done = run("catalog", "verify", "--data", tmp_path)
    assert done.status == 1 and "pairs: 2 counts differ" in done.said and "delete the file" in done.said


def test_a_file_without_matrices_is_compared_though_there_would_be_room_for_them(
    run: Run, tmp_path: Path
) -> None:
    filled(tmp_path, bound=2).close()
    done = run("catalog", "verify", "--data", tmp_path)
    assert done.status == 0 and "equal" in done.said


def test_a_file_that_is_damaged_is_told(run: Run, store: Store, tmp_path: Path) -> None:
    store.close()
    [path] = tmp_path.rglob("counts-*.npz")
    intact = path.read_bytes()
    for damaged in (b"", intact[: len(intact) // 2], intact.replace(b"takers", b"takerz")):
        path.write_bytes(damaged)
        done = run("catalog", "verify", "--data", tmp_path)
        assert done.status == 1 and "is damaged" in done.said and "a start counts all events" in done.said


def test_without_a_file_it_is_said_that_a_start_counts(run: Run, store: Store, tmp_path: Path) -> None:
    store.close()
    for path in tmp_path.rglob("counts-*.npz"):
        path.unlink()
    done = run("catalog", "verify", "--data", tmp_path)
    assert done.status == 0 and "no file of counts" in done.said
