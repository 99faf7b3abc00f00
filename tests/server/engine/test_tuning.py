"""Tuning: the fastest plan is chosen, noise changes nothing, and what was measured is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from itemlens_server.engine.queue import Plan
from itemlens_server.engine.tuning import Tuned, Tunings, fastest

SAFE, OTHER = Plan(instances=2), Plan(instances=1, threads=2)
TUNED = Tuned(OTHER, 5000.0)


@pytest.mark.parametrize(("other", "chosen"), [(120.0, OTHER), (101.0, SAFE), (50.0, SAFE)])
def test_a_plan_must_be_clearly_faster_than_one_before_it(other: float, chosen: Plan) -> None:
    rates = {SAFE: 100.0, OTHER: other}
    assert fastest("text", [SAFE, OTHER], rates.__getitem__).plan == chosen


def test_it_is_remembered_by_encoder_and_machine(tmp_path: Path) -> None:
    file = tmp_path / "tunings.json"
    Tunings(file, 2, "CPU").put("encoder", TUNED)
    assert Tunings(file, 2, "CPU").get("encoder") == TUNED
    assert Tunings(file, 2, "CPU").get("other encoder") is None
    assert Tunings(file, 4, "CPU").get("encoder") is None


def test_what_is_remembered_of_one_is_kept_when_another_is_measured(tmp_path: Path) -> None:
    tunings = Tunings(tmp_path / "tunings.json", 2, "CPU")
    tunings.put("a", TUNED)
    tunings.put("b", Tuned(SAFE, 1.0))
    assert tunings.get("a") == TUNED


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"x": 1}'])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damaged: str) -> None:
    file = tmp_path / "tunings.json"
    file.write_text(damaged)
    tunings = Tunings(file, 2, "CPU")
    assert tunings.get("encoder") is None
    tunings.put("encoder", TUNED)
    assert tunings.get("encoder") == TUNED


def test_the_folder_is_made_if_it_is_not_there_yet(tmp_path: Path) -> None:
    tunings = Tunings(tmp_path / "new" / "tunings.json", 2, "CPU")
    tunings.put("encoder", TUNED)
    assert tunings.get("encoder") == TUNED


def test_a_place_that_cannot_be_written_to_does_not_keep_the_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Tunings(tmp_path / "file" / "tunings.json", 2, "CPU").put("encoder", TUNED)
