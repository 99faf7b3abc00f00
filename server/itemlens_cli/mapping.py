"""`itemlens mapping draft|schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from itemlens_cli import files
from itemlens_server.errors import FailedPrecondition

mapping = typer.Typer(no_args_is_help=True, help="Write mapping files for `itemlens index`.")


@mapping.command()
def draft(
    paths: Annotated[
        list[Path],
        typer.Argument(help="the file of items, and files to join to it by a key, such as stock and prices"),
    ],
    collection: Annotated[str, typer.Option(help="the collection to fill; default: the folder's name")] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="write to this new file, in the folder of the data; default: to the output"),
    ] = None,
) -> None:
    """Draft a mapping from the first rows of files. Comments say what is unsure: read it before you use it."""
    from itemlens_datasets import draft

    drafted = draft.draft(paths, collection)
    if out is None:
        typer.echo(drafted, nl=False)
        return
    if out.exists():
        raise FailedPrecondition(f"{out} exists already; name a new file")
    files.write(out, drafted)
    typer.echo(f"{out}: read it, then `itemlens index {out}`")


@mapping.command()
def schema() -> None:
    """Print the JSON schema of mapping files, by which editors complete and check them."""
    from itemlens_datasets import reference

    typer.echo(reference.schema(), nl=False)
