"""Tuning: the fastest plan is chosen, noise has no effect, and measurements are stored."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from itemlens_server.engine.queue import Plan
from itemlens_server.engine.tuning import Tuned, Tunings, fastest

SAFE, OTHER = Plan(instances=2), Plan(instances=1, threads=2)
PLANS = [SAFE, OTHER]
TUNED = Tuned(OTHER, 5000.0)


@pytest.mark.parametrize(("other", "chosen"), [(120.0, OTHER), (101.0, SAFE), (50.0, SAFE)])
def test_a_plan_must_be_clearly_faster_than_one_before_it(other: float, chosen: Plan) -> None:
    rates = {SAFE: 100.0, OTHER: other}
    assert fastest("text", [SAFE, OTHER], rates.__getitem__).plan == chosen


def test_it_is_remembered_by_encoder_and_machine(tmp_path: Path) -> None:
    file = tmp_path / "tunings.json"
    Tunings(file, 2, "CPU").put("encoder", TUNED)
    assert Tunings(file, 2, "CPU").get("encoder", PLANS) == TUNED
    assert Tunings(file, 2, "CPU").get("other encoder", PLANS) is None
    assert Tunings(file, 4, "CPU").get("encoder", PLANS) is None


def test_the_plan_of_one_encoder_is_kept_when_another_is_measured(tmp_path: Path) -> None:
    tunings = Tunings(tmp_path / "tunings.json", 2, "CPU")
    tunings.put("a", TUNED)
    tunings.put("b", Tuned(SAFE, 1.0))
    assert tunings.get("a", PLANS) == TUNED


@pytest.mark.parametrize(
    "change",
    [
        {"plan": {**asdict(OTHER), "instances": 0}},
        {"plan": {**asdict(OTHER), "max_batch": 0}},
        {"plan": {**asdict(OTHER), "instances": "1"}},
        {"plan": {**asdict(OTHER), "instances": None}},
        {"plan": {**asdict(OTHER), "more": 1}},
        {"plan": {}},
        {"plan": None},
        {"tokens_per_second": 0.0},
        {"tokens_per_second": -1.0},
        {"tokens_per_second": float("nan")},
        {"tokens_per_second": float("inf")},
        {"tokens_per_second": 1e-300},
        {"tokens_per_second": "5000"},
        {"tokens_per_second": True},
        {"tokens_per_second": None},
    ],
)
def test_an_impossible_plan_or_rate_is_not_used(tmp_path: Path, change: dict[str, object]) -> None:
    file = tmp_path / "tunings.json"
    Tunings(file, 2, "CPU").put("encoder", TUNED)
    known = json.loads(file.read_text())
    [entries] = known.values()
    entries["encoder"] |= change
    file.write_text(json.dumps(known))
    assert Tunings(file, 2, "CPU").get("encoder", PLANS) is None


def test_a_plan_that_the_encoder_does_not_have_is_not_used(tmp_path: Path) -> None:
    tunings = Tunings(tmp_path / "tunings.json", 2, "CPU")
    tunings.put("encoder", TUNED)
    assert tunings.get("encoder", [SAFE]) is None


@pytest.mark.parametrize("entries", [None, 1, [], "", {"encoder": 1}, {"encoder": []}])
def test_another_shape_counts_as_missing(tmp_path: Path, entries: object) -> None:
    file = tmp_path / "tunings.json"
    tunings = Tunings(file, 2, "CPU")
    tunings.put("encoder", TUNED)
    file.write_text(json.dumps(dict.fromkeys(json.loads(file.read_text()), entries)))
    assert tunings.get("encoder", PLANS) is None
    tunings.put("encoder", TUNED)
    assert tunings.get("encoder", PLANS) == TUNED


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"x": 1}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_counts_as_missing(tmp_path: Path, damaged: bytes) -> None:
    file = tmp_path / "tunings.json"
    file.write_bytes(damaged)
    tunings = Tunings(file, 2, "CPU")
    assert tunings.get("encoder", PLANS) is None
    tunings.put("encoder", TUNED)
    assert tunings.get("encoder", PLANS) == TUNED


def test_the_folder_is_made_if_it_is_not_there_yet(tmp_path: Path) -> None:
    tunings = Tunings(tmp_path / "new" / "tunings.json", 2, "CPU")
    tunings.put("encoder", TUNED)
    assert tunings.get("encoder", PLANS) == TUNED


def test_a_place_that_cannot_be_written_to_does_not_keep_the_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Tunings(tmp_path / "file" / "tunings.json", 2, "CPU").put("encoder", TUNED)
