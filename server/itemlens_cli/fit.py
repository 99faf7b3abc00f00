"""`itemlens fit`."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from itemlens_server.errors import FailedPrecondition, ItemlensError, NotFound


def fit(
    collection: Annotated[str, typer.Argument(help="the collection to fit to")] = "default",
    models: Annotated[
        Path,
        typer.Option(envvar="ITEMLENS_MODELS", help="the model repository; the new space is added to it"),
    ] = Path("models"),
    data: Annotated[Path, typer.Option(envvar="ITEMLENS_DATA", help="the store to read")] = Path("data"),
    name: Annotated[
        str, typer.Option(help="name of the new space; default: the collection and the time")
    ] = "",
    precision: Annotated[
        str | None,
        typer.Option(help="precision in which the collection's vectors were computed; default: fp32"),
    ] = None,
    target: Annotated[
        str, typer.Option(help="running server that moves the collection to the new space; '' for no move")
    ] = "localhost:50051",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="report only; write no space")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="take the fit even if it is not better than what serves now")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="also write the report here, as JSON", dir_okay=False)
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="also write the report here, as a page", dir_okay=False)
    ] = None,
) -> None:
    """Fit the weights of the score to a collection, as a new space, and move the collection to it.

    Reads stored vectors, attributes and events, and encodes only questions made of the items. The server may run at the
    same time. A fit that answers held-out questions no better than what serves now is reported, but not taken.
    """
    from itemlens_cli import files, fit_page, fit_tables
    from itemlens_cli.connection import checked_target
    from itemlens_server.config import Settings, warn_of_unknown_variables
    from itemlens_server.engine import fitted
    from itemlens_server.engine.repository import ModelRepository
    from itemlens_server.services.encoding import ContentEncoder
    from itemlens_server.services.fitting import fit as fit_head
    from itemlens_server.storage.store import Store

    console = Console()
    started = time.monotonic()
    if target and not dry_run:
        checked_target(target)  # before the work, not after it
    settings = Settings.read(models=models, data=data, precision=precision)
    warn_of_unknown_variables()
    # The questions of a fit have no deadline.
    patient = settings.model_copy(update={"max_queue_seconds": 1e9, "max_wait_seconds": 1e9})
    reader = Store.read_only(data)
    row = next((c for c in reader.collections() if c.name == collection), None)
    if row is None:
        known = ", ".join(c.name for c in reader.collections()) or "none"
        raise NotFound(
            f"there is no collection {collection!r} in {data}; there are: {known}", "collection", collection
        )
    with closing(ModelRepository(patient)) as repository, closing(ContentEncoder(settings)) as encoder:
        space = repository.load_to_fit(row.space_id)
        with console.status("fitting") as status:
            head, report = fit_head(
                space, reader, row.id, encoder, row.settings.weights(settings.type_weights()),
                lambda step: status.update(f"fitting: {step}"),
            )  # fmt: skip
    about = {"collection": collection, "serves now": row.space_id, "seconds": time.monotonic() - started}
    if json_file is not None:
        files.write(json_file, json.dumps({**about, **report.to_json()}, indent=1) + "\n")
    if html_file is not None:
        files.write(html_file, fit_page.page(collection, report))
    for table in fit_tables.tables(collection, report):
        console.print(table)
    if dry_run or not (report.better or force):
        why = (
            "as asked" if dry_run else "it is not better than what serves now; --force takes it all the same"
        )
        console.print(f"fitted in {about['seconds']:.1f} s; no space was written: {why}")
        return
    # The name must be new, so that the old space is still found by its own name.
    name = name or f"{collection}, fitted {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    manifest = fitted.write(models, space.manifest, head, name, report.to_json())
    seconds = time.monotonic() - started
    console.print(f"space [bold]{manifest.space_id}[/], dimension {head.dimension}, {seconds:.1f} s")
    if target:
        console.print(_move(target, collection, manifest.space_id))


def _move(target: str, collection: str, space_id: str) -> str:
    """Move the collection to its new space, and return the message for the user."""
    from itemlens_cli.connection import connected

    try:
        with connected(target, timeout=600) as client:
            client.update_collection(collection, space=space_id)
    except ItemlensError as error:
        # The fit is complete; only the move is left.
        raise FailedPrecondition(
            f"the new space is complete, but collection {collection} was not moved: {error.message}; "
            f"to move it later: itemlens move {collection} {space_id}"
        ) from error
    return f"collection {collection} at {target} uses it now"
