"""Types for the tests of commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Standard output and standard error in one line."""
        return " ".join((self.out + self.err).split())


Run = Callable[..., Done]
