"""`itemlens compact`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer


def compact(
    data: Annotated[
        Path, typer.Option(envvar="ITEMLENS_DATA", help="the store; its server must be stopped")
    ] = Path("data"),
) -> None:
    """Write the store's file anew, without the space of deleted rows.

    A running server does this bit by bit; files that a version before 0.2 has made need it once.
    """
    from itemlens_server.storage.store import FILE, Store

    file = data / FILE
    if not file.is_file():
        typer.echo(f"there is no store in {data}", err=True)
        raise typer.Exit(1)
    before = file.stat().st_size
    with closing(Store(data)) as store:
        store.compact()
    typer.echo(f"{file}: {before / 1e6:.1f} MB, now {file.stat().st_size / 1e6:.1f} MB")
