"""Questions before something is lost."""

from __future__ import annotations

import sys

import typer

from itemlens_server.errors import InvalidArgument


def confirm(what: str, yes: bool) -> None:
    """Ask whether to do `what`, such as "delete 3 items", unless `yes` is given.

    Raises:
        InvalidArgument: there is no terminal to ask at.
        typer.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidArgument(f"this would {what}; give --yes to do so without a question")
    typer.confirm(f"{what}?", abort=True)
