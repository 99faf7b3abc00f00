"""`itemlens move`."""

from __future__ import annotations

from typing import Annotated

import typer


def move(
    collection: Annotated[str, typer.Argument(help="the collection")],
    space: Annotated[
        str,
        typer.Argument(help="id or name of a space with the same encoders, such as one from `itemlens fit`"),
    ],
    target: Annotated[str, typer.Option(help="the running server")] = "localhost:50051",
) -> None:
    """Move a collection to another space with the same encoders. Nothing is encoded again; the server keeps serving."""
    from itemlens_cli.connection import connected

    with connected(target, timeout=600) as client:
        moved = client.update_collection(collection, space=space)
    typer.echo(f"collection {moved.name} uses space {moved.space_id} now")
