"""What the engine is told of the call that it works for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import IntEnum

from itemlens_server.errors import Cancelled, DeadlineExceeded


class Priority(IntEnum):
    """Which calls go ahead when the encoders are busy."""

    INTERACTIVE = 0
    """Somebody waits for the answer."""
    BULK = 1
    """Loads and rewrites: behind interactive calls, but never without a share."""


class CallContext:
    """Who calls, how urgently, how long an answer is of use, and whether the caller has hung up meanwhile.

    caller: whose fair share of the encoders the call's inputs are taken from.
    """

    def __init__(
        self, seconds: float | None = None, *, priority: Priority = Priority.INTERACTIVE, caller: str = ""
    ) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds
        self._ended = False
        self._watchers: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self.priority = priority
        self.caller = caller

    def end(self) -> None:
        """The caller has hung up, or has its answer."""
        with self._lock:
            self._ended = True
            watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()

    def when_ended(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` once, from another thread, when the call ends; at once if it has. A deadline is no end."""
        with self._lock:
            if not self._ended:
                self._watchers.append(watcher)
                return
        watcher()

    def remaining(self) -> float | None:
        """Seconds left, not below 0; None without a deadline."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def over(self) -> bool:
        """Whether nobody waits any more."""
        return self._ended or (self._at is not None and time.monotonic() >= self._at)

    def check(self) -> None:
        """Raise Cancelled or DeadlineExceeded if nobody waits any more."""
        if self._ended:
            raise Cancelled("the caller has hung up")
        if self._at is not None and time.monotonic() >= self._at:
            raise DeadlineExceeded(
                "the deadline has passed; give the call more time or send less in one call"
            )
