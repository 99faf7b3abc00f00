"""`itemlens report`: what came of remembered answers, as a table, JSON, CSV and a page."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from itemlens_server.services.recommendation_ids import KEY, RecommendationIds
from itemlens_server.storage import writes
from itemlens_server.storage.answers import AnswerFile, AnswerRecord
from itemlens_server.storage.records import EventRecord
from itemlens_server.storage.store import Store
from support.command import Run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four answers to two users, of which one was clicked and then bought."""
    store = Store(tmp_path)
    shop = store.write(lambda c: writes.create_collection(c, "shop", "sp-1")).id
    ids, file = RecommendationIds(store.secret(KEY)), AnswerFile(tmp_path, "store")
    made = [ids.make(shop, 1_772_366_400.0 + n) for n in range(4)]  # 2026-03-01 12:00
    lists = [
        AnswerRecord(m, shop, f"u{n % 2}", "home", ids.seconds(m), "sp", ("a", "[b]"), (0.0, -1.0))
        for n, m in enumerate(made)
    ]
    file.write(lists)
    events = [
        EventRecord("e1", "u0", "a", 3, 5.0, 1.0, None, made[0]),
        EventRecord("e2", "u0", "a", 5, 6.0, 1.0, 12.5, made[0]),
        EventRecord("e3", "u1", "z", 3, 6.0, 1.0, None, made[1]),
        EventRecord("e4", "u1", "[b]", 5, 6.0, 1.0, None, made[2]),
    ]
    store.write(lambda c: writes.record_events(c, shop, events))
    file.close()
    store.close()
    return tmp_path


def test_the_table_says_what_came_of_them_and_what_to_know(run: Run, data: Path) -> None:
    done = run("report", "--data", data)
    assert done.status == 0
    for said in (
        "shop",
        "home",
        "12.50",
        "25.00%",
        "no impressions were recorded",
        "1 purchases have no value",
    ):
        assert said in done.said
    assert "1 events are about items that are not in the list" in done.said


def test_json_has_all_numbers_with_intervals(run: Run, data: Path) -> None:
    said = json.loads(run("report", "--data", data, "--by", "day,surface", "--json").out)
    [line] = said["outcomes"]
    assert (line["day"], line["surface"], line["answers"], line["users"]) == ("2026-03-01", "home", 4, 2)
    assert (line["purchases"], line["revenue"], line["unpriced"]) == (2, 12.5, 1)
    assert line["clicked"]["value"] == 0.25 and line["clicked"]["low"] < 0.25 < line["clicked"]["high"]
    assert line["click_through"] == {"value": None, "low": None, "high": None}
    assert said["events_without_answer"] == 0


def test_csv_has_a_column_for_each_number(run: Run, data: Path) -> None:
    [line] = csv.DictReader(io.StringIO(run("report", "--data", data, "--csv").out))
    assert (line["collection"], line["surface"], line["answers"], line["revenue"]) == (
        "shop",
        "home",
        "4",
        "12.5",
    )
    assert (
        float(line["clicked"]) == 0.25 and float(line["clicked_low"]) < 0.25 and line["click_through"] == ""
    )


def test_a_column_that_is_named_twice_is_there_once(run: Run, data: Path) -> None:
    done = run("report", "--data", data, "--csv", "--by", "day,day,surface")
    assert done.out.startswith("day,surface,answers,")


def test_the_last_day_of_all_is_a_day(run: Run, data: Path) -> None:
    assert run("report", "--data", data, "--to", "9999-12-31").status == 0


def test_a_page_is_written_beside_what_is_printed(run: Run, data: Path, tmp_path: Path) -> None:
    done = run("report", "--data", data, "--by", "", "--csv", "--html", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "no impressions" in page and "<td>12.50</td>" in page and "<script" not in page
    assert done.out.startswith("answers,")


def test_days_without_answers_are_no_error(run: Run, data: Path) -> None:
    done = run("report", "--data", data, "--from", "2026-03-02", "--to", "2026-03-05")
    assert done.status == 0 and "there are no answers in this time" in done.said
    (data / "answers.db").unlink()
    assert "there are no answers in" in run("report", "--data", data).said
    assert run("report", "--data", data, "--csv").out == "collection,surface\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--from", "yesterday"], "--from is 'yesterday'; it must be a day such as 2026-03-31"),
        (["--to", "2026-02-30"], "--to is '2026-02-30'"),
        (["--from", "2026-03-02", "--to", "2026-03-01"], "after the last"),
        (["--by", "week"], "'week' is no column to group by"),
        (["--collection", "nope"], "there are: shop"),
        (["--json", "--csv"], "not both"),
        (["--html", "/nowhere/report.html"], "cannot be written (No such file or directory)"),
    ],
)
def test_a_wrong_use_is_told(run: Run, data: Path, options: list[str], said: str) -> None:
    done = run("report", "--data", data, *options)
    assert done.status == 1 and said in done.said
