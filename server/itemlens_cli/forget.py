"""`itemlens forget`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import itemlens
    from itemlens_server.storage.reader import Reader

NOTHING_COMPARED = 3
COLUMNS = (
    "collection",
    "counted events of the user",
    "before",
    "after, in the server",
    "without the user, from the store",
    "",
)


def forget(
    user_id: Annotated[str, typer.Argument(help="the user's id")],
    collection: Annotated[str, typer.Option(help="delete in this collection only; default: in all")] = "",
    proof: Annotated[
        bool, typer.Option("--proof", help="compare the counts with those of a store without the user")
    ] = False,
    target: Annotated[str, typer.Option(help="the running server")] = "localhost:50051",
    data: Annotated[
        Path, typer.Option(envvar="ITEMLENS_DATA", help="with --proof: folder of the server's store")
    ] = Path("data"),
) -> None:
    """Delete all data of a user: events, what they taught, remembered answers.

    With --proof, it prints a hash of each collection's counts before and after, as the server has them in memory, and
    that of counts made from all events of the store but the user's. The last two must be equal; else the exit status is
    1, and 3 where there is nothing to compare. Writes in between change the counts, too, so a proof needs a moment
    without them.
    """
    from itemlens_cli.connection import connected
    from itemlens_server.storage.store import Store

    console = Console()
    with connected(target, timeout=600.0) as client:
        if not proof:
            console.print(f"{client.delete_user(user_id, collection=collection or None):,} events deleted")
            return
        reader = Store.read_only(data)  # before the deletion: a wrong folder must not be found out after it
        names = [collection] if collection else [c.name for c in client.list_collections()]
        before = {name: client.get_counts(name) for name in names}
        expected = dict(_expected(reader, before, user_id))
        deleted = client.delete_user(user_id, collection=collection or None)
        after = {name: client.get_counts(name) for name in names}
    table = Table(*COLUMNS, title=f"itemlens forget {escape(user_id)} --proof")
    equal = True
    for name in names:
        same = not expected[name] or after[name].digest == expected[name]
        equal &= same
        gone = before[name].event_count - after[name].event_count
        table.add_row(
            name, f"{gone:,}", _short(before[name].digest), _short(after[name].digest), _short(expected[name]),
            ("equal" if same else "[red]different[/]") if expected[name] else "nothing to compare",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"{deleted:,} events deleted, with those that do not count, such as impressions.", highlight=False
    )
    console.print("Weights that were fitted with the user's events stay until the next `itemlens fit`.")
    if not any(expected.values()):
        console.print(
            "Nothing was compared: no collection has counts, or they are still being made.", highlight=False
        )
        raise typer.Exit(NOTHING_COMPARED)
    raise typer.Exit(0 if equal else 1)


def _expected(reader: Reader, counted: dict[str, itemlens.Counts], user_id: str) -> Iterator[tuple[str, str]]:
    """Yield the digest of the counts of each collection without a user, made from the store."""
    from itemlens_server.errors import NotFound
    from itemlens_server.fusion.counts.comparison import digest
    from itemlens_server.services.live_counts import parsed_rules, recount

    numbers = {record.name: record.id for record in reader.collections()}
    for name, counts in counted.items():
        if name not in numbers:
            raise NotFound(f"there is no collection {name!r} in the folder of --data", "collection", name)
        found = None
        if counts.digest:
            found = recount(reader, numbers[name], *parsed_rules(json.loads(counts.rules)), without=user_id)
        yield name, digest(found) if found is not None else ""


def _short(digest: str) -> str:
    return digest[:16] or "no counts"
