"""Files that commands write where the user says."""

from __future__ import annotations

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
        raise FailedPrecondition(
            f"{path} cannot be written ({error.strerror}); name a file in a folder that exists"
        ) from error
