"""Arrival patterns and their recordings, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from itemlens_bench.speed.patterns import RETRY_SECONDS, Closed, Open, Outcome, Recording, poisson
from itemlens_bench.speed.target import CallFailed, Refused
from support.virtual import run

REQUESTS = range(10)


class Server:
    """Answers each call after `seconds`; if `serial`, one call at a time."""

    def __init__(self, seconds: float, *, serial: bool = False) -> None:
        self.seconds = seconds
        self.got: list[int] = []
        self.most_at_once = 0
        self._at_once = 0
        self._turn = asyncio.Lock() if serial else None

    async def send(self, request: int) -> str:
        self.got.append(request)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if self._turn is None:
                await asyncio.sleep(self.seconds)
            else:
                async with self._turn:
                    await asyncio.sleep(self.seconds)
        finally:
            self._at_once -= 1
        return "vectors"


class Erring:
    """Raises the errors of a list, one per call (None: answers), then answers at once."""

    def __init__(self, errors: Sequence[Exception | None]) -> None:
        self._errors = list(errors)

    async def send(self, request: int) -> str:
        await asyncio.sleep(0.01)
        if self._errors and (error := self._errors.pop(0)) is not None:
            raise error
        return "vectors"


def arrivals(*due: float, most_in_flight: int = 100) -> Open:
    return Open(np.array(due), range(len(due)), 10.0, most_in_flight)


def test_poisson_arrivals_depend_on_the_seed_alone() -> None:
    once, again, other = poisson(50, 10, seed=1), poisson(50, 10, seed=1), poisson(50, 10, seed=2)
    assert np.array_equal(once.due, again.due)
    assert not np.array_equal(once.due[:10], other.due[:10])


def test_poisson_arrivals_have_the_rate_and_the_gaps_of_independent_callers() -> None:
    pattern = poisson(rate=100, seconds=200, seed=3)
    assert len(pattern.due) == pytest.approx(20_000, rel=0.03)
    assert pattern.due.min() >= 0 and pattern.due.max() < 200
    gaps = np.diff(pattern.due)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)


def test_poisson_arrivals_are_numbered_from_the_given_number_on() -> None:
    assert list(poisson(5, 2, seed=1, first=70).numbers)[:2] == [70, 71]


def test_an_open_loop_counts_latency_from_when_a_call_was_due() -> None:
    # The server is busy for a second with each call, so the third waits for the two before it.
    recording = run(arrivals(0.0, 0.1, 0.2).run(Server(1.0, serial=True), REQUESTS, at=0.0))
    assert sorted(recording.latency.tolist()) == pytest.approx([1.0, 1.9, 2.8])


def test_an_open_loop_does_not_wait_for_replies() -> None:
    recording = run(arrivals(0.0, 0.1, 0.2).run(Server(60.0), REQUESTS, at=5.0))
    assert np.sort(recording.sent).tolist() == pytest.approx([5.0, 5.1, 5.2])


def test_a_call_that_the_client_has_no_room_for_is_recorded_as_unsent() -> None:
    server = Server(60.0)
    recording = run(arrivals(0.0, 0.1, 0.2, most_in_flight=2).run(server, REQUESTS, at=0.0))
    assert server.got == [0, 1]
    assert recording.count(Outcome.UNSENT) == 1
    assert recording.count(Outcome.OK) == 2


def test_an_open_loop_can_follow_another() -> None:
    both = Open(np.array([1.0]), [0], 10.0).then(Open(np.array([0.5]), [1], 2.0))
    assert both.due.tolist() == [1.0, 10.5]
    assert list(both.numbers) == [0, 1]
    assert both.seconds == 12.0


def test_closed_callers_make_each_call_once_with_at_most_one_call_each_in_flight() -> None:
    server = Server(1.0)
    recording = run(Closed(3, range(4, 12)).run(server, range(100), at=0.0))
    assert sorted(server.got) == list(range(4, 12))
    assert server.most_at_once == 3
    assert sorted(recording.call.tolist()) == list(range(4, 12))
    assert recording.seconds == pytest.approx(3.0)


def test_calls_past_the_end_of_the_workload_continue_at_its_start() -> None:
    server = Server(0.1)
    run(Closed(1, range(8, 12)).run(server, REQUESTS, at=0.0))
    assert server.got == [8, 9, 0, 1]


def test_closed_callers_with_a_time_repeat_the_calls_until_then() -> None:
    server = Server(1.0)
    recording = run(Closed(2, range(3), seconds=4.5).run(server, REQUESTS, at=0.0))
    assert server.got == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert recording.done.max() == pytest.approx(5.0)


def test_a_refused_closed_call_is_sent_again_and_its_latency_counts_from_the_first_time() -> None:
    recording = run(Closed(1, [0]).run(Erring([Refused()]), REQUESTS, at=0.0))
    assert recording.count(Outcome.REFUSED) == 1
    [latency] = recording.of(Outcome.OK).latency
    assert latency == pytest.approx(0.01 + RETRY_SECONDS + 0.01)


def test_a_refused_open_call_stays_refused() -> None:
    recording = run(arrivals(0.0, 1.0).run(Erring([Refused()]), REQUESTS, at=0.0))
    assert recording.outcome.tolist() == [Outcome.REFUSED, Outcome.OK]


def test_failures_are_counted_with_their_messages() -> None:
    recording = run(arrivals(0.0, 1.0).run(Erring([CallFailed("no such channel")]), REQUESTS, at=0.0))
    assert recording.count(Outcome.FAILED) == 1
    assert recording.errors == ("no such channel",)


@pytest.mark.parametrize("pattern", [Closed(5, range(20)), poisson(10, 5, seed=1)])
def test_split_patterns_together_make_the_same_calls(pattern: Closed | Open) -> None:
    parts = pattern.split(3)
    assert sorted(n for part in parts for n in part.numbers) == sorted(pattern.numbers)
    if isinstance(pattern, Closed):
        assert sum(part.concurrency for part in parts if isinstance(part, Closed)) == 5
    else:
        due = np.concatenate([part.due for part in parts if isinstance(part, Open)])
        assert np.array_equal(np.sort(due), pattern.due)


def test_recordings_are_joined() -> None:
    quick = run(Closed(1, [0]).run(Server(1.0), REQUESTS, at=0.0))
    slow = run(Closed(1, [7]).run(Server(2.0), REQUESTS, at=0.0))
    both = Recording.joined([quick, slow])
    assert both.call.tolist() == [0, 7]
    assert both.latency.tolist() == pytest.approx([1.0, 2.0])
