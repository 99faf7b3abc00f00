"""What a run says on the terminal."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console
from rich.markup import escape

LINE_SECONDS = 60.0


@dataclass
class Tally:
    """What a run has done so far. `lag` is in the source's unit; `warnings` are the server's, by reason."""

    events: int = 0
    rejected: int = 0
    lag: int = 0
    warnings: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    def line(self, unit: str) -> str:
        """The tally as one line."""
        rate = self.events / max(time.monotonic() - self.began, 1e-9)
        return f"{self.events:,} events, {self.rejected:,} rejected, {self.lag:,} {unit} to read, {rate:,.0f} events/s"


class Shown:
    """The progress: a line that changes on a terminal, else a line a minute."""

    def __init__(self, stream: str, unit: str) -> None:
        self._stream, self._unit = stream, unit
        self._console = Console(stderr=True)
        self._status = self._console.status(f"{escape(stream)}: starting")
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def __call__(self, tally: Tally) -> None:
        line = f"{self._stream}: {tally.line(self._unit)}"
        if self._console.is_terminal:
            self._status.update(escape(line))
        elif time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            say(line)


def say(text: str) -> None:
    """Print a line on stderr."""
    Console(stderr=True).print(escape(text), highlight=False, soft_wrap=True)
