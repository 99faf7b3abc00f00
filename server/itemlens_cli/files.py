"""Files that commands write where the user says."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from itemlens_server.errors import FailedPrecondition


def write(path: Path, text: str) -> None:
    """Write a text to a file.

    Raises:
        FailedPrecondition: it cannot be written; the message says why.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from error


def write_private(path: Path, text: str) -> None:
    """Write a text to a file that only its owner can read. It has all of the text, or stays as it was.

    Raises:
        FailedPrecondition: it cannot be written; the message says why.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> FailedPrecondition:
    return FailedPrecondition(
        f"{path} cannot be written ({error.strerror}); name a file in a folder that exists"
    )
