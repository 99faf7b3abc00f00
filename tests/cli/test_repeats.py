"""Repeated ids in a file."""

from __future__ import annotations

from itemlens_cli.repeats import Repeats


def test_the_rows_of_repeated_ids_are_found_in_order() -> None:
    repeats = Repeats()
    for row, id in enumerate(["a", "b", "a", "c", "b", "a"], 1):
        repeats.add(id, row)
    assert repeats.rows() == [3, 5, 6]


def test_without_repeats_or_rows_the_result_is_empty() -> None:
    repeats = Repeats()
    assert repeats.rows() == []
    repeats.add("a", 1)
    assert repeats.rows() == []
