"""`itemlens index`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import progress as bars
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from itemlens import AttributeType, Client, Collection, Event, Item, ItemlensError, NotFound
from itemlens_cli.bars import Bar, Bars, progress_bars
from itemlens_cli.check import Check
from itemlens_cli.connection import checked_target, client_of, spoken
from itemlens_cli.skipped import EVENTS, ITEMS, Notes, Skipped
from itemlens_cli.sync import show
from itemlens_cli.sync.apply import Options, Sync, Synced
from itemlens_cli.upload import Load, Part
from itemlens_datasets.exported import ENDINGS, ExportedItems, exported
from itemlens_datasets.mapping import Dataset, Events, Items, bundled_mapping
from itemlens_datasets.rows import MappingError, did_you_mean
from itemlens_server.errors import InvalidArgument

SKIPPED_ROWS = 3
"""Exit status if rows were skipped and the others stored. 1 is a failure, 2 a wrong command line."""


def index(
    mapping: Annotated[
        str,
        typer.Argument(
            help="a mapping file (YAML), the name of a bundled one (grocery, fashion ...), or a file of JSON lines "
            "from `itemlens items export`"
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="folder of the data; default: the mapping's")] = None,
    collection: Annotated[str, typer.Option(help="the collection to fill; default: the mapping's")] = "",
    space: Annotated[str, typer.Option(help="space of a new collection; default: the server's")] = "",
    target: Annotated[str, typer.Option(help="the running server")] = "localhost:50051",
    limit: Annotated[
        int | None, typer.Option(min=1, help="load only the first N items and their events")
    ] = None,
    without_pictures: Annotated[
        float, typer.Option(min=0, max=1, help="share of the items with a text to upload without pictures")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="seed for the choice of items without pictures")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="items per batch")] = 64,
    errors: Annotated[
        Path | None,
        typer.Option(help="file for skipped rows; default: NAME.errors.jsonl in the current folder"),
    ] = None,
    sync: Annotated[
        bool,
        typer.Option(
            "--sync",
            help="delete what left the files, and leave alone what did not change since the last sync",
        ),
    ] = False,
    fields: Annotated[
        str, typer.Option(help="with --sync: change only these attributes of stored items: price,stock")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="with --sync: only say what would be done")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="with --sync: also delete more than half, or beside skipped rows")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            help="with --sync: file of what the last sync saw; default: NAME.COLLECTION.sync beside the mapping"
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="write nothing: check all rows against the mapping and the collection"),
    ] = False,
) -> None:
    """Load items and events into a collection of a running server, according to a mapping file.

    A second run changes nothing. Invalid rows and rows that the server refuses are skipped; the others are
    loaded. The table counts skipped rows by reason, and the file of errors lists each of them.
    With --sync the items of the collection follow the files (docs/catalogue.md).
    Exit status: 0 all rows are stored, 3 rows were skipped, 1 the load failed.
    """
    checked_target(target)
    given = {"--fields": fields, "--dry-run": dry_run, "--force": force, "--state": state}
    for option in (option for option, value in given.items() if value and not sync):
        raise InvalidArgument(f"{option} is for --sync; give that, too")
    if (sync or check) and (limit is not None or without_pictures):
        raise InvalidArgument(
            "--limit and --without-pictures load a part; --sync and --check are of all rows"
        )
    if sync and check:
        raise InvalidArgument("give --sync or --check, not both; --sync --dry-run says what a sync would do")
    path = Path(mapping) if Path(mapping).is_file() else bundled_mapping(mapping)
    dataset = exported(path) if path.suffix.lower() in ENDINGS else Dataset.read(path)
    folder = data or path.parent
    dataset.check(folder)  # before anything is stored
    items = dataset.items
    if sync and items and (items.join_rows > 1 or (items.merge and not isinstance(items, ExportedItems))):
        raise InvalidArgument("--sync needs one row for each item: a mapping without merge and join_rows")
    skipped = Skipped(_errors_file(errors, path, dataset, folder))
    load = Load(dataset, folder, limit, without_pictures, seed)
    name = collection or dataset.collection
    console = Console()
    parts: list[Part[Any]] = []
    notes = Notes()
    beside = path.parent if Path(mapping).is_file() else Path()  # not in the package of a bundled one
    options = Options(
        state or beside / f"{path.stem}.{name}.sync", _field_names(fields, dataset), dry_run, force
    )
    synced: Synced | None = None
    stored: Collection | None = None
    try:
        with client_of(target, collection=name) as client, progress_bars(console) as progress:
            if check:
                _check(client, name, space, load, skipped, notes)
            else:
                if not dry_run:
                    _make_collection(client, name, space, dataset.declared())
                if dataset.items and sync:
                    syncing = Sync(client, dataset.items, load.items, skipped, options, Bars(progress))
                    synced = syncing.run(notes.add)
                elif dataset.items:
                    parts.append(
                        _upload_items(client, dataset.items, load, skipped, notes, batch_size, progress)
                    )
                if dataset.events and not dry_run and not fields:
                    parts.append(_upload_events(client, dataset.events, load, skipped, progress))
                stored = None if dry_run else client.get_collection()
    except ItemlensError as error:
        told = "; ".join([spoken(error, target), *getattr(error, "__notes__", ())])
        Console(stderr=True).print(
            f"[bold red]not indexed:[/] {escape(told)}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(1) from error
    finally:
        skipped.close()
    if check:
        console.print(f"checked: {skipped.total:,} rows cannot be used; nothing was written")
    if synced is not None:
        console.print(show.table(synced, dry_run))
        for said in show.notes(synced, dry_run):
            console.print(said, highlight=False, markup=False, soft_wrap=True)
    _print(console, folder, parts, notes, skipped)
    if stored is not None:
        console.print(f"collection {stored.name}: {stored.item_count:,} items, {stored.event_count:,} events")
    for part in parts:
        if part.failure is not None:
            raise part.failure
    if skipped.total:
        raise typer.Exit(SKIPPED_ROWS)


def _field_names(fields: str, dataset: Dataset) -> tuple[str, ...]:
    """The attributes of --fields. InvalidArgument if the mapping has none of a name."""
    names = tuple(name.strip() for name in fields.split(",") if name.strip())
    known = dataset.items.attributes if dataset.items else {}
    for name in names:
        if name not in known:
            raise InvalidArgument(
                f"--fields names {name!r}, but the mapping has no such attribute; it has {', '.join(known) or 'none'}"
                f"{did_you_mean(name, known)}"
            )
    return names


def _check(client: Client, name: str, space: str, load: Load, skipped: Skipped, notes: Notes) -> None:
    """Read everything, and list what is wrong."""
    dataset = load.dataset
    if dataset.items:
        checking = Check(client, name, space, dataset.items, skipped)
        for row, item in load.items(partial(skipped.add_bad_row, ITEMS, dataset.items.file), notes.add):
            checking.item(row, item)
    if dataset.events:
        for _ in load.events(partial(skipped.add_bad_row, EVENTS, dataset.events.file), notes.add):
            pass


def _errors_file(given: Path | None, mapping: Path, dataset: Dataset, folder: Path) -> Path:
    """Path of the file for skipped rows. MappingError if it is an input of the load."""
    path = given or Path(f"{mapping.stem}.errors.jsonl")
    files = [path for part in (dataset.items, dataset.events) if part for path in part.paths()]
    used = [mapping, *(folder / path for path in files)]
    if path.is_dir() or path.resolve() in (file.resolve() for file in used):
        raise MappingError(f"--errors {path} is a folder or an input of this load; name another file")
    return path


def _upload_items(
    client: Client,
    items: Items,
    load: Load,
    skipped: Skipped,
    notes: Notes,
    batch_size: int,
    progress: bars.Progress,
) -> Part[Item]:
    part = Part(ITEMS, items, load.items, lambda item: item.item_id, skipped, notes.add)
    tell = Bar(progress, ITEMS, load.total(items))
    part.upload(partial(client.upload, merge=items.merge, batch_size=batch_size, progress=tell))
    return part


def _upload_events(
    client: Client, events: Events, load: Load, skipped: Skipped, progress: bars.Progress
) -> Part[Event]:
    part = Part(EVENTS, events, load.events, lambda event: event.event_id, skipped)
    part.upload(partial(client.upload_events, progress=Bar(progress, EVENTS, load.total(events))))
    return part


def _make_collection(client: Client, name: str, space: str, attributes: Mapping[str, AttributeType]) -> None:
    """Create the collection unless it exists. If `space` is given, an existing one must have that space. attributes:
    types that values do not show; an existing collection gets those of attributes that it does not know yet."""
    try:
        found = None if space else client.get_collection(name)
    except NotFound:
        found = None
    if found is None:
        given: dict[str, Any] = {"attributes": attributes} if attributes else {}
        found = client.create_collection(name, space=space, allow_existing=True, **given)
    if attributes and (new := {n: kind for n, kind in attributes.items() if n not in found.attributes}):
        client.update_collection(name, attributes={**found.attributes, **new})


def _print(
    console: Console,
    folder: Path,
    parts: list[Part[Any]],
    notes: Notes,
    skipped: Skipped,
) -> None:
    counts = Table("", "stored", "skipped", "seconds", "per second", "resumed", title=escape(str(folder)))
    warnings = Table("part", "reason", "rows", "first rows", "first message", title="warnings")
    for part in parts:
        report = part.report
        counts.add_row(
            part.name,
            f"{report.written:,}",
            f"{skipped.count(part.name):,}",
            f"{report.seconds:,.1f}",
            f"{report.written / max(report.seconds, 1e-9):,.0f}",
            f"{report.resumed}",
        )
        for reason, tally in part.warnings().items():
            warnings.add_row(part.name, reason, *map(escape, tally.cells()))
    for reason, tally in notes.tallies.items():
        warnings.add_row(ITEMS, reason, *map(escape, tally.cells()))
    if parts:
        console.print(counts)
    if warnings.row_count:
        console.print(warnings)
    if skipped.total:
        reasons = Table("part", "reason", "rows", "first rows", "first message", title="skipped rows")
        for (name, reason), tally in skipped.tallies.items():
            reasons.add_row(name, reason, *map(escape, tally.cells()))
        console.print(reasons)
        kept = f"each is listed in {skipped.path}"
        if skipped.write_error is not None:
            kept = f"{skipped.path} cannot be written ({skipped.write_error.strerror}); name another with --errors"
        console.print(f"skipped rows: {skipped.total:,}; {escape(kept)}", soft_wrap=True)
