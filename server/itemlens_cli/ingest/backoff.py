"""Waits between tries of what fails for a while."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from itemlens_server.errors import FailedPrecondition

FIRST_SECONDS, LONGEST_SECONDS = 0.1, 5.0
SAID_EVERY_SECONDS = 30.0


class Stopped(Exception):
    """The command was told to stop while it waited."""


class Backoff:
    """Waits longer after each failure in a row, and gives up after `give_up` seconds of them; None: never."""

    def __init__(
        self, give_up: float | None, stop: threading.Event, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """`say` gets the first message of a row, and one every 30 seconds."""
        self._give_up, self._stop, self._say = give_up, stop, say
        self._failures, self._began, self._said = 0, 0.0, 0.0

    def worked(self) -> None:
        """Forget the failures."""
        self._failures = 0

    def wait(self, message: str, least: float = 0.0) -> None:
        """Wait after a failure, `least` seconds or more.

        Raises:
            FailedPrecondition: it is time to give up.
            Stopped: the command was told to stop.
        """
        now = time.monotonic()
        if self._failures == 0:
            self._began, self._said = now, 0.0
        if self._give_up is not None and now - self._began >= self._give_up:
            raise FailedPrecondition(
                f"{message}; given up after {now - self._began:.0f} seconds. Nothing is lost: start again to go on"
            )
        if not self._said or now - self._said >= SAID_EVERY_SECONDS:
            self._say(f"{message}; trying again")
            self._said = now
        longest = min(FIRST_SECONDS * 2 ** min(self._failures, 20), LONGEST_SECONDS)
        self._failures += 1
        if self._stop.wait(least + random.uniform(0.5, 1) * longest):
            raise Stopped
