"""How much the trials try: little in `make test`, all in `make trials`."""

from __future__ import annotations

import os

FULL = bool(os.environ.get("FULL_TRIALS"))


def size(quick: int, full: int) -> int:
    """How many times something is tried."""
    return full if FULL else quick
