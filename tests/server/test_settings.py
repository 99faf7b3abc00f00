"""Settings: from flags, the environment and a file, in this order."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from itemlens_server import config
from itemlens_server.config import Settings, warn_of_unknown_variables
from itemlens_server.errors import InvalidArgument
from itemlens_server.hardware import Memory


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
    ("text", "message"),
    [
        ("max_k: 5\nmax_itmes: 5", "wrong.yaml, line 2: max_itmes is not a setting; did you mean max_items?"),
        ("\nmax-k: 5", "wrong.yaml, line 2: max-k is not a setting; did you mean max_k?"),
        ("ITEMLENS_MAX_K: 5", "line 1: ITEMLENS_MAX_K is not a setting; did you mean max_k?"),
        ("zzz: 5", "line 1: zzz is not a setting; docs/settings.md lists them"),
        ("5: five", "line 1: 5 is not a setting"),
        ("max_k: 0", "wrong.yaml, line 1: max_k is '0': it must be a whole number, more than 0"),
        ("space: a\nmax_k: x", "wrong.yaml, line 2: max_k is 'x': it must be a whole number"),
        ("max_wait_seconds: x", "it must be a number"),
        ("weight_view: .inf", "it must be a number, at least 0, at most 1000"),
        ("weight_purchase: -1", "it must be a number, at least 0, at most 1000"),
        ("provider: gpu", "it must be one of auto, cpu, cuda"),
        ("low_latency_sessions: 3", "it must be true or false"),
        ("listen: 127.0.0.1", "listen is '127.0.0.1': it has no port; write host:port"),
        ("listen: 50051", "listen is '50051': it has no host; write 127.0.0.1:50051"),
        ("max_k: 1\nspace: a\nmax_k: 2", "line 3: max_k is already given in line 1; keep one"),
        ("max_k: 5\nmax_items: [5", "wrong.yaml, line 2: not YAML"),
        ("max_k: 5\n\tmax_items: 5", "wrong.yaml, line 2: not YAML"),
    ],
)
def test_a_wrong_setting_in_the_file_is_named_with_its_line_and_the_cure(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(InvalidArgument, match=re.escape(message)) as raised:
        Settings.read(tmp_path / "wrong.yaml")
    assert "\n" not in raised.value.message


def test_a_wrong_variable_is_named_with_its_value_and_what_is_allowed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITEMLENS_MAX_K", "many")
    monkeypatch.setenv("itemlens_log", "xml")
    with pytest.raises(InvalidArgument) as raised:
        Settings.read(file)
    assert raised.value.message == (
        "ITEMLENS_MAX_K is 'many': it must be a whole number, more than 0; "
        "itemlens_log is 'xml': it must be one of text, json"
    )


def test_a_wrong_flag_is_named_and_not_the_variable_that_it_overrides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ITEMLENS_PRECISION", "fp32")
    with pytest.raises(
        InvalidArgument, match=r"^precision is 'int4': it must be one of auto, fp32, fp16, int8"
    ):
        Settings.read(precision="int4")
    with pytest.raises(InvalidArgument, match="max_kk is not a setting; did you mean max_k"):
        Settings.read(max_kk="1")


def test_what_is_empty_counts_as_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITEMLENS_THREADS", "")
    monkeypatch.setenv("ITEMLENS_MAX_K", "")
    (tmp_path / "some.yaml").write_text("max_k: 7\nmax_items:\n")
    settings = Settings.read(tmp_path / "some.yaml")
    assert (settings.threads, settings.max_k, settings.max_items) == (0, 7, 1000)


def test_a_misspelt_variable_is_warned_of_and_what_kubernetes_sets_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kubernetes = {
        "ITEMLENS_PORT": "tcp://10.0.0.1:50051",
        "ITEMLENS_SERVICE_HOST": "10.0.0.1",
        "ITEMLENS_SERVICE_PORT": "50051",
        "ITEMLENS_SERVICE_PORT_GRPC": "50051",
        "ITEMLENS_PORT_50051_TCP": "tcp://10.0.0.1:50051",
        "ITEMLENS_PORT_50051_TCP_ADDR": "10.0.0.1",
        "ITEMLENS_STAGING_SERVICE_HOST": "10.0.0.2",
    }
    right = {"ITEMLENS_THREADS": "1", "itemlens_max_k": "3", "PATH": "/bin"}
    with caplog.at_level("WARNING"):
        warn_of_unknown_variables(kubernetes | right)
        assert caplog.messages == []
        warn_of_unknown_variables({"ITEMLENS_THREDS": "1", "ITEMLENS_WHATEVER_ELSE": "2"})
    assert caplog.messages == [
        "ITEMLENS_THREDS is not a setting and is ignored; did you mean ITEMLENS_THREADS?",
        "ITEMLENS_WHATEVER_ELSE is not a setting and is ignored",
    ]


def test_without_threads_it_is_as_many_as_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itemlens_server.config.processor_count", lambda: 3)
    assert Settings.read().thread_count() == 3
    assert Settings.read(threads=5).thread_count() == 5


@pytest.mark.parametrize(
    "text",
    [
        *("listen: [", "- a\n- list", "just words", "\x00", "space: 2026-13-45", "max_items: !!int abc"),
        *("space: !!timestamp x", "space: " + "[" * 5000),
    ],
)
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
        with pytest.raises(InvalidArgument, match=f"{path.name} is not a regular file"):
            Settings.read(path)


@pytest.mark.parametrize(
    ("limit", "size"), [(2 << 30, 512 << 20), (64 << 30, 1 << 30), (64 << 20, 32 << 20), (None, 1 << 30)]
)
def test_memory_for_pictures_is_a_quarter_of_what_there_is(
    limit: int | None, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "memory", lambda: None if limit is None else Memory(limit, 0))
    assert Settings.read().picture_memory() == size
    assert Settings.read(picture_memory_bytes=40 << 20).picture_memory() == 40 << 20


def test_memory_for_pictures_that_is_too_small_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="it must be 0, or at least 33554432"):
        Settings.read(picture_memory_bytes=1000)
