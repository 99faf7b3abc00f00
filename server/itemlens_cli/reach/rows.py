"""A row of the tables of `itemlens doctor`."""

from __future__ import annotations

Row = tuple[str, str, str]
"""What was checked, its state, and what to do about it: "" if nothing is wrong."""

MOST_NAMED = 5


def named(names: list[str]) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def milliseconds(seconds: float) -> str:
    """A time for people."""
    return f"{seconds * 1000:.{2 if seconds < 0.01 else 0}f} ms" if seconds < 1 else f"{seconds:.1f} s"
