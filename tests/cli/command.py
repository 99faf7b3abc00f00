"""What the tests of commands hold in their hands."""

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
        """All of it, in one line."""
        return " ".join((self.out + self.err).split())


Run = Callable[..., Done]
