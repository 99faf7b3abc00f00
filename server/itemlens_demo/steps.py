"""The demo's steps in the terminal: what runs, how far it is and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

import itemlens

Entry = TypeVar("Entry")
Say = Callable[[str], None]


class Steps:
    """One line per step, with its seconds. A terminal shows a spinner or a bar while the step runs."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def had(self, what: str) -> None:
        """Print a step that an earlier run has done."""
        self._line(what, "already done")

    @contextmanager
    def step(self, what: str) -> Iterator[Say]:
        """Run a step. The block gets a function that prints its progress."""
        began = time.monotonic()
        if self.console.is_terminal:
            columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
            with Progress(*columns, console=self.console, transient=True) as bar:
                task = bar.add_task(what, total=None)
                yield lambda detail: bar.update(task, description=f"{what}: {detail}")
        else:
            self.console.print(f"  {what} …", highlight=False, markup=False)
            yield lambda detail: self.console.print(f"    {detail}", highlight=False, markup=False)
        self._line(what, f"{time.monotonic() - began:.1f} s")

    def upload(
        self,
        what: str,
        entries: Sequence[Entry],
        send: Callable[[Sequence[Entry], Callable[[itemlens.Progress], None]], None],
    ) -> None:
        """Run a step with a progress bar."""
        began = time.monotonic()
        if self.console.is_terminal:
            columns = (
                TextColumn("  {task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            with Progress(*columns, console=self.console, transient=True) as bar:
                task = bar.add_task(what, total=len(entries))
                send(entries, lambda progress: bar.update(task, completed=progress.done))
        else:
            self.console.print(f"  {what} …", highlight=False, markup=False)
            send(entries, lambda progress: None)
        self._line(what, f"{time.monotonic() - began:.1f} s")

    def _line(self, what: str, how: str) -> None:
        self.console.print(Text.assemble(("✓ ", "green"), what, (f"  {how}", "dim")))
