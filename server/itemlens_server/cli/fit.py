"""`itemlens fit`."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def fit(
    collection: Annotated[str, typer.Argument(help="the collection to fit to")] = "default",
    models: Annotated[Path, typer.Option(help="the model repository; the new space is added to it")] = Path(
        "models"
    ),
    data: Annotated[Path, typer.Option(help="the store to read")] = Path("data"),
    name: Annotated[str, typer.Option(help="label of the new space; default: the old one's")] = "",
    target: Annotated[
        str, typer.Option(help="running server that is to move the collection to the new space; '' for none")
    ] = "localhost:50051",
) -> None:
    """Fit the fusion head to a collection, as a new space, and move the collection to it.

    Reads stored vectors and events; encodes nothing but held-out queries. May run beside the server.
    """
    from itemlens_server.catalog.store import Store
    from itemlens_server.config import Settings
    from itemlens_server.domain.encode import ContentEncoder
    from itemlens_server.domain.fitting import fit as fit_head
    from itemlens_server.domain.side import HistoryRules
    from itemlens_server.engine.encoders import Limits
    from itemlens_server.engine.repository import ModelRepository
    from itemlens_server.errors import NotFound

    console = Console()
    started = time.monotonic()
    settings = Settings.read(models=models, data=data)
    threads = settings.thread_count()
    limits = Limits(
        settings.max_text_bytes,
        settings.max_picture_bytes,
        settings.max_picture_pixels,
        1 << 20,
        threads,
        False,
    )
    repository = ModelRepository(
        models,
        provider="CPUExecutionProvider",
        precision="auto",
        limits=limits,
        gpu_memory_bytes=settings.gpu_memory_bytes,
    )
    reader = Store.read_only(data)
    row = next((c for c in reader.collections() if c.name == collection), None)
    if row is None:
        known = ", ".join(c.name for c in reader.collections()) or "none"
        raise NotFound(
            f"no collection {collection!r} in {data}; there are: {known}", "collection", collection
        )
    space = repository.load(row.space_id)
    encoder = ContentEncoder(threads)
    rules = HistoryRules(
        settings.history_window, settings.history_decay,
        {2: settings.weight_view, 3: settings.weight_click, 4: settings.weight_cart, 5: settings.weight_purchase},
    )  # fmt: skip
    with console.status("fitting") as status:
        head, report = fit_head(
            space, reader, row.id, encoder, rules, lambda step: status.update(f"fitting: {step}")
        )
    manifest = _write(models, space.directory, space.manifest, head, [asdict(r) for r in report], name)
    seconds = time.monotonic() - started
    table = Table(
        "what", "chosen", "what it brought, on held-out data", "sample", title=f"fit of {collection}"
    )
    for one in report:
        table.add_row(one.what, one.chosen, one.brought, one.sample)
    console.print(table)
    console.print(f"space [bold]{manifest}[/] of {head.dimension} numbers, {seconds:.1f} s")
    encoder.close()
    repository.close()
    if target:
        _move(console, target, collection, manifest)


def _write(
    models: Path, old: Path, manifest: object, head: object, report: list[dict[str, str]], name: str
) -> str:
    """Write the new space beside the old, sharing the encoders' files with it; its id."""
    from itemlens_server.engine.manifest import HeadFiles, Manifest, describe_file
    from itemlens_server.head import graph
    from itemlens_server.head.terms import Head

    assert isinstance(manifest, Manifest) and isinstance(head, Head)
    new = Path(tempfile.mkdtemp(prefix=".fit-", dir=models))
    try:
        (new / "head").mkdir()
        graph.save(head, new / "head" / "head.onnx")
        head.save(new / "head" / "terms.npz")
        files = HeadFiles(
            graph=describe_file(new, "head/head.onnx"),
            terms=describe_file(new, "head/terms.npz"),
            report={"rows": report},
        )
        made = manifest.model_copy(update={
            "head": files, "created": datetime.now(UTC).isoformat(timespec="seconds"), "name": name or manifest.name,
        }).identified()  # fmt: skip
        for file in manifest.files():
            if file.path.startswith("head/"):
                continue
            (new / file.path).parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(old / file.path, new / file.path)
            except OSError:
                shutil.copy2(old / file.path, new / file.path)
        made.save(new)
        new.chmod(0o755)
        target = models / made.space_id
        if target.exists():
            # The same contents give the same id: nothing to add.
            shutil.rmtree(new)
        else:
            new.rename(target)
        return made.space_id
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _move(console: Console, target: str, collection: str, space_id: str) -> None:
    from itemlens import Client, ItemlensError, Unavailable

    hint = f"start the server, then: itemlens move {collection} {space_id}"
    try:
        with Client(target, timeout=600) as client:
            client.update_collection(collection, space=space_id)
        console.print(f"collection {collection} at {target} answers with it now")
    except Unavailable:
        console.print(f"no server at {target}: {hint}")
    except ItemlensError as error:
        console.print(f"[red]not moved:[/] {error}; {hint}")
        raise typer.Exit(1) from error
