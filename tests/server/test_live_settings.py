"""Live settings: limits and the log level follow the file of settings, for the parts that hold them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from itemlens_server import followed
from itemlens_server.config import LIVE, Settings
from itemlens_server.errors import InvalidArgument
from itemlens_server.live_settings import LiveSettings


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each look looks; and the level of the log stays as it was."""
    monkeypatch.setattr(followed, "LOOK_SECONDS", 0.0)
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)


def followed_file(path: Path, text: str, **flags: object) -> tuple[Settings, LiveSettings]:
    path.write_text(text)

    def read() -> Settings:
        return Settings.read(path, **flags)

    settings = read()
    return settings, LiveSettings(settings, path, read)


def test_a_changed_limit_counts_for_all_who_hold_the_settings(tmp_path: Path) -> None:
    settings, live = followed_file(tmp_path / "settings.yaml", "max_items: 10")
    (tmp_path / "settings.yaml").write_text("max_items: 20\nlog_level: warning")
    live.look()
    assert settings.max_items == 20
    assert logging.getLogger().level == logging.WARNING


def test_a_limit_that_is_no_longer_given_has_its_default(tmp_path: Path) -> None:
    settings, live = followed_file(tmp_path / "settings.yaml", "max_items: 10")
    (tmp_path / "settings.yaml").write_text("")
    live.look()
    assert settings.max_items == 1000


def test_flags_still_override_the_file(tmp_path: Path) -> None:
    settings, live = followed_file(tmp_path / "settings.yaml", "", max_items=7)
    (tmp_path / "settings.yaml").write_text("max_items: 20")
    live.look()
    assert settings.max_items == 7


def test_another_setting_waits_for_a_restart_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings, live = followed_file(tmp_path / "settings.yaml", "rpc_threads: 4")
    (tmp_path / "settings.yaml").write_text("rpc_threads: 8")
    live.look()
    assert settings.rpc_threads == 4
    assert "rpc_threads has changed in the file; it counts after a restart" in caplog.text


@pytest.mark.parametrize("text", ["max_items: 0", "max_itemz: 5", "max_items: [", "max_items: many"])
def test_a_file_with_an_error_changes_nothing_and_is_told(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings, live = followed_file(tmp_path / "settings.yaml", "max_items: 10\nmax_k: 5")
    (tmp_path / "settings.yaml").write_text(f"{text}\nmax_k: 6" if ":" in text else text)
    live.look()
    assert (settings.max_items, settings.max_k) == (10, 5)
    assert "what was read before stays" in caplog.text
    (tmp_path / "settings.yaml").write_text("max_items: 11")
    live.look()
    assert settings.max_items == 11


def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    settings, live = followed_file(tmp_path / "settings.yaml", "max_items: 10")
    (tmp_path / "settings.yaml").unlink()
    live.look()
    assert settings.max_items == 10


def test_live_settings_are_settings() -> None:
    assert set(LIVE) <= set(Settings.model_fields)


def test_a_level_of_the_log_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="log_level"):
        Settings.read(None, log_level="loud")
