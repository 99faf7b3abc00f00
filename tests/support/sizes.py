"""Sizes of the trials: small in `make test`, full in `make trials`."""

from __future__ import annotations

import os

FULL = bool(os.environ.get("FULL_TRIALS"))


def size(quick: int, full: int) -> int:
    """Return `quick` in `make test`, `full` in `make trials`."""
    return full if FULL else quick
