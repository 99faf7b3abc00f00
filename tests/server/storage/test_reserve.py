"""Deletions work on a full disk: some space is reserved for them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from itemlens_server.errors import StorageFull
from itemlens_server.storage.reserve import RESERVE_BYTES, Reserve
from itemlens_server.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


class FullDisk:
    """A write that finds the disk full while the reserve exists."""

    def __init__(self, store: Store) -> None:
        self._file = store.directory / "reserve"
        self.tries = 0

    def __call__(self, _: sqlite3.Connection) -> str:
        self.tries += 1
        if self._file.exists():
            raise sqlite3.OperationalError("database or disk is full")
        return "done"


def test_its_blocks_are_allocated_and_released(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve")
    for _ in range(2):
        reserve.keep()
        assert (tmp_path / "reserve").stat().st_blocks * 512 >= RESERVE_BYTES
    assert reserve.release() and not reserve.release()
    assert os.listdir(tmp_path) == []


def test_it_is_for_deletions_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    Reserve(store.directory / "reserve").keep()
    # From here on the disk is too full to allocate it again.
    monkeypatch.setattr("itemlens_server.storage.reserve.MARGIN", 1 << 40)
    write = FullDisk(store)
    with pytest.raises(StorageFull):
        store.write(write)
    assert write.tries == 1
    assert store.delete(write) == "done"
    assert write.tries == 3


def test_a_deletion_that_fails_all_the_same_is_reported(store: Store) -> None:
    def full(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    for _ in range(2):
        with pytest.raises(StorageFull):
            store.delete(full)


def test_several_threads_may_release_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one may do so at any moment, such as right after the file was seen."""
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert not Reserve(tmp_path / "reserve").release()


def test_it_is_not_allocated_if_little_space_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itemlens_server.storage.reserve.MARGIN", 1 << 40)
    Reserve(tmp_path / "reserve").keep()
    assert os.listdir(tmp_path) == []
