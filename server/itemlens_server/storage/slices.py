"""How long one write may hold up the others: large deletions are made in slices, between which others are served."""

from __future__ import annotations

import time
from collections.abc import Callable

SLICE_SECONDS = 0.01
# Where nobody waits: fewer commits.
LONG_SLICE_SECONDS = 0.1


class Slice:
    """The time of one slice, which begins now. waiting: whether others wait for its end."""

    def __init__(self, waiting: Callable[[], bool] = lambda: True) -> None:
        self._began = time.monotonic()
        self._waiting = waiting

    def used(self) -> bool:
        """Whether it is over."""
        return time.monotonic() - self._began >= (SLICE_SECONDS if self._waiting() else LONG_SLICE_SECONDS)
