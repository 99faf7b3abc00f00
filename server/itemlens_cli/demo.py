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
    users: Annotated[int, typer.Option(help="number of users to show", min=1, max=200)] = 3,
    keep: Annotated[bool, typer.Option("--keep", help="leave the server running at the end")] = False,
    language: Annotated[
        Literal["en", "zh"] | None, typer.Option(help="language of the reasons; default: the user's own")
    ] = None,
) -> None:
    """Show all steps on the bundled catalogue: export, serve, upload, fit, recommend and explain.

    A later run reuses what an earlier one has made. The server stops at the end, unless --keep is given.
    """
    from itemlens_demo import run

    run.run(models=models, folder=folder, users=users, keep=keep, language=language)
