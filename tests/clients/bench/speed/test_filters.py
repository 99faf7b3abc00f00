"""Lists under filters, measured."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from itemlens import Linear
from itemlens_bench.speed import filters
from itemlens_bench.speed.filters import recall, strong_boost, wait_for_graphs
from itemlens_server.index.segments import MANIFEST


def asked(exact: str, found: str) -> Any:
    """A call that answers items by letters."""

    def ask(filter: str, **given: Any) -> Any:
        return [SimpleNamespace(item_id=letter) for letter in (exact if given.get("exact") else found)]

    return ask


@pytest.mark.parametrize(
    ("exact", "found", "share"),
    [("abcd", "abcd", 1.0), ("abcd", "ab", 0.5), ("abcd", "xyzw", 0), ("", "", 1)],
)
def test_recall_is_the_share_of_an_exact_list(exact: str, found: str, share: float) -> None:
    assert recall(asked(exact, found), "", {letter: letter for letter in "abcdxyzw"}) == share


def test_items_of_equal_content_stand_for_each_other_but_each_of_them_once() -> None:
    contents = {"a": "1", "b": "1", "c": "2", "d": "3"}
    assert recall(asked("ac", "bc"), "", contents) == 1
    assert recall(asked("ab", "ad"), "", contents) == 0.5


@pytest.mark.parametrize(("built", "ready"), [(9_000, False), (9_001, True), (10_000, True)])
def test_graphs_are_ready_if_a_tenth_of_the_items_is_in_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: int, ready: bool
) -> None:
    monkeypatch.setattr(filters, "GRAPH_SECONDS", 0.01)
    monkeypatch.setattr(filters, "FRESH", 100)
    (tmp_path / "graphs").mkdir()
    segments = [{"rows": built - 5}, {"rows": 5}]
    (tmp_path / "graphs" / MANIFEST).write_text(json.dumps({"snapshot": {"segments": segments}}))
    with nullcontext() if ready else pytest.raises(TimeoutError, match="10000 items"):
        wait_for_graphs(tmp_path, 10_000)


def test_few_items_need_no_graph(tmp_path: Path) -> None:
    wait_for_graphs(tmp_path, filters.FRESH - 1)


def test_a_strong_boost_spreads_by_two_standard_deviations() -> None:
    def ask(**given: Any) -> Any:
        return [SimpleNamespace(score=float(n % 2)) for n in range(given["k"])]

    boost = strong_boost(ask, ["x"] * 10)
    assert isinstance(boost.shape, Linear)
    assert boost.shape.slope / 12**0.5 == pytest.approx(2 * 0.5)
