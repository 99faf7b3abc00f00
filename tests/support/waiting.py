"""Waiting for an event instead of a time: a slow machine takes longer, and a test says what did not happen."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(happened: Callable[[], object], what: str, seconds: float = 120, pause: float = 0.01) -> None:
    """Wait until `happened` returns something true.

    Args:
        happened: is called every `pause` seconds.
        what: the event, for the message.

    Raises:
        AssertionError: it did not happen within `seconds`.
    """
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"within {seconds:.0f} s this did not happen: {what}"
        time.sleep(pause)
