"""Lists under filters, measured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from itemlens_bench.speed.filters import recall, strong_boost


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


def test_a_strong_boost_spreads_by_two_standard_deviations() -> None:
    def ask(**given: Any) -> Any:
        return [SimpleNamespace(score=float(n % 2)) for n in range(given["k"])]

    boost = strong_boost(ask, ["x"] * 10)
    assert boost.shape is not None
    assert boost.shape.slope / 12**0.5 == pytest.approx(2 * 0.5)  # type: ignore[union-attr]
