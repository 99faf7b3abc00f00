"""How long a caller still waits."""

from __future__ import annotations

import time
from collections.abc import Callable

from itemlens_server.errors import Cancelled, DeadlineExceeded


class Deadline:
    """A moment after which an answer is of no use, and whether the caller has hung up meanwhile."""

    def __init__(self, seconds: float | None = None, alive: Callable[[], bool] = lambda: True) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds
        self._alive = alive

    def remaining(self) -> float | None:
        """Seconds left, not below 0; None without a deadline."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def passed(self) -> bool:
        """Whether nobody waits any more."""
        return not self._alive() or (self._at is not None and time.monotonic() >= self._at)

    def check(self) -> None:
        """Raise Cancelled or DeadlineExceeded if nobody waits any more."""
        if not self._alive():
            raise Cancelled("the caller has hung up")
        if self._at is not None and time.monotonic() >= self._at:
            raise DeadlineExceeded(
                "the deadline has passed; give the call more time or send less in one call"
            )
