"""Says in the terminal what is being done, how far it is, and how long it took."""

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
    """One line a step, with its seconds; while it runs a spinner or a bar, if there is a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def had(self, what: str) -> None:
        """A step that was done an earlier time."""
        self._line(what, "there already")

    @contextmanager
    def step(self, what: str) -> Iterator[Say]:
        """A step; gives a function that says how it goes on."""
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
        """A step with a progress bar."""
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
