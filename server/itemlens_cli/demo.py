"""`itemlens demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def demo(
    models: Annotated[Path, typer.Option(help="the model repository; the space is exported to it")] = Path(
        "models"
    ),
    folder: Annotated[Path, typer.Option(help="where the store, the page and the logs go")] = Path("demo"),
    users: Annotated[int, typer.Option(help="how many users to tell of", min=1, max=200)] = 3,
    keep: Annotated[bool, typer.Option("--keep", help="leave the server running at the end")] = False,
    language: Annotated[
        Literal["en", "zh"] | None, typer.Option(help="of the reasons [default: the user's own]")
    ] = None,
) -> None:
    """Show the whole path on the bundled catalogue: export, serve, upload, fit, recommend and explain.

    The second time it goes on from what is there. The server that it starts is stopped at the end.
    """
    from itemlens_demo import run

    run.run(models=models, folder=folder, users=users, keep=keep, language=language)
