"""Per-call context: caller, priority, deadline, cancellation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import IntEnum

from itemlens_server.access.guard import Anybody, Caller
from itemlens_server.errors import Cancelled, DeadlineExceeded
from itemlens_server.stages import Stages


class Priority(IntEnum):
    """The order of calls when the encoders are busy."""

    INTERACTIVE = 0
    """A user waits for the answer."""
    BULK = 1
    """Uploads and rewrites: behind interactive calls, with a guaranteed share."""


# The caller of work that no call asked for.
NOBODY = Anybody("")


class CallContext:
    """Caller, priority and deadline of a call, and whether it was cancelled.

    seconds: until the deadline; None: no deadline
    caller: whose fair share of the encoders, and whose quotas, the call uses
    """

    def __init__(
        self,
        seconds: float | None = None,
        *,
        priority: Priority = Priority.INTERACTIVE,
        caller: Caller = NOBODY,
    ) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds
        self._ended = False
        self._watchers: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self.priority = priority
        self.caller = caller
        self.stages = Stages()

    def end(self) -> None:
        """Mark the call as ended: the caller has hung up or has its answer."""
        with self._lock:
            self._ended = True
            watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()

    def when_ended(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` once, from another thread, when the call ends; at once if it has ended. Reaching the deadline
        does not call it."""
        with self._lock:
            if not self._ended:
                self._watchers.append(watcher)
                return
        watcher()

    def remaining(self) -> float | None:
        """Return the seconds left, not below 0; None without a deadline."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def over(self) -> bool:
        """Return whether the call has ended or its deadline has passed."""
        return self._ended or (self._at is not None and time.monotonic() >= self._at)

    def check(self) -> None:
        """Raise Cancelled if the call has ended, DeadlineExceeded if its deadline has passed."""
        if self._ended:
            raise Cancelled("the caller has hung up")
        if self._at is not None and time.monotonic() >= self._at:
            raise DeadlineExceeded(
                "the deadline has passed; give the call more time or send less in one call"
            )
