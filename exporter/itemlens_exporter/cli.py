"""`itemlens export`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from itemlens_exporter.errors import ExportError

# The engine is not imported at run time: the other commands import this module too.
if TYPE_CHECKING:
    from itemlens_exporter.checkpoint import Checkpoint
    from itemlens_server.engine.manifest import Manifest, Precision

ENCODERS = ("text", "image")

_UNKNOWN_PREFIXES = (
    "neither the checkpoint's files nor its name say whether texts need a prefix. If it was trained with prefixes, as "
    "E5 and BGE were, give --query-prefix and --item-prefix: answers are worse without them"
)


def export(
    text: Annotated[
        str, typer.Option(help="minilm, multilingual, a checkpoint's folder, a hub id, or none")
    ] = "multilingual",
    image: Annotated[str, typer.Option(help="lite0, a checkpoint's folder, a hub id, or none")] = "lite0",
    pooling: Annotated[
        Literal["auto", "mean"],
        typer.Option(
            help="mean: use the mean over the tokens even if the checkpoint was trained with another pooling"
        ),
    ] = "auto",
    query_prefix: Annotated[
        str | None,
        typer.Option(
            help="prefix of a query text; default: the one that the checkpoint was trained with, if known"
        ),
    ] = None,
    item_prefix: Annotated[
        str | None, typer.Option(help="prefix of an item text; default: as for queries")
    ] = None,
    ground: Annotated[
        str, typer.Option(help="background of transparent pictures: white, black or #rrggbb")
    ] = "white",
    precision: Annotated[
        list[str] | None,
        typer.Option(
            help="fp32, fp16, int8; comma-separated or repeated; fp32 is always included", show_default="fp32"
        ),
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=text or NAME=image, repeatable: the item's channels; default: text and image"
        ),
    ] = None,
    external: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=DIMENSION@VERSION, repeatable: a channel of your own vectors, such as tower=64@2026-11"
        ),
    ] = None,
    pack: Annotated[
        bool,
        typer.Option(
            help="remove padding from the fp32 graph of texts; otherwise keep the graph as onnxruntime fuses it"
        ),
    ] = True,
    models: Annotated[Path, typer.Option(help="the model repository to write to", file_okay=False)] = Path(
        "models"
    ),
    name: Annotated[str | None, typer.Option(help="label of the space; default: the encoders' names")] = None,
) -> None:
    """Make a space of ONNX graphs from checkpoints, and check each graph against its checkpoint.

    With --external, items and queries can have vectors of your own beside texts and pictures.

    Prints the parity table. The last line is the space's id. A precision that fails the check is left out of
    the space. If fp32 fails, nothing is written and the exit status is 1.
    """
    precisions = _precisions(precision or ["fp32"])
    channels = _channels(channel or [])
    own = _external(external or [])
    colour = _colour(ground)
    # The import takes seconds, and an installation that only serves lacks the packages.
    try:
        from itemlens_exporter import presets
        from itemlens_exporter.space import export_space, external_channel
    except ImportError as error:
        raise ExportError(
            f"export needs packages that are not installed ({error}): pip install 'itemlens-server[export]'"
        ) from error

    console = Console(stderr=True)
    with console.status("loading the checkpoints") as status:

        def progress(message: str) -> None:
            status.update(message)
            if not console.is_terminal:
                console.print(message, highlight=False)

        checkpoints: dict[str, Checkpoint] = {}
        if text != "none":
            checkpoints["text"] = presets.text(
                text, mean=pooling == "mean", query_prefix=query_prefix, item_prefix=item_prefix
            )
        if image != "none":
            checkpoints["image"] = presets.image(image, ground=colour)
        if not checkpoints and not own:
            raise ExportError("nothing to export: name a text or an image encoder, or give --external")
        exported = export_space(
            checkpoints,
            models=models,
            name=name
            or " + ".join([*(Path(given).name for given in (text, image) if given != "none"), *own]),
            precisions=precisions,
            channels=channels or None,
            external={name: external_channel(*given) for name, given in own.items()},
            pack=pack,
            progress=progress,
        )
    if checkpoints:
        console.print(parity_table(exported.manifest))
    texts = [encoder for encoder in exported.manifest.encoders.values() if encoder.text]
    if texts:
        console.print(prefix_table(exported.manifest))
    if not all(encoder.source.get("prefixes_from") for encoder in texts):
        console.print(f"[yellow]warning:[/] {_UNKNOWN_PREFIXES}", highlight=False, soft_wrap=True)
    console.print(f"written to {exported.directory}", highlight=False)
    typer.echo(exported.manifest.space_id)


def parity_table(manifest: Manifest) -> Table:
    """Return the table of cosine distances between each graph and its checkpoint."""
    table = Table(
        "encoder",
        "precision",
        "inputs",
        "mean",
        "largest",
        "limit",
        "",
        title="cosine distance to the checkpoint",
    )
    for key, encoder in manifest.encoders.items():
        for row in encoder.parity:
            verdict = "[green]kept[/]" if row.passed else "[red]left out[/]"
            figures = (f"{row.mean:.1e}", f"{row.max:.1e}", f"{row.limit:.0e}")
            table.add_row(key, row.precision.value, str(row.inputs), *figures, verdict)
    return table


def prefix_table(manifest: Manifest) -> Table:
    """Return the table of the prefixes of texts and their origin."""
    table = Table("encoder", "of queries", "of items", "known from", title="prefixes of texts")
    for key, encoder in manifest.encoders.items():
        if (text := encoder.text) is not None:
            before = [repr(prefix) if prefix else "none" for prefix in (text.query_prefix, text.item_prefix)]
            origin = encoder.source.get("prefixes_from") or "[yellow]not known[/]"
            table.add_row(key, *map(escape, before), origin)
    return table


def _colour(given: str) -> tuple[int, int, int]:
    hexadecimal = {"white": "#ffffff", "black": "#000000"}.get(given.lower(), given)
    if not re.fullmatch("#[0-9a-fA-F]{6}", hexadecimal):
        raise ExportError(f"--ground {given}: give white, black, or a colour as #rrggbb")
    red, green, blue = bytes.fromhex(hexadecimal[1:])
    return red, green, blue


def _precisions(given: list[str]) -> list[Precision]:
    from itemlens_server.engine.manifest import Precision

    names = [name.strip() for part in given for name in part.split(",") if name.strip()]
    try:
        return [Precision(name) for name in names]
    except ValueError as error:
        raise ExportError(f"--precision: {error}: give fp32, fp16 or int8") from error


def _channels(given: list[str]) -> dict[str, str]:
    channels: dict[str, str] = {}
    for part in given:
        name, _, encoder = part.partition("=")
        if not name or encoder not in ENCODERS or name in channels:
            raise ExportError(f"--channel {part}: give NAME=text or NAME=image, each name once")
        channels[name] = encoder
    return channels


def _external(given: list[str]) -> dict[str, tuple[int, str]]:
    """Return dimension and version by channel."""
    channels: dict[str, tuple[int, str]] = {}
    for part in given:
        name, _, rest = part.partition("=")
        dimension, _, version = rest.partition("@")
        if not (name and re.fullmatch("[0-9]{1,6}", dimension) and version) or name in channels:
            raise ExportError(
                f"--external {part}: give NAME=DIMENSION@VERSION, such as tower=64@2026-11, each name once"
            )
        channels[name] = int(dimension), version
    return channels
