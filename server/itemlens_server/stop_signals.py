"""SIGTERM and SIGINT, received by the main thread only.

Python's own handlers are not enough: a native library may replace them, and they run only when the main thread
returns to the interpreter. On a machine with a GPU, servers did not stop. Blocked signals stay pending until `sigwait`
receives them, whatever threads and handlers exist.
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
    """A signal arrived before the work was complete."""


class StopSignals:
    """SIGTERM and SIGINT for the main thread. Block them before the first other thread starts: threads inherit the
    block. Child processes inherit it too; the server's only one, of tables, ends with its input.
    """

    def __init__(self) -> None:
        self.block()

    @staticmethod
    def block() -> None:
        """Block the signals, so that only `wait` and `run` receive them."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)

    def wait(self) -> None:
        """Wait for a signal."""
        signal.sigwait(STOP)

    def run(self, work: Callable[[], T]) -> T:
        """Return or raise what `work` does. It runs in a daemon thread, so that this thread can receive signals.

        Raises:
            Stopped: a signal arrived first. `work` keeps running in the background.
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
