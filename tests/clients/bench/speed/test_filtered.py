"""Filtered search beside embedded databases. The peers are tested if their environments are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_bench.speed.filtered.__main__ import CONDITIONS, OURS, PEERS, made_task, started
from itemlens_bench.speed.filtered.engines.engine import Array, Condition, Ints, Rows
from itemlens_bench.speed.filtered.engines.run import DEPTHS, K, Task, rate, recall
from itemlens_bench.speed.peers.environments import READY
from itemlens_bench.speed.peers.known import CACHE

TASK = made_task(600, 16, 12, seed=1)
MASKS = [condition.mask(TASK.rows) for condition in TASK.conditions]


def exact(mask: Any) -> Any:
    def search(vector: Array, depth: int) -> Ints:
        rows = np.flatnonzero(mask)
        return rows[np.argsort(-(TASK.rows.vectors[rows] @ vector))[:K]]

    return search


def test_rows_and_questions_have_unit_length() -> None:
    for vectors in (TASK.rows.vectors, TASK.questions):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("number", range(len(CONDITIONS)), ids=CONDITIONS)
def test_an_exact_search_has_recall_1(number: int) -> None:
    assert recall(TASK, number, MASKS[number], exact(MASKS[number]), 10) == 1


def test_rows_that_do_not_match_repeated_and_far_ones_do_not_count() -> None:
    number = list(CONDITIONS).index("brand .1")
    mask = MASKS[number]
    assert recall(TASK, number, mask, exact(~mask), 10) == 0
    assert recall(TASK, number, mask, lambda v, d: np.repeat(exact(mask)(v, d)[:1], K), 10) == pytest.approx(
        1 / K
    )
    assert recall(TASK, number, mask, lambda v, d: exact(mask)(-v, d), 10) < 0.2


@given(st.none() | st.floats(0, 1), st.sampled_from(["", "brand-0", "brand-1", "unknown"]))
def test_a_condition_is_that_of_each_row(below: float | None, brand: str) -> None:
    found = Condition(below, brand).mask(TASK.rows)
    for row, number, own in zip(found.tolist(), TASK.rows.numbers.tolist(), TASK.rows.brands, strict=True):
        assert row == ((below is None or number < below) and brand in ("", own))


def test_a_task_is_read_as_it_was_written(tmp_path: Path) -> None:
    TASK.save(tmp_path / "task.npz")
    read = Task.load(tmp_path / "task.npz")
    assert read.conditions == TASK.conditions
    assert read.rows.brands == TASK.rows.brands
    for own, other in ((read.questions, TASK.questions), (read.worst, TASK.worst)):
        np.testing.assert_array_equal(own, other)


def test_a_rate_counts_the_searches_of_all_callers() -> None:
    asked: list[int] = []

    def search(vector: Array, depth: int) -> Ints:
        asked.append(depth)
        return np.zeros(0, np.int64)

    found = rate(search, TASK, 16, callers=2, seconds=0.05)
    assert set(asked) == {16}
    assert found <= len(asked) / 0.05


@pytest.mark.parametrize("name", [OURS, *PEERS])
def test_an_engine_finds_what_an_exact_search_finds(name: str, tmp_path: Path) -> None:
    if name != OURS and not (PEERS[name].folder(CACHE) / READY).exists():
        pytest.skip(
            f"NOT RUN: {name} is not installed; `python -m itemlens_bench.speed.filtered` installs it"
        )
    TASK.save(tmp_path / "task.npz")
    with started(name, tmp_path, CACHE) as engine:
        for number in range(len(CONDITIONS)):
            found = engine.ask(condition=number, at_least=0.99)
            assert found["recall"] >= 0.99
            assert found["depth"] in DEPTHS
        assert engine.ask(condition=0, depth=16, callers=2, seconds=0.05)["rate"] > 0


def test_a_process_that_ends_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="the process of ours ended with status 1"),
        started(OURS, tmp_path, CACHE),
    ):
        pass


def test_no_row_may_match() -> None:
    rows = Rows(TASK.rows.vectors, TASK.rows.numbers, TASK.rows.brands)
    task = Task(rows, TASK.questions, (Condition(-1.0),), np.zeros((1, len(TASK.questions)), np.float32))
    nothing = task.conditions[0].mask(rows)
    assert recall(task, 0, nothing, exact(nothing), 10) == 1
