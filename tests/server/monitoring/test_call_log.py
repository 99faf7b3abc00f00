"""The call log: failures and slow calls always, others by chance, a storm by its number."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from itemlens_server.config import Settings
from itemlens_server.errors import FailedPrecondition
from itemlens_server.monitoring import call_log
from itemlens_server.monitoring.call_log import CallLog
from itemlens_server.observer import FinishedCall
from itemlens_server.stages import Stage


def call(code: str = "OK", seconds: float = 0.01, **more: Any) -> FinishedCall:
    return FinishedCall("/itemlens.v1.ItemLens/Encode", code, seconds, 10, 20, **more)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def settings(path: Path, share: float = 0.0) -> Settings:
    return Settings(call_log=str(path), call_log_slow_seconds=1.0, call_log_share=share)


def written(path: Path, calls: list[FinishedCall], share: float = 0.0) -> list[dict[str, Any]]:
    log = CallLog(settings(path, share))
    for one in calls:
        log.call_finished(one)
    log.close()
    return lines(path)


def test_a_line_says_who_called_what_and_how_long_each_stage_took(tmp_path: Path) -> None:
    [line] = written(
        tmp_path / "calls",
        [
            call(
                "NOT_FOUND", 0.0123456, request_id="r-1", caller="shop (ab)", collection="shoes", entries=3,
                message='there is no "x"\n', stages={"queue": Stage(0.0, 1.0, 0.0021)},
            )
        ],
    )  # fmt: skip
    assert line.pop("time").endswith("Z")
    assert line == {
        "id": "r-1", "caller": "shop (ab)", "method": "Encode", "code": "NOT_FOUND", "ms": 12.35,
        "stages": {"queue": 2.1}, "request_bytes": 10, "response_bytes": 20, "entries": 3, "collection": "shoes",
        "message": 'there is no "x"\n',
    }  # fmt: skip


def test_failed_and_slow_calls_are_always_there_and_others_are_not(tmp_path: Path) -> None:
    found = written(tmp_path / "calls", [call(), call("RESOURCE_EXHAUSTED"), call(seconds=1.0), call()])
    assert [(line["code"], line.get("slow", False)) for line in found] == [
        ("RESOURCE_EXHAUSTED", False),
        ("OK", True),
    ]


def test_a_share_of_the_others_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_log, "MOST_LINES", 10_000)
    assert 400 < len(written(tmp_path / "some", [call()] * 2000, share=0.25)) < 600
    assert len(written(tmp_path / "all", [call()] * 50, share=1.0)) == 50


def test_a_storm_is_counted_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 5.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    log = CallLog(settings(tmp_path / "calls"))
    for _ in range(1000):
        log.call_finished(call("UNAUTHENTICATED"))
    now = 6.0
    log.call_finished(call("UNAUTHENTICATED"))
    log.close()
    found = lines(tmp_path / "calls")
    assert len(found) == 200 + 2 and found[200]["left_out"] == 800


def test_long_texts_are_cut(tmp_path: Path) -> None:
    [line] = written(
        tmp_path / "calls", [call("INTERNAL", message="x" * 9999, collection="c" * 9999, caller="k" * 9999)]
    )
    assert [len(line[name]) for name in ("message", "collection", "caller")] == [300, 100, 100]


def test_a_file_that_was_moved_away_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    log = CallLog(settings(path))
    path.rename(tmp_path / "old")
    log.call_finished(call("ABORTED"))
    log.close()
    assert len(lines(path)) == 1


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"call_log .* cannot be written: No such file"):
        CallLog(settings(tmp_path / "none" / "calls"))


def test_a_disk_that_fails_later_loses_lines_and_not_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / "calls"
    log = CallLog(settings(path))
    path.unlink()
    path.parent.rmdir()
    log.call_finished(call("ABORTED"))
    log.close()
    assert "1 lines are lost" in caplog.text
