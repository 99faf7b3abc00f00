"""`itemlens collections list|delete`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import itemlens
from itemlens_cli.asking import confirm
from itemlens_cli.connection import connected

collections = typer.Typer(no_args_is_help=True, help="List and delete the collections of a running server.")

Target = Annotated[str, typer.Option(help="the running server")]


@collections.command("list")
def list_collections(
    target: Target = "localhost:50051",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """List all collections, by name."""
    with connected(target) as client:
        found = client.list_collections()
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found], ensure_ascii=False, indent=2))
        return
    table = Table("collection", "items", "events", "attributes", "space", "created", "last write")
    for one in found:
        table.add_row(
            one.name, f"{one.item_count:,}", f"{one.event_count:,}", escape(", ".join(sorted(one.attributes))),
            one.space_id, f"{one.create_time:%Y-%m-%d %H:%M}", f"{one.sequence_number:,}",
        )  # fmt: skip
    Console().print(table if found else "there are no collections; `itemlens index` creates one")


@collections.command("delete")
def delete_collection(
    name: Annotated[str, typer.Argument(help="the collection")],
    yes: Annotated[bool, typer.Option("--yes", help="delete without a question")] = False,
    target: Target = "localhost:50051",
) -> None:
    """Delete a collection with its items and events."""
    with connected(target, timeout=600.0) as client:
        found = client.get_collection(name)
        what = f"collection {found.name} with {found.item_count:,} items and {found.event_count:,} events"
        confirm(f"delete {what}", yes)
        client.delete_collection(name)
    typer.echo(f"deleted {what}")


def _plain(one: itemlens.Collection) -> dict[str, Any]:
    return {
        "name": one.name,
        "space_id": one.space_id,
        "item_count": one.item_count,
        "event_count": one.event_count,
        "sequence_number": one.sequence_number,
        "create_time": one.create_time.isoformat(),
        "attributes": {name: str(kind) for name, kind in one.attributes.items()},
    }
