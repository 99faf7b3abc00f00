"""`itemlens bench` from end to end: real processes, a real server, and the report files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.spaces import Tiny


def bench(tiny: Tiny, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "itemlens_cli", "bench", "--models", str(tiny.models), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def report(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bench")
    done = bench(tiny, "encode", "latency", "--rounds", "2", "--seconds", "0.3", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_the_report_has_our_server_beside_the_ceiling_in_both_shapes(report: Path) -> None:
    sections = json.loads((report / "report.json").read_text(encoding="utf-8"))["sections"]
    assert [section["title"].partition(",")[0] for section in sections] == [
        "Saturated Encode", "Saturated Encode", "Unloaded latency: single texts"
    ]  # fmt: skip
    for section in sections[:2]:
        raw, floor, ours = section["rows"]
        assert (raw["name"], ours["name"]) == ("raw fp32", "itemlens fp32")
        assert floor["name"] == "raw fp32 beside a gRPC echo"
        assert floor["figures"]["share of raw"]["median"] > 0
        assert ours["figures"]["share of raw"]["median"] > 0
        assert ours["figures"]["failed"] == 0
        assert ours["figures"]["distance to raw"] < 1e-5


def test_it_says_what_was_measured_on_what(report: Path) -> None:
    about = json.loads((report / "report.json").read_text(encoding="utf-8"))["about"]
    assert {"machine", "versions", "space", "settings", "workload"} <= set(about)


def test_it_draws_each_section(report: Path) -> None:
    assert len(list(report.glob("*.svg"))) == 3


def test_it_measures_by_length_of_text_and_size_of_call(tiny: Tiny, tmp_path: Path) -> None:
    done = bench(tiny, "lengths", "--rounds", "1", "--seconds", "0.1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    sections = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["sections"]
    assert [section["title"] for section in sections] == [f"Encode, texts of {n} tokens" for n in (16, 32)]
    for section in sections:
        assert len(section["rows"]) == 5
        for row in section["rows"]:
            assert row["figures"]["failed"] == 0
            assert row["figures"]["share of raw"]["median"] > 0


def test_an_unknown_precision_is_one_line(tiny: Tiny) -> None:
    done = bench(tiny, "encode", "--precision", "int8")
    assert done.returncode == 1
    assert "has no int8 text graph; it has fp32" in done.stderr


def test_a_malformed_setting_is_one_line(tiny: Tiny) -> None:
    done = bench(tiny, "encode", "--set", "threads")
    assert done.returncode == 1
    assert "write --set name=value" in done.stderr
