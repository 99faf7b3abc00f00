"""Rows that `itemlens index` skips: counts by reason, and the errors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from itemlens_cli.skipped import Skipped
from itemlens_datasets.rows import BadRow, Reason

FILE = Path("a.csv")


def bad(number: int, reason: Reason = Reason.EMPTY, **more: Any) -> BadRow:
    given: dict[str, Any] = {"content": {"id": ""}, "message": "the id is empty", "column": "id"}
    return BadRow(number, number + 1, reason=reason, **given | more)


def test_skipped_rows_are_counted_by_part_and_reason_with_the_first_row_numbers(tmp_path: Path) -> None:
    skipped = Skipped(tmp_path / "errors.jsonl")
    for number in range(1, 1001):
        skipped.add_bad_row("items", FILE, bad(number))
    skipped.add_bad_row("events", FILE, bad(7, Reason.NO_RULE, message="no rule"))
    skipped.close()
    assert skipped.total == 1001
    assert (skipped.count("items"), skipped.count("events")) == (1000, 1)
    assert skipped.tallies["items", "EMPTY"].cells() == ("1,000", "1, 2, 3, 4, 5, ...", "the id is empty")
    assert skipped.tallies["events", "NO_RULE"].cells() == ("1", "7", "no rule")


def test_the_file_has_the_source_row_column_reason_and_content_of_each(tmp_path: Path) -> None:
    skipped = Skipped(tmp_path / "errors.jsonl")
    skipped.add_bad_row("items", FILE, bad(2))
    skipped.add_bad_row("items", FILE, bad(3, column="", content={"id": "3", "photo": b"1234"}))
    skipped.add_bad_row("items", FILE, bad(4, content="half a pair \udce9"))
    skipped.close()
    first, second, third = map(json.loads, skipped.path.read_text(encoding="utf-8").splitlines())
    assert first == {
        "part": "items",
        "file": "a.csv",
        "row": 2,
        "line": 3,
        "column": "id",
        "reason": "EMPTY",
        "message": "the id is empty",
        "content": {"id": ""},
    }
    assert second["column"] is None
    assert second["content"] == {"id": "3", "photo": "<4 bytes>"}
    assert third["content"] == "half a pair \udce9"


def test_without_skipped_rows_there_is_no_file_and_an_old_one_is_removed(tmp_path: Path) -> None:
    (tmp_path / "errors.jsonl").write_text("{}\n")
    skipped = Skipped(tmp_path / "errors.jsonl")
    skipped.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["none/errors.jsonl", "folder"])
def test_a_file_that_cannot_be_written_does_not_stop_the_load(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    skipped = Skipped(tmp_path / name)
    skipped.add_bad_row("items", FILE, bad(1))
    skipped.add_bad_row("items", FILE, bad(2))
    skipped.close()
    assert skipped.total == 2
    assert skipped.write_error is not None
