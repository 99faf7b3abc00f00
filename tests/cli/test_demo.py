"""`itemlens demo` over a tiny space, from start to end: no weights are exported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import spaces


def demo(models: Path, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "itemlens_cli",
        "demo",
        "--models",
        str(models),
        "--folder",
        str(folder),
        *more,
    ]
    return subprocess.run(
        command,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the space that the demo looks for."""
    folder = tmp_path_factory.mktemp("demo-models")
    spaces.build(folder, "demo")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(models: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The first demo in the folder."""
    return demo(models, folder, "--users", "2")


def test_it_runs_all_steps(first: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert first.returncode == 0, first.stdout + first.stderr
    for line in (
        "✓ starting a server",
        "✓ uploading and encoding 328 items",
        "✓ fitting the fusion head to the catalogue",
        "user-001",
        "user-002",
        "somebody new  basis prior",
        "forgotten, the same as before",
        "search  this picture, which is not in the catalogue",
        "itemlens serve --models",
    ):
        assert line in first.stdout
    assert "user-003" not in first.stdout
    assert "<html" in (folder / "page.html").read_text(encoding="utf-8")
    assert "stopped" in (folder / "server.log").read_text(encoding="utf-8")


def test_the_second_run_keeps_what_the_first_has_made(
    first: subprocess.CompletedProcess[str], models: Path, folder: Path
) -> None:
    before = {path.name for path in models.iterdir()}
    again = demo(models, folder, "--users", "1", "--language", "zh")
    assert again.returncode == 0, again.stdout + again.stderr
    for line in (
        "328 items, encoded  already done",
        "fusion head, fitted to the catalogue  already done",
    ):
        assert line in again.stdout
    assert {path.name for path in models.iterdir()} == before


def test_if_the_server_cannot_start_the_error_has_the_end_of_its_log(models: Path, tmp_path: Path) -> None:
    (tmp_path / "store").touch()  # the data folder is a file
    done = demo(models, tmp_path)
    assert done.returncode == 1
    assert "error: the server ended with status 1" in done.stderr and "the data folder" in done.stderr
    assert "Traceback" not in done.stderr
