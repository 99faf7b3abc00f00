"""Threads for work that cannot be interrupted: callers and the server's exit do not wait for it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import Cancelled, DeadlineExceeded, InvalidArgument
from itemlens_server.services.workers import Workers


@pytest.fixture
def held() -> tuple[Workers, threading.Event, threading.Event]:
    """Workers with one thread, which is busy until the first event is set. It sets the second when it has started."""
    workers, release, begun = Workers(1, "held"), threading.Event(), threading.Event()

    def hold(_: int) -> None:
        begun.set()
        release.wait(30)

    threading.Thread(target=lambda: workers.map(hold, [0], CallContext()), daemon=True).start()
    assert begun.wait(30)
    return workers, release, begun


def test_results_come_in_the_order_of_the_values() -> None:
    workers = Workers(4, "test")
    assert workers.map(lambda value: value * value, range(50), CallContext()) == [n * n for n in range(50)]
    assert workers.map(str, [], CallContext()) == []
    workers.close()


def test_an_error_is_the_callers_and_an_error_that_is_returned_a_result() -> None:
    workers = Workers(1, "test")
    with pytest.raises(ZeroDivisionError):
        workers.map(lambda value: 1 // value, [1, 0], CallContext())
    refusal = InvalidArgument("no")
    assert workers.map(lambda _: refusal, [1], CallContext()) == [refusal]
    workers.close()


def test_a_caller_who_hangs_up_does_not_wait_for_what_runs(
    held: tuple[Workers, threading.Event, threading.Event],
) -> None:
    workers, release, _ = held
    call, ran = CallContext(), list[int]()
    threading.Timer(0.05, call.end).start()
    with pytest.raises(Cancelled):
        workers.map(ran.append, [1], call)
    with pytest.raises(DeadlineExceeded):
        workers.map(ran.append, [2], CallContext(0.01))
    release.set()
    assert workers.map(lambda value: value, [3], CallContext()) == [3]
    assert ran == []  # work that had not started when its call ended never ran


def test_closing_does_not_wait_for_what_runs(held: tuple[Workers, threading.Event, threading.Event]) -> None:
    workers, release, _ = held
    told: list[BaseException] = []

    def wait() -> None:
        try:
            workers.map(lambda value: value, [1], CallContext())
        except Cancelled as error:
            told.append(error)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    while workers._tasks.empty():
        time.sleep(0.001)
    workers.close()
    assert not release.is_set()
    release.set()
    waiting.join(30)
    assert len(told) == 1


def test_a_process_ends_while_something_runs() -> None:
    program = (
        "import threading, time\n"
        "from itemlens_server.engine.call_context import CallContext\n"
        "from itemlens_server.services.workers import Workers\n"
        "try: Workers(1, 'test').map(time.sleep, [600], CallContext(0.1))\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "DeadlineExceeded\n"
