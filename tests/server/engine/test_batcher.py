"""The batcher: joins what may be joined, never what may not, and nobody is left waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens_server.deadline import Deadline
from itemlens_server.engine.batcher import Batcher
from itemlens_server.errors import DeadlineExceeded, Overloaded, WrongState

Job = tuple[str, int, object]


@dataclass
class Held:
    """A batcher of one worker that stands still from its first batch on until `go` is set."""

    max_batch: int = 8
    max_batch_size: int = 100
    max_queue: int = 1000
    go: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    batches: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.batcher: Batcher[str, str] = Batcher(
            self._run, workers=1, max_batch=self.max_batch, max_batch_size=self.max_batch_size,
            max_queue=self.max_queue, name="test",
        )  # fmt: skip
        self.first = self.batcher.submit([("first", 1, "first")], Deadline())[0]
        self.entered.wait()

    def _run(self, inputs: list[str]) -> Sequence[str]:
        self.batches.append(inputs)
        self.entered.set()
        self.go.wait()
        if "bad" in inputs:
            raise ValueError("bad input")
        if "short" in inputs:
            return inputs[1:]
        return [i.upper() for i in inputs]

    def results(self, *jobs: Job) -> list[object]:
        """Queue the jobs together, let go, and wait: each one's output or error."""
        futures = self.batcher.submit(list(jobs), Deadline())
        self.go.set()
        return [f.exception() or f.result() for f in futures]


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.go.set()
    made.batcher.close()


def test_an_idle_worker_takes_what_is_there_at_once() -> None:
    batcher: Batcher[int, int] = Batcher(
        lambda xs: [x + 1 for x in xs], workers=1, max_batch=4, max_batch_size=9, max_queue=9, name="t"
    )
    assert batcher.submit([(1, 1, None)], Deadline())[0].result(timeout=30) == 2
    batcher.close()


def test_what_waits_together_is_run_together(held: Held) -> None:
    assert held.results(("a", 1, "g"), ("b", 1, "g"), ("c", 1, "g")) == ["A", "B", "C"]
    assert held.batches == [["first"], ["a", "b", "c"]]


def test_calls_of_several_callers_are_joined(held: Held) -> None:
    one = held.batcher.submit([("a", 1, "g")], Deadline())
    assert held.results(("b", 1, "g")) == ["B"]
    assert one[0].result() == "A"
    assert held.batches[1] == ["a", "b"]


def test_groups_are_never_mixed_and_the_one_that_waits_longest_goes_first(held: Held) -> None:
    held.results(("a1", 1, "a"), ("b1", 1, "b"), ("a2", 1, "a"))
    assert held.batches[1:] == [["a1", "a2"], ["b1"]]


def test_padded_size_stays_within_the_budget() -> None:
    held = Held(max_batch_size=10)
    held.results(*((str(n), size, "g") for n, size in enumerate([2, 3, 3, 4, 1])))
    # 3 x 3 is 9; a fourth of size 4 would make 4 x 4.
    assert held.batches[1:] == [["0", "1", "2"], ["3", "4"]]
    held.batcher.close()


def test_an_input_larger_than_the_budget_runs_alone() -> None:
    held = Held(max_batch_size=10)
    assert held.results(("huge", 99, "g"), ("a", 1, "g")) == ["HUGE", "A"]
    assert held.batches[1:] == [["huge"], ["a"]]
    held.batcher.close()


def test_an_error_reaches_its_batch_and_no_other(held: Held) -> None:
    bad, same, other = held.results(("bad", 1, "g"), ("same", 1, "g"), ("other", 1, "h"))
    assert isinstance(bad, ValueError) and isinstance(same, ValueError)
    assert other == "OTHER"


def test_a_wrong_number_of_outputs_is_an_error_and_the_worker_goes_on(held: Held) -> None:
    short, good = held.results(("short", 1, "g"), ("good", 1, "h"))
    assert isinstance(short, RuntimeError) and good == "GOOD"


def test_what_expired_in_the_queue_is_dropped_before_it_costs_a_place(held: Held) -> None:
    [expired] = held.batcher.submit([("expired", 1, "g")], Deadline(0.0))
    [hung_up] = held.batcher.submit([("hung up", 1, "g")], Deadline(None, lambda: False))
    assert held.results(("a", 1, "g")) == ["A"]
    assert isinstance(expired.exception(), DeadlineExceeded)
    assert isinstance(hung_up.exception(), DeadlineExceeded)
    assert held.batches[1:] == [["a"]]


def test_a_full_queue_refuses_a_call_whole_and_says_when_to_come_back() -> None:
    held = Held(max_queue=3)
    futures = held.batcher.submit([("a", 1, "g"), ("b", 1, "g")], Deadline())
    with pytest.raises(Overloaded) as refused:
        held.batcher.submit([("c", 1, "g"), ("d", 1, "g")], Deadline())
    assert refused.value.retry_seconds > 0
    held.go.set()
    assert [f.result() for f in futures] == ["A", "B"]
    assert "c" not in chain.from_iterable(held.batches)
    held.batcher.close()


def test_a_call_larger_than_the_queue_is_let_in_when_nothing_waits() -> None:
    held = Held(max_queue=2)
    assert held.results(*((str(n), 1, "g") for n in range(5))) == ["0", "1", "2", "3", "4"]
    held.batcher.close()


def test_close_finishes_what_is_queued_and_refuses_the_rest(held: Held) -> None:
    queued = held.batcher.submit([("a", 1, "g")], Deadline())
    with ThreadPoolExecutor(1) as threads:
        closed = threads.submit(held.batcher.close)
        held.go.set()
        closed.result(timeout=30)
    assert queued[0].result() == "A"
    with pytest.raises(WrongState, match="stopping"):
        held.batcher.submit([("late", 1, "g")], Deadline())


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.sampled_from("abc")), min_size=1, max_size=40),
    st.integers(1, 6),
    st.integers(1, 30),
)
def test_whatever_is_queued_every_input_is_run_once_within_the_limits(
    inputs: list[tuple[int, str]], max_batch: int, budget: int
) -> None:
    held = Held(max_batch=max_batch, max_batch_size=budget)
    jobs = [(f"{group}{n}", size, group) for n, (size, group) in enumerate(inputs)]
    sizes = {name: size for name, size, _ in jobs}
    assert held.results(*jobs) == [name.upper() for name, _, _ in jobs]
    held.batcher.close()
    batches = held.batches[1:]
    assert sorted(chain.from_iterable(batches)) == sorted(sizes)
    for batch in batches:
        assert len({name[0] for name in batch}) == 1
        assert len(batch) <= max_batch
        assert len(batch) == 1 or max(sizes[n] for n in batch) * len(batch) <= budget
        numbers = [int(name[1:]) for name in batch]
        assert numbers == sorted(numbers)
