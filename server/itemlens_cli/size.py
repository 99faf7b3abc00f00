"""`itemlens size`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from itemlens_server.errors import InvalidArgument

if TYPE_CHECKING:
    from itemlens_server.sizing import Part, Size

MB, GIB = 1_000_000, 1 << 30
# MiniLM and EfficientNet-Lite0.
ENCODERS_MB = 104.0


def size(
    items: Annotated[int, typer.Option(min=1, help="items of the collection")],
    channels: Annotated[
        int | None, typer.Option(min=1, help="channels, such as one of texts and one of pictures; default: 1")
    ] = None,
    dims: Annotated[
        str, typer.Option(help="numbers of a vector, of all channels or of each one: 384, or 384,1280")
    ] = "384",
    users: Annotated[int, typer.Option(min=0, help="users with events")] = 0,
    events: Annotated[int, typer.Option(min=0, help="events that are kept")] = 0,
    items_with_events: Annotated[int | None, typer.Option(min=0, help="default: all items")] = None,
    attributes: Annotated[int, typer.Option(min=0, help="numbers and shared texts of an item")] = 5,
    document: Annotated[int, typer.Option(min=0, help="bytes of an item's texts and attributes")] = 400,
    words: Annotated[int, typer.Option(min=0, help="words of an item that searches look in (lexical)")] = 0,
    picture_kb: Annotated[
        float, typer.Option(min=0, help="stored KB of pictures of an item, for the disk")
    ] = 0,
    encoders_mb: Annotated[
        float, typer.Option(min=0, help="MB of the encoders' graphs; 0 for vectors of your own alone")
    ] = ENCODERS_MB,
    space: Annotated[
        Path | None,
        typer.Option(help="folder of a space, with its dims and encoders", exists=True, file_okay=False),
    ] = None,
    fitted: Annotated[bool, typer.Option(help="whether `itemlens fit` is used")] = True,
    lists: Annotated[float, typer.Option(min=0, help="lists a second, for the cores")] = 0,
    texts: Annotated[float, typer.Option(min=0, help="texts to encode a second, for the cores")] = 0,
    new_events: Annotated[float, typer.Option(min=0, help="events a second, for the cores")] = 0,
    config: Annotated[
        Path | None, typer.Option(help="YAML file of the server's settings", exists=True, dir_okay=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Say how much memory, disk and how many cores a server needs for a collection, and what takes it.

    Settings such as the sizes of caches are those of --config and the environment, as for `itemlens serve`.
    """
    from itemlens_server import sizing
    from itemlens_server.config import Settings

    settings = Settings.read(config)
    graphs, vocabulary = int(encoders_mb * MB), 0
    widths = _dims(dims, channels)
    if space is not None:
        widths, graphs, vocabulary = _of_space(space, settings.precision)
    pictures = int(picture_kb * 1000)
    shop = sizing.Shop(
        items=items,
        channels=[
            sizing.Channel(dim, stored=pictures if n == len(widths) - 1 else 0)
            for n, dim in enumerate(widths)
        ],
        users=users,
        events=events,
        taken=items_with_events,
        attributes=attributes,
        document=document,
        words=words,
        models=graphs,
        vocabulary=vocabulary,
        fitted=fitted,
    )
    found = sizing.size(shop, settings)
    cores = sizing.cores(lists, texts, new_events)
    if as_json:
        typer.echo(json.dumps(_json(found, cores), indent=2))
        return
    console = Console()
    console.print(_table(found))
    console.print(
        f"memory limit: {found.memory_limit / GIB:g}Gi   volume: {found.volume / GIB:g}Gi   cores: {cores}"
    )


def _dims(given: str, channels: int | None) -> list[int]:
    try:
        dims = [int(dim) for dim in given.split(",")]
    except ValueError:
        dims = []
    if len(dims) == 1:
        dims *= channels or 1
    if not dims or len(dims) != (channels or len(dims)) or min(dims) < 1:
        wanted = "one number, or one for each channel"
        raise InvalidArgument(f"--dims is {given!r}: give {wanted}, such as 384,1280", "dims")
    return dims


def _of_space(folder: Path, precision: str) -> tuple[list[int], int, int]:
    """Return the dims of a space's channels, and the bytes of its encoders' graphs and of their vocabularies."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        encoders: Mapping[str, Mapping[str, Any]] = manifest["encoders"]
        dims = [int(encoders[channel["encoder"]]["dim"]) for channel in manifest["channels"]]
        graphs = [own["graphs"] for own in encoders.values() if own["graphs"]]
        size = sum(own.get(precision, own.get("fp32"))["bytes"] for own in graphs)
        texts = [own["text"] for own in encoders.values() if own.get("text")]
        return dims, size, sum(own["tokenizer"]["bytes"] for own in texts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidArgument(f"{folder} is no folder of a space: {error!r}", "space") from error


def _table(found: Size) -> Table:
    table = Table("", "memory, MB", "disk, MB")
    for name in ("memory, MB", "disk, MB"):
        next(c for c in table.columns if c.header == name).justify = "right"

    def add(part: Part, sign: str = "") -> None:
        table.add_row(part.name, *(f"{sign}{n / MB:,.0f}" if n else "" for n in (part.memory, part.disk)))

    for part in found.parts:
        if part.memory or part.disk:
            add(part)
    table.add_section()
    table.add_row("at rest", f"{found.memory / MB:,.0f}", f"{found.disk / MB:,.0f}")
    for moment in found.moments:
        if moment.memory or moment.disk:
            add(moment, "+")
    table.add_row(
        "at most, one of these at a time", f"{found.peak / MB:,.0f}", f"{found.disk_peak / MB:,.0f}"
    )
    return table


def _json(found: Size, cores: int) -> dict[str, Any]:
    def listed(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
        return [vars(part) for part in parts]

    return {
        "parts": listed(found.parts), "moments": listed(found.moments), "memory": found.memory, "peak": found.peak,
        "disk": found.disk, "disk_peak": found.disk_peak, "memory_limit": found.memory_limit, "volume": found.volume,
        "cores": cores,
    }  # fmt: skip
