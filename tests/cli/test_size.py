"""`itemlens size`: what a server needs for a collection, without a server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.command import Run
from support.spaces import Tiny

SHOP = ("--items", 100_000, "--channels", 2, "--users", 50_000, "--events", 2_000_000)


@pytest.fixture
def sized(run: Run) -> Any:
    """Runs `itemlens size --json` with arguments."""

    def sized(*arguments: Any) -> dict[str, Any]:
        done = run("size", *arguments, "--json")
        assert done.status == 0, done.said
        found: dict[str, Any] = json.loads(done.out)
        return found

    return sized


def test_a_table_says_what_takes_memory_and_disk(run: Run) -> None:
    said = run("size", *SHOP).said
    for part in ("vectors", "graphs", "events", "tables of events", "while a fit is taken over", "at rest"):
        assert part in said
    assert "memory limit: " in said and "volume: " in said and "cores: 2" in said


def test_it_says_nothing_of_what_is_not_there(run: Run) -> None:
    said = run("size", "--items", 10, "--no-fitted", "--encoders-mb", 0).said
    assert "encoders" not in said and "graphs" not in said and "fit" not in said


def test_the_numbers_of_json_add_up(sized: Any) -> None:
    found = sized(*SHOP)
    assert found["memory"] == sum(part["memory"] for part in found["parts"])
    assert found["memory"] < found["peak"] < found["memory_limit"]
    assert found["disk"] <= found["disk_peak"] < found["volume"]


def test_more_of_anything_takes_more(sized: Any) -> None:
    least = sized(*SHOP)
    for more in (
        ("--dims", "384,1280"), ("--attributes", 50), ("--words", 50), ("--encoders-mb", 500),
    ):  # fmt: skip
        assert sized(*SHOP, *more)["peak"] > least["peak"]
    for more in (("--picture-kb", 20), ("--document", 5000)):
        assert sized(*SHOP, *more)["disk"] > least["disk"]
    assert sized(*SHOP, "--items-with-events", 5_000)["peak"] < least["peak"]
    assert sized(*SHOP, "--lists", 300, "--texts", 20, "--new-events", 100)["cores"] > least["cores"]


def test_settings_count(sized: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.yaml").write_text("recommendation_memory_bytes: 0\n")
    less = sized(*SHOP)["memory"] - sized(*SHOP, "--config", tmp_path / "settings.yaml")["memory"]
    monkeypatch.setenv("ITEMLENS_RECOMMENDATION_MEMORY_BYTES", "0")
    assert less == 64 << 20 and sized(*SHOP, "--config", tmp_path / "settings.yaml") == sized(*SHOP)


def test_a_space_says_its_channels_and_encoders(sized: Any, tiny: Tiny) -> None:
    own = sized("--items", 5_000, "--space", tiny.models / tiny.plain, "--encoders-mb", 9_999)
    graphs = sum(path.stat().st_size for path in (tiny.models / tiny.plain).glob("*.onnx"))
    given = sized("--items", 5_000, "--dims", "32,24", "--encoders-mb", graphs / 1e6)
    vocabulary = (tiny.models / tiny.plain / "tokenizer.json").stat().st_size
    assert own["memory"] - given["memory"] == 15 * vocabulary


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--items", 10, "--dims", "384,x"), "--dims is '384,x'"),
        (("--items", 10, "--dims", "384,256", "--channels", 3), "one for each channel"),
        (("--items", 10, "--space", "."), "no folder of a space"),
        (("--items", 0), "--items"),
    ],
)
def test_what_is_wrong_is_said(
    run: Run, wrong: tuple[Any, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("size", *wrong)
    assert done.status != 0 and said in done.said


def test_it_needs_no_part_of_the_server_that_serves() -> None:
    heavy = "onnxruntime", "hnswlib", "grpc", "itemlens_server.storage", "itemlens_server.engine"
    command = (
        f"import sys; sys.modules.update(dict.fromkeys({heavy[:1] + heavy[3:]!r}));"
        "sys.argv = ['itemlens', 'size', '--items', '1000']; from itemlens_cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
