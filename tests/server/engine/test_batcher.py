"""The batcher: every call gets its outputs, no call waits forever, and nothing runs without a waiting call."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import pytest

from itemlens_server.access.guard import Anybody
from itemlens_server.config import Settings
from itemlens_server.engine.admission import AdmissionControl
from itemlens_server.engine.batcher import Batcher
from itemlens_server.engine.call_context import CallContext, Priority
from itemlens_server.engine.entry import Input
from itemlens_server.engine.pending import Pending
from itemlens_server.engine.queue import Plan
from itemlens_server.errors import Cancelled, DeadlineExceeded, FailedPrecondition, ItemlensError, Overloaded
from itemlens_server.observer import FinishedBatch, NullObserver


@dataclass
class Held:
    """A batcher with one worker whose first batch blocks until `go` is set."""

    admission: AdmissionControl = field(default_factory=AdmissionControl)
    go: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    batches: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.batcher: Batcher[str, str] = Batcher(
            [self._run], plan=Plan(), name="test", admission=self.admission
        )
        self.first = self.submit("first")
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

    def submit(
        self, *names: str, call: CallContext | None = None, tokens: int = 1, group: str = ""
    ) -> Pending[str]:
        """Queue texts. Texts with the same name are the same."""
        return self.batcher.submit([Input(n, tokens, group, n) for n in names], call or CallContext())

    def ran(self) -> list[str]:
        """Return all inputs that ran except the first."""
        return list(chain.from_iterable(self.batches[1:]))


@pytest.fixture
def held() -> Iterator[Held]:
    paused = Held()
    yield paused
    paused.go.set()
    paused.batcher.close()


def test_an_idle_worker_takes_waiting_inputs_at_once() -> None:
    batcher: Batcher[int, int] = Batcher([lambda xs: [x + 1 for x in xs]], plan=Plan(), name="t")
    assert batcher.submit([Input(1)], CallContext()).results() == [2]
    batcher.close()


def test_outputs_come_in_the_order_of_the_inputs(held: Held) -> None:
    pending = held.submit("b", "a", "c")
    held.go.set()
    assert pending.results() == ["B", "A", "C"]


def test_without_inputs_there_is_no_wait(held: Held) -> None:
    assert held.submit().results() == []


def test_inputs_of_many_calls_are_joined_and_large_calls_are_split(held: Held) -> None:
    small = [held.submit(name) for name in "ab"]
    large = held.submit(*(str(n) for n in range(10)))
    held.go.set()
    assert [p.results() for p in small] == [["A"], ["B"]]
    assert large.results() == [str(n) for n in range(10)]
    assert [len(batch) for batch in held.batches] == [1, 8, 4]


class Waits:
    """Counts the waits that threads begin on a condition of a batcher."""

    def __init__(self, condition: threading.Condition) -> None:
        self._condition, self._begun = condition, threading.Semaphore(0)
        wait = condition.wait

        def counted(timeout: float | None = None) -> bool:
            self._begun.release()  # the lock is still held: the next thread that takes it finds this one waiting
            return wait(timeout)

        vars(condition)["wait"] = counted

    def begun(self, count: int = 1) -> bool:
        """Return whether `count` threads begin to wait."""
        return all(self._begun.acquire(timeout=60) for _ in range(count))

    def again(self, count: int) -> bool:
        """Wake all waiting threads. Return whether `count` of them find nothing to do and wait again."""
        with self._condition:
            while self._begun.acquire(blocking=False):
                pass
            self._condition.notify_all()
        return self.begun(count)


@dataclass
class LowLatency:
    """A batcher with three workers and a low-latency run. Each input blocks until it is released."""

    ran: queue.SimpleQueue[tuple[str, list[str]]] = field(default_factory=queue.SimpleQueue)
    go: dict[str, threading.Event] = field(
        default_factory=lambda: {name: threading.Event() for name in "abc"}
    )

    def __post_init__(self) -> None:
        own = partial(self._run, "own")
        self.batcher: Batcher[str, str] = Batcher(
            [own] * 3, plan=Plan(), name="test", low_latency=partial(self._run, "low latency")
        )
        self.workers = Waits(self.batcher._work)

    def _run(self, how: str, inputs: list[str]) -> list[str]:
        self.ran.put((how, inputs))
        for name in inputs:
            self.go[name].wait()
            if name == "bad":
                raise ValueError("bad input")
        return inputs

    def submit(self, name: str) -> Pending[str]:
        return self.batcher.submit([Input(name)], CallContext())

    def begun(self, count: int) -> list[tuple[str, list[str]]]:
        """Return the next `count` runs that begin."""
        return sorted(self.ran.get(timeout=60) for _ in range(count))


class TestWhatComesAlone:
    @pytest.fixture
    def alone(self) -> Iterator[LowLatency]:
        low_latency = LowLatency()
        yield low_latency
        for go in low_latency.go.values():
            go.set()
        low_latency.batcher.close()

    def test_it_has_the_whole_machine_and_later_inputs_wait(self, alone: LowLatency) -> None:
        alone.submit("a")
        assert alone.begun(1) == [("low latency", ["a"])]
        for name in "bc":
            alone.submit(name)
        assert alone.workers.again(2)
        assert alone.ran.empty()
        alone.go["a"].set()
        assert alone.begun(2) == [("own", ["b"]), ("own", ["c"])]

    def test_an_input_that_arrives_during_a_run_is_not_alone(self, alone: LowLatency) -> None:
        alone.batcher.submit([Input("a"), Input("b")], CallContext())
        assert alone.begun(2) == [("own", ["a"]), ("own", ["b"])]
        alone.go["a"].set()
        alone.submit("c")
        assert alone.begun(1) == [("own", ["c"])]

    def test_close_meanwhile_finishes_what_is_queued_and_ends_every_worker(self, alone: LowLatency) -> None:
        alone.submit("a")
        assert alone.begun(1) == [("low latency", ["a"])]
        waiting = alone.submit("b")
        closing = threading.Thread(target=alone.batcher.close, daemon=True)
        closing.start()
        with pytest.raises(FailedPrecondition):
            while True:  # until it is closed
                alone.batcher.submit([], CallContext())
        for go in alone.go.values():
            go.set()
        closing.join(timeout=30)
        assert not closing.is_alive()
        assert waiting.results() == ["b"]

    def test_an_error_gives_the_machine_back(self, alone: LowLatency) -> None:
        alone.go["bad"] = threading.Event()
        alone.go["bad"].set()
        with pytest.raises(ValueError, match="bad input"):
            alone.submit("bad").results()
        alone.batcher.submit([Input("a"), Input("b")], CallContext())
        assert alone.begun(3) == [("low latency", ["bad"]), ("own", ["a"]), ("own", ["b"])]


class TestTheSameInputAtTheSameTime:
    def test_it_runs_once_for_all_calls(self, held: Held) -> None:
        both = [held.submit("a"), held.submit("a", "b", "a")]
        held.go.set()
        assert [p.results() for p in both] == [["A"], ["A", "B", "A"]]
        assert sorted(held.ran()) == ["a", "b"]
        assert held.batcher.counts().joined == 2

    def test_it_is_joined_even_while_it_runs(self, held: Held) -> None:
        again = held.submit("first")
        held.go.set()
        assert again.results() == held.first.results() == ["FIRST"]
        assert held.ran() == []

    def test_it_is_run_again_afterwards(self, held: Held) -> None:
        held.go.set()
        held.first.results()
        assert held.submit("first").results() == ["FIRST"]
        assert held.ran() == ["first"]

    def test_other_groups_are_other_inputs(self, held: Held) -> None:
        both = [held.submit("a", group="x"), held.submit("a", group="y")]
        held.go.set()
        assert [p.results() for p in both] == [["A"], ["A"]]
        assert held.ran() == ["a", "a"]

    def test_it_runs_as_long_as_one_still_waits(self, held: Held) -> None:
        gone, there = CallContext(), CallContext()
        held.submit("a", call=gone)
        pending = held.submit("a", call=there)
        gone.end()
        held.go.set()
        assert pending.results() == ["A"]

    def test_an_interactive_call_does_not_wait_for_a_bulk_one(self, held: Held) -> None:
        held.submit(*(f"bulk {n}" for n in range(30)), "a", call=CallContext(priority=Priority.BULK))
        pending = held.submit("a")
        held.go.set()
        assert pending.results() == ["A"]
        assert held.batches[1] == ["a"]


class TestErrors:
    def test_an_error_reaches_only_its_batch(self, held: Held) -> None:
        both, other = held.submit("bad", "same"), held.submit("other", group="h")
        held.go.set()
        with pytest.raises(ValueError, match="bad input"):
            both.results()
        assert other.results() == ["OTHER"]

    def test_a_wrong_number_of_outputs_is_an_error_and_the_worker_goes_on(self, held: Held) -> None:
        short, good = held.submit("short"), held.submit("good", group="h")
        held.go.set()
        with pytest.raises(RuntimeError, match="0 outputs for 1 inputs"):
            short.results()
        assert good.results() == ["GOOD"]


class TestWhoHasGone:
    def test_an_input_without_a_waiting_call_does_not_run(self, held: Held) -> None:
        gone = CallContext()
        late, hung_up, there = (
            held.submit("late", call=CallContext(0.0)),
            held.submit("gone", call=gone),
            held.submit("a"),
        )
        gone.end()
        with pytest.raises(DeadlineExceeded):
            late.results()
        with pytest.raises(Cancelled):
            hung_up.results()
        held.go.set()
        assert there.results() == ["A"]
        assert held.ran() == ["a"]
        assert held.batcher.counts().dropped == 2

    def test_a_call_that_hangs_up_stops_waiting_at_once(self, held: Held) -> None:
        call = CallContext()
        pending = held.submit("a", call=call)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(pending.results)
            call.end()
            assert isinstance(waiting.exception(timeout=30), Cancelled)

    def test_a_deadline_ends_the_waiting(self, held: Held) -> None:
        with pytest.raises(DeadlineExceeded):
            held.submit("a", call=CallContext(0.05)).results()


MANY = [str(n) for n in range(64)]


def waiting(seconds: float) -> AdmissionControl:
    """Calls that would wait longer than the default settings allow are refused."""
    return AdmissionControl(
        wait_seconds=seconds,
        min_admitted_inputs=Settings.model_fields["min_admitted_inputs"].default,
        large_call_patience=Settings.model_fields["large_call_patience"].default,
    )


class TestABoundedQueue:
    def test_a_full_queue_refuses_the_whole_call_with_a_retry_delay(self) -> None:
        held = Held(AdmissionControl(queue_tokens=10, tokens_per_second=5.5))
        kept = held.submit("a", tokens=21)
        with pytest.raises(Overloaded, match="21 tokens wait") as refused:
            held.submit("b", "c")
        assert refused.value.retry_seconds == pytest.approx(2.0)  # until 11 of them have run
        with pytest.raises(Overloaded):
            held.batcher.check_admission(CallContext(), 1)
        held.go.set()
        assert kept.results() == ["A"]
        assert held.ran() == ["a"]
        assert held.batcher.counts().refused == 2
        held.batcher.close()

    def test_a_small_call_is_refused_before_a_large_one(self) -> None:
        held = Held(waiting(seconds=10))
        held.submit(*MANY)
        with pytest.raises(Overloaded):
            held.submit("small")
        large = held.submit(*"a large call")
        held.go.set()
        assert large.results() == [*"A LARGE CALL"]
        held.batcher.close()

    @pytest.mark.parametrize("size", [1, 32])
    def test_64_callers_of_single_texts_or_8_of_large_calls_are_all_admitted(self, size: int) -> None:
        held = Held(waiting(seconds=0.001))
        for caller in range(8 if size > 1 else 64):
            held.submit(*(f"{caller} {n}" for n in range(size)), tokens=1 + caller)
        with pytest.raises(Overloaded):
            held.submit(*(f"one more {n}" for n in range(size)))
        held.go.set()
        held.batcher.close()

    def test_a_caller_that_fills_the_queue_leaves_room_for_others(self) -> None:
        held = Held(waiting(seconds=10))
        held.submit(*MANY, call=CallContext(caller=Anybody("greedy")))
        with pytest.raises(Overloaded):
            held.submit("b", call=CallContext(caller=Anybody("greedy")))
        other = held.submit("c", call=CallContext(caller=Anybody("other")))
        held.go.set()
        assert other.results() == ["C"]
        held.batcher.close()

    def test_a_call_larger_than_the_queue_is_admitted_while_there_is_room(self) -> None:
        held = Held(AdmissionControl(queue_tokens=10))
        pending = [held.submit("a", tokens=10), held.submit("b", tokens=99)]
        held.go.set()
        assert [p.results() for p in pending] == [["A"], ["B"]]
        held.batcher.close()

    def test_bulk_calls_wait_for_room_and_take_none_from_interactive_ones(self) -> None:
        held = Held(AdmissionControl(queue_tokens=10))
        held.submit("bulk", tokens=11, call=CallContext(priority=Priority.BULK))
        calls = Waits(held.batcher._queue_shrank)
        with ThreadPoolExecutor(1) as threads:
            more = threads.submit(held.submit, "more bulk", call=CallContext(priority=Priority.BULK))
            assert calls.begun()
            interactive = held.submit("a")
            assert calls.again(1)
            assert not more.done()
            held.go.set()
            assert more.result(timeout=30).results() == ["MORE BULK"]
        assert interactive.results() == ["A"]
        held.batcher.close()

    def test_a_bulk_call_stops_waiting_for_room_at_its_deadline(self) -> None:
        held = Held(AdmissionControl(queue_tokens=10))
        held.submit("bulk", tokens=11, call=CallContext(priority=Priority.BULK))
        with pytest.raises(DeadlineExceeded):
            held.submit("more", call=CallContext(0.01, priority=Priority.BULK))
        held.go.set()
        held.batcher.close()
        assert held.ran() == ["bulk"]


class TestAWorkerIsKeptFromBulk:
    """Two workers. Each batch blocks until `go` is set; `started` counts the batches."""

    @pytest.fixture
    def started(self) -> threading.Semaphore:
        return threading.Semaphore(0)

    @pytest.fixture
    def go(self) -> threading.Event:
        return threading.Event()

    @pytest.fixture
    def batcher(self, started: threading.Semaphore, go: threading.Event) -> Iterator[Batcher[str, str]]:
        def run(inputs: list[str]) -> list[str]:
            started.release()
            if inputs != ["quick"]:
                go.wait()
            return inputs

        two_workers: Batcher[str, str] = Batcher([run, run], plan=Plan(max_batch=1), name="test")
        yield two_workers
        go.set()
        two_workers.close()

    def bulk(self, batcher: Batcher[str, str]) -> list[Pending[str]]:
        return [batcher.submit([Input("bulk")], CallContext(priority=Priority.BULK)) for _ in range(3)]

    def test_while_interactive_inputs_come(
        self, batcher: Batcher[str, str], started: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("itemlens_server.engine.batcher.CALM_SECONDS", 1e6)
        assert batcher.submit([Input("quick")], CallContext()).results() == ["quick"]
        assert started.acquire(timeout=60)
        workers = Waits(batcher._work)
        self.bulk(batcher)
        assert started.acquire(timeout=60)
        assert workers.again(1)
        assert not started.acquire(blocking=False)
        assert batcher.submit([Input("quick")], CallContext()).results() == ["quick"]

    def test_after_a_while_bulk_has_all(
        self, batcher: Batcher[str, str], started: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("itemlens_server.engine.batcher.CALM_SECONDS", 0.05)
        assert batcher.submit([Input("quick")], CallContext()).results() == ["quick"]
        assert started.acquire(timeout=60)
        self.bulk(batcher)
        assert started.acquire(timeout=60)
        assert started.acquire(timeout=60)

    def test_close_finishes_all_of_it(
        self, batcher: Batcher[str, str], go: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("itemlens_server.engine.batcher.CALM_SECONDS", 1e6)
        batcher.submit([Input("quick")], CallContext()).results()
        waiting = self.bulk(batcher)
        go.set()
        batcher.close()
        assert [pending.results() for pending in waiting] == [["bulk"]] * 3


def test_close_finishes_what_is_queued_and_refuses_the_rest(held: Held) -> None:
    queued = held.submit("a")
    with ThreadPoolExecutor(1) as threads:
        closed = threads.submit(held.batcher.close)
        held.go.set()
        closed.result(timeout=30)
    assert queued.results() == ["A"]
    with pytest.raises(FailedPrecondition, match="stopping"):
        held.submit("late")


def test_it_counts_what_it_does(held: Held) -> None:
    held.submit("a", tokens=10)
    held.submit("b", tokens=9)
    held.go.set()
    held.batcher.close()
    counts = held.batcher.counts()
    assert (counts.inputs, counts.tokens) == (3, 20)
    assert counts.padded_tokens >= counts.tokens
    assert counts.run_seconds > 0 and counts.queue_seconds > 0


class Recorder(NullObserver):
    """Records the batches that it observes."""

    def __init__(self) -> None:
        self.batches: queue.SimpleQueue[FinishedBatch] = queue.SimpleQueue()

    def batch_run(self, batch: FinishedBatch) -> None:
        self.batches.put(batch)


class TestTheObserver:
    def test_it_observes_each_batch_from_now_on(self, held: Held) -> None:
        recorder = Recorder()
        held.batcher.observe(recorder)
        held.submit("a", "b", "c", tokens=10)
        held.submit("d", tokens=9)
        held.go.set()
        held.batcher.close()
        batches = [recorder.batches.get(timeout=0) for _ in range(2)]
        assert recorder.batches.empty()
        assert [(b.encoder, b.inputs, b.tokens, b.padded_tokens) for b in batches] == [
            ("test", 1, 1, 1),
            ("test", 4, 39, 40),
        ]
        assert all(batch.seconds > 0 and batch.queued_seconds > 0 for batch in batches)
        counts = held.batcher.counts()
        assert counts.run_seconds == pytest.approx(sum(batch.seconds for batch in batches))
        assert counts.queue_seconds == pytest.approx(sum(batch.queued_seconds for batch in batches))

    def test_it_may_ask_the_batcher(self, held: Held) -> None:
        class Asks(NullObserver):
            def batch_run(self, *_: object, **__: object) -> None:
                asked.put(held.batcher.counts().batches)

        asked: queue.SimpleQueue[int] = queue.SimpleQueue()
        held.batcher.observe(Asks())
        held.go.set()
        assert asked.get(timeout=60) == 1

    def test_an_observer_that_raises_does_not_stop_a_worker_and_is_logged_once(
        self, held: Held, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Raises(NullObserver):
            def batch_run(self, *_: object, **__: object) -> None:
                raise RuntimeError("no")

        held.batcher.observe(Raises())
        held.go.set()
        for name in "abc":
            assert held.submit(name).results() == [name.upper()]
        held.batcher.close()
        assert len(caplog.records) == 1


def test_each_of_thousands_of_outputs_reaches_its_caller() -> None:
    """64 callers, duplicates, hang-ups, deadlines and both priorities at once."""

    def run(values: list[int]) -> list[int]:
        return [value * value for value in values]

    batcher: Batcher[int, int] = Batcher(
        [run, run], plan=Plan(), name="t", admission=AdmissionControl(queue_tokens=300)
    )

    def caller(number: int) -> int:
        rng = random.Random(number)
        answered = 0
        for _ in range(80):
            values = [rng.randrange(500) for _ in range(rng.randrange(1, 9))]
            call = CallContext(
                rng.choice([None, None, 0.0, 5.0]),
                priority=rng.choice([Priority.INTERACTIVE, Priority.BULK]),
                caller=Anybody(str(number)),
            )
            try:
                pending = batcher.submit(
                    [Input(v, rng.randrange(1, 40), None, rng.choice([v, None])) for v in values], call
                )
                if rng.random() < 0.1:
                    call.end()
                assert pending.results() == [v * v for v in values]
                answered += 1
            except ItemlensError as error:
                assert isinstance(error, Cancelled | DeadlineExceeded | Overloaded)
        return answered

    with ThreadPoolExecutor(64) as threads:
        answered = list(threads.map(caller, range(64)))
    batcher.close()
    assert all(answered)
    assert batcher.waiting_tokens() == 0


def test_a_call_that_ends_as_its_output_arrives_does_not_stop_the_worker() -> None:
    batcher: Batcher[int, int] = Batcher([lambda values: values], plan=Plan(), name="t")
    calls = [CallContext() for _ in range(3000)]
    with ThreadPoolExecutor(2) as threads:
        pending = threads.submit(lambda: [batcher.submit([Input(1)], call) for call in calls])
        for call in calls:
            call.end()
        pending.result(timeout=60)
    assert batcher.submit([Input(7)], CallContext()).results() == [7]
    batcher.close()
