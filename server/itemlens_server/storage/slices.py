"""Time limits of writes: large deletions run in slices, and other writes run between the slices."""

from __future__ import annotations

import time
from collections.abc import Callable

SLICE_SECONDS = 0.01
# Used while no write waits: it needs fewer commits.
LONG_SLICE_SECONDS = 0.1


class Slice:
    """The time of one slice, which begins now. waiting: returns whether other writes wait for its end."""

    def __init__(self, waiting: Callable[[], bool] = lambda: True) -> None:
        self._began = time.monotonic()
        self._waiting = waiting

    def used(self) -> bool:
        """Return whether the time is over."""
        return time.monotonic() - self._began >= (SLICE_SECONDS if self._waiting() else LONG_SLICE_SECONDS)
