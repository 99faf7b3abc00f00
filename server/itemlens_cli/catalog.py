"""`itemlens catalog verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

catalog = typer.Typer(no_args_is_help=True, help="Check what is derived from a catalogue.")


@catalog.command()
def verify(
    data: Annotated[Path, typer.Option(envvar="ITEMLENS_DATA", help="folder of the store")] = Path("data"),
) -> None:
    """Count all events of each collection again, and compare with its kept counts. A server may be running.

    The exit status is 1 if any counts differ or a file of counts cannot be used.
    """
    from itemlens_server.errors import DataLoss
    from itemlens_server.fusion.counts.comparison import differences, digest
    from itemlens_server.services.live_counts import COLLECTIONS, recount, saved_counts
    from itemlens_server.storage.store import Store

    reader = Store.read_only(data)
    table = Table(
        "collection",
        "events",
        "users",
        "items",
        "digest of the counts",
        "state",
        title="itemlens catalog verify",
    )
    wrong = 0
    with reader.at_one_moment():
        for record in reader.collections():
            try:
                kept = saved_counts(reader, record.id, data / COLLECTIONS / str(record.id))
            except DataLoss as error:
                wrong += 1
                told = f"[red]{escape(error.message)}: a start counts all events again[/]"
                table.add_row(record.name, "", "", "", "", told)
                continue
            if kept is None:
                told = "no file of counts: a start counts all events, if the space uses them"
                table.add_row(record.name, "", "", "", "", told)
                continue
            counts, kinds = kept
            counted = counts.counted()
            found = differences(counted, recount(reader, record.id, kinds, counts.step))
            wrong += bool(found)
            table.add_row(
                record.name, f"{counts.histories.events:,}", f"{len(counts.histories):,}",
                f"{len(counted.item_ids):,}", digest(counted)[:16],
                f"[red]{escape('; '.join(found))}: delete the file, and start the server[/]" if found else "equal",
            )  # fmt: skip
    Console().print(table)
    raise typer.Exit(1 if wrong else 0)
