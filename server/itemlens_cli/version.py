"""`itemlens --version`."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Annotated

import typer

# ONNX Runtime is one of two packages; commands that only call a server need neither.
PACKAGES = ("itemlens", "itemlens-server", "onnxruntime", "onnxruntime-gpu")


def _print(wanted: bool) -> None:
    if not wanted:
        return
    for package in PACKAGES:
        try:
            typer.echo(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    typer.echo(f"Python {platform.python_version()}")
    raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print, is_eager=True, help="Print versions and stop.")
    ] = False,
) -> None:
    """Options of `itemlens` itself."""
