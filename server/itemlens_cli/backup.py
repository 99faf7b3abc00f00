"""`itemlens backup` and `itemlens restore`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from itemlens_cli.bars import Bars

if TYPE_CHECKING:
    from itemlens_server.storage.backup import Backup, OnProgress

DAMAGED = 3
"""Exit status of a backup of a damaged store."""


def backup(
    folder: Annotated[Path, typer.Argument(help="a new or empty folder for the backup", file_okay=False)],
    data: Annotated[Path, typer.Option(envvar="ITEMLENS_DATA", help="folder of the store")] = Path("data"),
) -> None:
    """Copy the store to a folder, and check the copy. The server may be running, and goes on writing.

    The backup holds everything that was acknowledged before it began: collections, items, events. Answers are written
    up to half a second later; the last ones may be missing. The models are not in it.

    Exit status 3: the store is damaged; the backup is a true copy of it.
    """
    from itemlens_server.storage.backup import make

    made = _with_progress(lambda tell: make(data, folder, tell))
    typer.echo(f"{folder}: {_what(made)}")
    if made.damage:
        _say_damage(made)
        raise typer.Exit(DAMAGED)


def restore(
    folder: Annotated[Path, typer.Argument(help="the folder of the backup")],
    data: Annotated[
        Path, typer.Option(envvar="ITEMLENS_DATA", help="new or empty folder for the store")
    ] = Path("data"),
) -> None:
    """Copy a backup into a new data folder, which `itemlens serve --data` then serves.

    It is checked first. Indexes and counts are built again at the first start. Users who were forgotten after the
    backup are in it: forget them again.
    """
    from itemlens_server.storage.backup import restore

    restored = _with_progress(lambda tell: restore(folder, data, tell))
    typer.echo(f"{data}: {_what(restored)}, as of {restored.time}")
    if restored.damage:
        _say_damage(restored)


def _with_progress(run: Callable[[OnProgress], Backup]) -> Backup:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as shown:
        return run(Bars(shown))


def _what(backup: Backup) -> str:
    count = len(backup.collections)
    items, events = (sum(getattr(one, name) for one in backup.collections) for name in ("items", "events"))
    return f"{count} collection{'s' * (count != 1)}, {items:,} items, {events:,} events, {backup.bytes / 1e6:,.1f} MB"


def _say_damage(backup: Backup) -> None:
    typer.echo("the store was damaged when it was copied:", err=True)
    for problem in backup.damage[:10]:
        typer.echo(f"  {problem}", err=True)
    typer.echo("write these items again, or use an older backup", err=True)
