"""Progress bars of commands."""

from __future__ import annotations

from rich import progress
from rich.console import Console

from itemlens import Progress


def progress_bars(console: Console) -> progress.Progress:
    """Bars with counts, for `Bar` and `Bars`."""
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[speed]}"),
        progress.TimeRemainingColumn(),
        console=console,
    )


class Bar:
    """A progress bar for an upload."""

    def __init__(self, shown: progress.Progress, what: str, total: int | None) -> None:
        self._shown = shown
        self._task = shown.add_task(what, total=total, speed="")

    def __call__(self, now: Progress) -> None:
        speed = f"{now.done / max(now.seconds, 1e-9):,.0f}/s"
        self._shown.update(self._task, completed=now.done, speed=speed)


class Bars:
    """A progress bar for each thing that is done."""

    def __init__(self, shown: progress.Progress) -> None:
        self._shown = shown
        self._tasks: dict[str, progress.TaskID] = {}

    def __call__(self, what: str, done: int, of: int | None) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._shown.add_task(what, speed="")
        self._shown.update(self._tasks[what], completed=done, total=of)
