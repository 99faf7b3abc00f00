"""`itemlens fit`."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

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
) -> None:
    """Fit the fusion head to a collection, as a new space, and move the collection to it.

    Reads stored vectors and events, and encodes only held-out queries. The server may run at the same time.
    """
    from itemlens_cli.connection import checked_target
    from itemlens_server.config import Settings, warn_of_unknown_variables
    from itemlens_server.engine import fitted
    from itemlens_server.engine.repository import ModelRepository
    from itemlens_server.fusion.history import HistoryRules
    from itemlens_server.services.encoding import ContentEncoder
    from itemlens_server.services.fitting import fit as fit_head
    from itemlens_server.storage.store import Store

    console = Console()
    started = time.monotonic()
    if target:
        checked_target(target)  # before the work, not after it
    settings = Settings.read(models=models, data=data, precision=precision)
    warn_of_unknown_variables()
    # The queries of a fit have no deadline.
    patient = settings.model_copy(update={"max_queue_seconds": 1e9, "max_wait_seconds": 1e9})
    repository = ModelRepository(patient)
    reader = Store.read_only(data)
    row = next((c for c in reader.collections() if c.name == collection), None)
    if row is None:
        known = ", ".join(c.name for c in reader.collections()) or "none"
        raise NotFound(
            f"there is no collection {collection!r} in {data}; there are: {known}", "collection", collection
        )
    space = repository.load(row.space_id)
    encoder = ContentEncoder(settings)
    rules = HistoryRules(
        settings.history_window, settings.history_decay,
        settings.type_weights(),
    )  # fmt: skip
    with console.status("fitting") as status:
        head, report = fit_head(
            space, reader, row.id, encoder, rules, lambda step: status.update(f"fitting: {step}")
        )
    # The name must be new, so that the old space is still found by its own name.
    name = name or f"{collection}, fitted {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    manifest = fitted.write(models, space.manifest, head, name, [asdict(r) for r in report])
    seconds = time.monotonic() - started
    table = Table("parameter", "chosen", "gain on held-out data", "sample", title=f"fit of {collection}")
    for choice in report:
        table.add_row(choice.what, choice.chosen, choice.brought, choice.sample)
    console.print(table)
    console.print(f"space [bold]{manifest.space_id}[/], dimension {head.dimension}, {seconds:.1f} s")
    encoder.close()
    repository.close()
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
