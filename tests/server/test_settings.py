"""Settings: from flags, the environment and a file, in this order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from itemlens_server.config import Settings
from itemlens_server.errors import InvalidArgument


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "itemlens.yaml"
    path.write_text("max_k: 1\nmax_items: 1\nmax_inputs: 1\nspace: 鞋\n", encoding="utf-8")
    return path


def test_flags_win_over_the_environment_and_that_over_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITEMLENS_MAX_K", "2")
    monkeypatch.setenv("ITEMLENS_MAX_ITEMS", "2")
    settings = Settings.read(file, max_k=3, models=None)
    assert (settings.max_k, settings.max_items, settings.max_inputs) == (3, 2, 1)
    assert settings.space == "鞋" and settings.models == Path("models")
    assert type(settings) is Settings


def test_the_file_of_one_reading_is_not_that_of_the_next(file: Path) -> None:
    assert Settings.read(file).max_k == 1
    assert Settings.read().max_k == Settings().max_k == 1000


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").touch()
    assert Settings.read(tmp_path / "empty.yaml") == Settings()


@pytest.mark.parametrize(
    ("text", "name"), [("max_kk: 5", "max_kk"), ("max_k: 0", "max_k"), ("max_k: x", "max_k")]
)
def test_a_wrong_setting_in_the_file_is_named(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(ValidationError, match=name):
        Settings.read(tmp_path / "wrong.yaml")


@pytest.mark.parametrize("text", ["listen: [", "- a\n- list", "just words", "5: five", "\x00"])
def test_a_file_that_holds_no_settings_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(InvalidArgument, match=r"wrong\.yaml"):
        Settings.read(tmp_path / "wrong.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"none\.yaml cannot be read"):
        Settings.read(tmp_path / "none.yaml")


def test_what_is_no_regular_file_is_named_and_not_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InvalidArgument, match=f"{path.name} is no regular file"):
            Settings.read(path)
