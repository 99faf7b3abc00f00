"""Folders of derived files: deleted for good, and without leftovers."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from itemlens_server.derived import DerivedFolder, keep_only, remove


def test_a_deleted_folder_is_not_written_again(tmp_path: Path) -> None:
    folder = DerivedFolder(tmp_path / "some" / "1")
    folder.write(lambda path: path.joinpath("a").touch())
    folder.delete()
    folder.write(lambda path: path.joinpath("a").touch())
    assert not folder.path.exists()


def test_it_is_not_deleted_while_it_is_written(tmp_path: Path) -> None:
    folder = DerivedFolder(tmp_path / "1")
    writing, go_on = threading.Event(), threading.Event()

    def slow(path: Path) -> None:
        writing.set()
        assert go_on.wait(10)
        path.joinpath("late").touch()

    writer = threading.Thread(target=folder.write, args=(slow,))
    writer.start()
    assert writing.wait(10)
    deleter = threading.Thread(target=folder.delete)
    deleter.start()
    go_on.set()
    writer.join()
    deleter.join()
    assert not folder.path.exists()


def test_a_file_that_cannot_be_deleted_is_only_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    remove(tmp_path / "file")
    remove(tmp_path / "missing")
    assert not list(tmp_path.iterdir()) and not caplog.text
    (tmp_path / "folder").mkdir()
    remove(tmp_path / "folder")
    assert "folder cannot be deleted" in caplog.text


def test_leftovers_are_deleted_and_what_is_kept_is_not_touched(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = tmp_path / "1"
    for name in ("kept", ".kept.old", "kept.x3f9"):
        folder.joinpath(name).mkdir(parents=True)
    for name in ("table.npz", "tmp1.npz", "kept/file"):
        folder.joinpath(name).touch()
    folder.joinpath("link").symlink_to(elsewhere)
    keep_only(folder, ["kept", "table.npz"])
    assert sorted(p.name for p in folder.iterdir()) == ["kept", "table.npz"]
    assert folder.joinpath("kept/file").exists() and elsewhere.exists()
    keep_only(tmp_path / "missing", [])
