"""The memory budget: never exceeded, lent in the order of the requests, and not lent to ended calls."""

from __future__ import annotations

import threading

import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.memory_budget import MemoryBudget
from itemlens_server.errors import Cancelled


def borrow(
    budget: MemoryBudget, size: int, order: list[int], call: CallContext | None = None
) -> threading.Thread:
    """Start a thread that takes `size`, records that and gives it back. Return once the thread waits or is done."""
    before = len(budget._waiting)

    def run() -> None:
        with budget.lend(size, call):
            order.append(size)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive() and len(budget._waiting) <= before:
        thread.join(0.001)
    return thread


def test_a_fitting_request_is_lent_at_once_and_returned() -> None:
    budget = MemoryBudget(10)
    with budget.lend(6), budget.lend(4):
        assert budget.lent == 10
    assert budget.lent == 0


def test_memory_is_returned_after_an_error() -> None:
    budget = MemoryBudget(10)
    with pytest.raises(ValueError, match="no"), budget.lend(6):
        raise ValueError("no")
    assert budget.lent == 0


def test_requests_are_served_in_order() -> None:
    budget, order = MemoryBudget(10), list[int]()
    with budget.lend(9):
        threads = [borrow(budget, size, order) for size in (8, 1, 2)]
        assert order == []  # 1 would fit, but 8 came before
    for thread in threads:
        thread.join(10)
    assert order[0] == 8
    assert sorted(order) == [1, 2, 8]


def test_a_request_above_the_budget_counts_as_the_whole_budget() -> None:
    budget = MemoryBudget(10)
    with budget.lend(25):
        assert budget.lent == 10


def test_nothing_is_lent_to_an_ended_call() -> None:
    budget, order, call = MemoryBudget(10), list[int](), CallContext()
    refused: list[Cancelled] = []

    def run() -> None:
        try:
            with budget.lend(5, call):
                order.append(5)
        except Cancelled as error:
            refused.append(error)

    with budget.lend(10):
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        while not budget._waiting:
            thread.join(0.001)
        call.end()
        other = borrow(budget, 7, order)
    thread.join(10)
    other.join(10)
    assert (order, len(refused), budget.lent) == ([7], 1, 0)
