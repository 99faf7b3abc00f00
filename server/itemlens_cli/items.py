"""`itemlens items get|delete|export`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich import progress as bars
from rich.console import Console

import itemlens
from itemlens_cli import files
from itemlens_cli.asking import confirm
from itemlens_cli.batches import CALL, batches, with_pictures
from itemlens_cli.connection import connected
from itemlens_datasets.exported import item_object
from itemlens_server.errors import FailedPrecondition, InvalidArgument

items = typer.Typer(no_args_is_help=True, help="Look at, delete and export the items of a collection.")

WITH_PICTURES = 16
"""Items in one call that returns pictures."""
SOME_FAILED = 3
"""Exit status if items were not found or are damaged, and the others were done. 1 is a failure."""
_ENDINGS = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}

Ids = Annotated[list[str] | None, typer.Argument(help="ids of items")]
Name = Annotated[str, typer.Option(help="the collection")]
Filter = Annotated[str, typer.Option(help="items that match: 'in_stock and price < 60'; see docs/filters.md")]
Target = Annotated[str, typer.Option(help="the running server")]


@items.command()
def get(
    ids: Ids = None,
    filter: Filter = "",
    limit: Annotated[int, typer.Option(min=1, help="with --filter: at most so many")] = 10,
    collection: Name = "default",
    target: Target = "localhost:50051",
) -> None:
    """Print items as they are stored, as JSON objects, without pictures and vectors.

    Exit status 3: some do not exist.
    """
    filter = _without_ids(filter, ids)
    with connected(target, collection=collection) as client:
        found: Iterable[itemlens.StoredItem] = (
            islice(client.list_items(filter=filter, page_size=limit), limit)
            if filter
            else _by_id(client, ids or [])
        )
        errors = []
        for stored in found:
            if stored.error is not None:
                errors.append(stored.error)
                continue
            shown = {**item_object(stored.item, None), "sequence_number": stored.sequence_number}
            typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
    _say_errors(errors)


@items.command()
def delete(
    ids: Ids = None,
    filter: Filter = "",
    yes: Annotated[bool, typer.Option("--yes", help="with --filter: delete without a question")] = False,
    collection: Name = "default",
    target: Target = "localhost:50051",
) -> None:
    """Delete items by id, or all that match a filter. Events stay. Exit status 3: some did not exist."""
    filter = _without_ids(filter, ids)
    errors: list[itemlens.ItemlensError] = []
    with connected(target, collection=collection, timeout=600.0) as client:
        if filter:
            if not yes:
                first, count = _counted(
                    stored.item.item_id for stored in client.list_items(filter=filter, page_size=CALL)
                )
                shown = f" ({', '.join(first)}{', ...' if count > len(first) else ''})" if count else ""
                confirm(f"delete {count:,} items{shown} of collection {collection!r}", yes)
            deleted = client.delete_matching(filter)
        else:
            deleted = 0
            for some in batches(dict.fromkeys(ids or [])):
                results = list(client.delete_items(some))
                deleted += sum(result.error is None for result in results)
                errors += [result.error for result in results if result.error is not None]
    typer.echo(f"{deleted:,} items deleted")
    _say_errors(errors)


@items.command()
def export(
    filter: Filter = "",
    out: Annotated[
        Path | None,
        typer.Option(
            help="write to this file, NAME.jsonl; it is replaced at the end; default: to the output"
        ),
    ] = None,
    pictures: Annotated[
        bool,
        typer.Option(
            help="with --out: write vectors, and pictures as they are stored into the folder NAME.pictures"
        ),
    ] = True,
    collection: Name = "default",
    target: Target = "localhost:50051",
) -> None:
    """Write items as JSON lines, which `itemlens index` takes again.

    Small pictures are stored as they came, others at the model's input size. Lines without pictures and vectors are
    merged into stored items, which keep theirs. An item that stays occurs once, whatever is written meanwhile.
    Exit status 3: damaged items were left out.
    """
    filter = filter.strip()
    folder = out.with_suffix(".pictures") if out is not None and pictures else None
    console = Console(stderr=True)
    errors: list[itemlens.ItemlensError] = []
    count = 0
    with connected(target, collection=collection, timeout=120.0) as client:
        total = client.get_collection().item_count if not filter else None
        opened = nullcontext(typer.get_text_stream("stdout")) if out is None else files.new_file(out)
        with (
            opened as lines,
            bars.Progress(
                *_COLUMNS, console=console, transient=True, disable=not console.is_terminal
            ) as shown,
        ):
            task = shown.add_task("items", total=total)
            for stored in _stored(client, filter, pictures=folder is not None):
                if isinstance(stored.error, itemlens.NotFound):
                    continue  # deleted meanwhile
                if stored.error is not None:
                    errors.append(stored.error)
                    continue
                paths = None if folder is None else _write_pictures(stored.item, folder)
                lines.write(json.dumps(item_object(stored.item, paths), ensure_ascii=False) + "\n")
                count += 1
                shown.update(task, completed=count)
    where = f" to {out}" if out is not None else ""
    without = "" if folder is not None else ", without pictures"
    console.print(f"{count:,} items written{where}{without}", highlight=False, markup=False, soft_wrap=True)
    _say_errors(errors)


_COLUMNS = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn())


def _without_ids(filter: str, ids: Sequence[str] | None) -> str:
    """Return the filter; empty if ids are given."""
    filter = filter.strip()
    if bool(ids) == bool(filter):
        raise InvalidArgument("give the ids of items, or a --filter, and not both")
    return filter


def _by_id(client: itemlens.Client, ids: Sequence[str]) -> Iterator[itemlens.StoredItem]:
    for some in batches(ids):
        yield from client.get_items(some)


def _stored(client: itemlens.Client, filter: str, *, pictures: bool) -> Iterator[itemlens.StoredItem]:
    """Yield all items that match, with their pictures if wanted."""
    listed = client.list_items(filter=filter, page_size=CALL)
    if not pictures:
        yield from listed
        return
    for some in batches(listed, WITH_PICTURES):
        yield from with_pictures(client, [stored.item.item_id for stored in some])


def _write_pictures(item: itemlens.Item, folder: Path) -> dict[str, list[str]]:
    """Write an item's pictures, each under a hash of its bytes. Return their paths, relative to the file of lines."""
    paths: dict[str, list[str]] = {}
    assert isinstance(item.pictures, dict)
    for channel, pictures in item.pictures.items():
        for data in pictures:
            ending = next((ending for start, ending in _ENDINGS.items() if data.startswith(start)), "")
            path = folder / f"{hashlib.blake2b(data, digest_size=16).hexdigest()}{ending}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            except OSError as error:
                raise FailedPrecondition(f"{path} cannot be written ({error.strerror})") from error
            paths.setdefault(channel, []).append(f"{folder.name}/{path.name}")
    return paths


def _counted(ids: Iterable[str]) -> tuple[list[str], int]:
    """Return the first three ids, and how many there are."""
    rest = iter(ids)
    first = list(islice(rest, 3))
    return first, len(first) + sum(1 for _ in rest)


def _say_errors(errors: Sequence[itemlens.ItemlensError]) -> None:
    """Print the first errors, and end with SOME_FAILED if there are any."""
    console = Console(stderr=True)
    for error in errors[:10]:
        console.print(error.message, highlight=False, markup=False, soft_wrap=True)
    if len(errors) > 10:
        console.print(f"and {len(errors) - 10:,} more")
    if errors:
        raise typer.Exit(SOME_FAILED)
