"""Files that commands write where the user says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

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
    with new_file(path, 0o600) as file:
        file.write(text)


@contextmanager
def new_file(path: Path, mode: int = 0o666) -> Iterator[TextIO]:
    """Open a file to be written in UTF-8. At the end it takes the place of `path`; after an error that stays as it was.

    Raises:
        FailedPrecondition: it cannot be written; the message says why.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink()


def _unwritable(path: Path, error: OSError) -> FailedPrecondition:
    return FailedPrecondition(
        f"{path} cannot be written ({error.strerror}); name a file in a folder that exists"
    )
