"""`itemlens compact`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer


def compact(
    data: Annotated[
        Path, typer.Option(envvar="ITEMLENS_DATA", help="folder of the store; its server must be stopped")
    ] = Path("data"),
) -> None:
    """Rewrite the store's file without the space of deleted rows.

    A running server releases this space itself, except in files from older versions: compact those once. The disk
    must have room for a second file.
    """
    from itemlens_server.errors import FailedPrecondition
    from itemlens_server.storage.store import FILE, Store

    file = data / FILE
    if not file.is_file():
        raise FailedPrecondition(f"there is no store in {data}; give its folder with --data")
    before = file.stat().st_size
    with closing(Store(data)) as store:
        before = max(before, file.stat().st_size)  # what was in the write-ahead log is in the file now
        store.compact()
    after = file.stat().st_size
    freed = f"{(before - after) / 1e6:.1f} MB freed"
    typer.echo(f"{file}: {before / 1e6:.1f} MB, now {after / 1e6:.1f} MB: {freed}")
