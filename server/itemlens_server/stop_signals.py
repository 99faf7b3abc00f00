"""SIGTERM and SIGINT, taken by the main thread alone.

Python's own handlers do not suffice: a native library may replace them, and the main thread must come back to the
interpreter to run them. On a machine with a GPU, servers did not stop. Blocked signals stay pending until `sigwait`
takes them, whatever threads and handlers there are.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

STOP = frozenset({signal.SIGTERM, signal.SIGINT})
POLL_SECONDS = 0.05


class Stopped(Exception):
    """A signal came before the work was done."""


class StopSignals:
    """The signals, for the main thread. Block them before the first other thread starts, which inherits the block, as
    a child process would: the server starts none.
    """

    def __init__(self) -> None:
        self.block()

    @staticmethod
    def block() -> None:
        """Keep the signals for `wait` and `run`."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)

    def wait(self) -> None:
        """Wait for a signal."""
        signal.sigwait(STOP)

    def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. It runs in a daemon thread, so that this one can take signals.

        Raises:
            Stopped: a signal came first. `work` goes on, and nobody waits for it.
        """
        future: Future[T] = Future()

        def finish() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=finish, name="work", daemon=True).start()
        while not future.done():
            if signal.sigtimedwait(STOP, POLL_SECONDS) is not None:
                raise Stopped
        return future.result()
