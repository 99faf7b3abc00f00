"""`itemlens events`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

PAGE = 1000


def events(
    user_id: Annotated[str, typer.Argument(help="the user's id")],
    collection: Annotated[str, typer.Option(help="the collection; one at a time")] = "default",
    out: Annotated[
        Path | None,
        typer.Option(
            help="write to this file, which only you can read; it is replaced; default: to the output"
        ),
    ] = None,
    target: Annotated[str, typer.Option(help="the running server")] = "localhost:50051",
) -> None:
    """Write all events of a user as JSON lines, in the order in which they were recorded.

    The lines are those that `itemlens ingest file` reads: into the same collection, the same events are recorded again.
    A line does not name its collection, so one collection is written at a time. How many there are is said on the error
    output.
    """
    from itemlens_cli import files
    from itemlens_cli.connection import connected
    from itemlens_cli.ingest.entries import line_of

    with connected(target) as client:
        stored = client.list_events(user_id, page_size=PAGE, collection=collection)
        lines = [f"{line_of(one.event)}\n" for one in stored]
    if out is None:
        typer.echo("".join(lines), nl=False)
    else:
        files.write_private(out, "".join(lines))
    Console(stderr=True).print(
        f"{len(lines):,} events of user {escape(repr(user_id))} in collection {escape(repr(collection))}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
