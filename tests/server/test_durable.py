"""A file or a folder is published whole or not at all, and what a killed process leaves is removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from itemlens_server import durable


def fill(folder: Path, content: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "file").write_text(content)
    return folder


def content(folder: Path) -> str:
    return (folder / "file").read_text()


@pytest.fixture(params=["exchange", "no exchange"])
def exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the file system can exchange two folders in one step."""
    if request.param == "no exchange":
        monkeypatch.setattr(durable, "_exchange", lambda one, other: False)
    return bool(request.param == "exchange")


class TestNewFile:
    @pytest.mark.parametrize("before", [None, "old"])
    def test_takes_its_place_at_the_end(self, tmp_path: Path, before: str | None) -> None:
        if before:
            fill(tmp_path, before)
        with durable.new_file(tmp_path / "file") as stream:
            stream.write(b"new")
            assert (tmp_path / "file").exists() == bool(before)
        assert content(tmp_path) == "new" and [path.name for path in tmp_path.iterdir()] == ["file"]

    @pytest.mark.parametrize("before", [[], ["file"]])
    def test_a_failure_leaves_the_old_one_alone(
        self, tmp_path: Path, before: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError("no space left on device")

        if before:
            fill(tmp_path, "old")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"), durable.new_file(tmp_path / "file") as stream:
            stream.write(b"new")
        assert [path.name for path in tmp_path.iterdir()] == before
        assert not before or content(tmp_path) == "old"


@pytest.mark.usefixtures("exchange")
class TestPublish:
    @pytest.mark.parametrize("before", [None, "old"])
    def test_puts_the_new_folder_in_its_place(self, tmp_path: Path, before: str | None) -> None:
        target = tmp_path / "target"
        if before:
            fill(target, before)
        with durable.work_folder(tmp_path, ".work-") as work:
            durable.publish(fill(work, "new"), target)
        assert content(target) == "new"
        assert [path.name for path in tmp_path.iterdir()] == ["target"]

    def test_a_failure_leaves_the_old_one(self, tmp_path: Path) -> None:
        target = fill(tmp_path / "target", "old")
        with pytest.raises(FileNotFoundError):
            durable.publish(tmp_path / "missing", target)
        assert content(target) == "old" and [path.name for path in tmp_path.iterdir()] == ["target"]


def test_an_exchange_leaves_no_moment_without_a_folder(tmp_path: Path) -> None:
    old, new = fill(tmp_path / "old", "old"), fill(tmp_path / "new", "new")
    if not durable._exchange(old, new):
        pytest.skip("this file system cannot exchange folders")
    assert (content(old), content(new)) == ("new", "old")


class TestLeftovers:
    def killed(self, folder: Path, lines: str) -> None:
        """Run `lines` in a process that then kills itself."""
        program = "import os, signal, sys\nfrom pathlib import Path\nfrom itemlens_server import durable\n"
        program += f"folder = Path({str(folder)!r})\n" + textwrap.dedent(lines)
        program += "\nos.kill(os.getpid(), signal.SIGKILL)\n"
        done = subprocess.run([sys.executable, "-c", program], check=False, env=os.environ)
        assert done.returncode == -signal.SIGKILL

    def test_of_a_killed_process_are_removed(self, tmp_path: Path) -> None:
        self.killed(tmp_path, "held = durable.work_folder(folder, '.fit-'); held.__enter__()")
        assert len(list(tmp_path.iterdir())) == 1
        durable.remove_leftovers(tmp_path, [".fit-"])
        assert list(tmp_path.iterdir()) == []

    def test_what_is_in_use_stays_and_so_does_all_else(self, tmp_path: Path) -> None:
        fill(tmp_path / "space", "x")
        (tmp_path / ".fit-notes").write_text("a file")
        with durable.work_folder(tmp_path, ".fit-") as work:
            durable.remove_leftovers(tmp_path, [".fit-"])
            assert work.is_dir()
            with durable.work_folder(tmp_path, ".fit-") as other:
                assert work.is_dir() and other.is_dir()
        assert sorted(path.name for path in tmp_path.iterdir()) == [".fit-notes", "space"]

    def test_a_kill_between_two_renames_loses_nothing(self, tmp_path: Path) -> None:
        fill(tmp_path / "target", "old")
        fill(tmp_path / "work", "new")
        self.killed(
            tmp_path,
            """
            durable._exchange = lambda one, other: False
            rename = Path.rename
            def dying(self, target):
                if self.name == "work":
                    os.kill(os.getpid(), signal.SIGKILL)
                return rename(self, target)
            Path.rename = dying
            durable.publish(folder / "work", folder / "target")
            """,
        )
        assert not (tmp_path / "target").exists()
        durable.remove_leftovers(tmp_path, [])
        assert content(tmp_path / "target") == "old"

    def test_of_a_published_folder_the_old_one_goes(self, tmp_path: Path) -> None:
        fill(tmp_path / "target", "new")
        fill(tmp_path / ".target.itemlens-replaced", "old")
        durable.remove_leftovers(tmp_path, [])
        assert [path.name for path in tmp_path.iterdir()] == ["target"]
        assert content(tmp_path / "target") == "new"

    def test_of_others_stay(self, tmp_path: Path) -> None:
        for name in ("target", ".target.old"):
            fill(tmp_path / name, name)
        durable.remove_leftovers(tmp_path, [".fit-"])
        assert {path.name for path in tmp_path.iterdir()} == {"target", ".target.old"}

    def test_of_a_folder_that_is_not_there_are_none(self, tmp_path: Path) -> None:
        durable.remove_leftovers(tmp_path / "missing", [".fit-"])
