"""`itemlens export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from itemlens_exporter.errors import ExportError

# Nothing of the engine: the other commands import this module too.
if TYPE_CHECKING:
    from itemlens_exporter.checkpoint import Checkpoint
    from itemlens_server.engine.manifest import Manifest, Precision

ENCODERS = ("text", "image")


def export(
    text: Annotated[
        str, typer.Option(help="minilm, multilingual, a checkpoint's folder, a hub id, or none")
    ] = "multilingual",
    image: Annotated[str, typer.Option(help="lite0, a checkpoint's folder, a hub id, or none")] = "lite0",
    pooling: Annotated[
        Literal["auto", "mean"],
        typer.Option(
            help="mean: take the mean over the tokens also of a checkpoint trained to pool otherwise"
        ),
    ] = "auto",
    precision: Annotated[
        list[str], typer.Option(help="fp32, fp16, int8; comma-separated or repeated; fp32 is always made")
    ] = ["fp32"],  # noqa: B006  typer reads it once and hands out copies
    channel: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=text or NAME=image, repeated: the item's channels; text and image if none is given"
        ),
    ] = None,
    pack: Annotated[
        bool,
        typer.Option(
            help="leave padding out of the fp32 graph of texts; without, it is as onnxruntime fuses it"
        ),
    ] = True,
    models: Annotated[Path, typer.Option(help="the model repository to write to", file_okay=False)] = Path(
        "models"
    ),
    name: Annotated[str | None, typer.Option(help="a label for people; default: the encoders' names")] = None,
) -> None:
    """Make a space of ONNX graphs from checkpoints, and check each graph against its checkpoint.

    Prints the parity table and, as its last line, the space's id. A precision that is not true to the
    checkpoint is left out of the space; if that is fp32, nothing is written and the status is 1.
    """
    precisions = _precisions(precision)
    channels = _channels(channel or [])
    # Seconds to import, and not there in an installation that only serves.
    try:
        from itemlens_exporter import presets
        from itemlens_exporter.space import export_space
    except ImportError as error:
        raise ExportError(
            f"export needs more than serving ({error}): pip install 'itemlens-server[export]'"
        ) from error

    console = Console(stderr=True)
    with console.status("loading the checkpoints") as status:

        def progress(message: str) -> None:
            status.update(message)
            if not console.is_terminal:
                console.print(message, highlight=False)

        checkpoints: dict[str, Checkpoint] = {}
        if text != "none":
            checkpoints["text"] = presets.text(text, mean=pooling == "mean")
        if image != "none":
            checkpoints["image"] = presets.image(image)
        if not checkpoints:
            raise ExportError("nothing to export: name a text or an image encoder")
        exported = export_space(
            checkpoints,
            models=models,
            name=name or " + ".join(Path(given).name for given in (text, image) if given != "none"),
            precisions=precisions,
            channels=channels or None,
            pack=pack,
            progress=progress,
        )
    console.print(parity_table(exported.manifest))
    console.print(f"written to {exported.directory}", highlight=False)
    typer.echo(exported.manifest.space_id)


def parity_table(manifest: Manifest) -> Table:
    """How far each graph is from its checkpoint, for the terminal."""
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
