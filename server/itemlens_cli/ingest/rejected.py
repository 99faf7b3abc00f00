"""Entries that were rejected: counted by reason, and kept in a file or told on the terminal."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from itemlens_cli.ingest.entries import Poison
from itemlens_cli.ingest.source import Entry
from itemlens_server.errors import FailedPrecondition

SHOWN_CHARACTERS = 200


class Rejected:
    """The rejected entries of a run.

    The file is JSON lines, and a run adds to it. An entry is on disk before the stream's position passes it, so that
    none is lost; after a kill one may be there twice, with the same place.
    """

    def __init__(self, path: Path | None, stream: str, say: Callable[[str], None]) -> None:
        """`path`: the file; None: entries are told with `say`."""
        self.counts: Counter[str] = Counter()
        self._path, self._stream, self._say = path, stream, say
        self._file: BinaryIO | None = None

    def add(self, entry: Entry, poison: Poison) -> None:
        """Add an entry."""
        self.counts[poison.reason] += 1
        content = entry.content.decode(errors="replace")
        if self._path is None:
            shown = content if len(content) <= SHOWN_CHARACTERS else f"{content[:SHOWN_CHARACTERS]}..."
            self._say(f"rejected {self._stream} at {entry.place}: {poison.reason}: {poison.message}: {shown}")
            return
        record = {
            "stream": self._stream, "place": entry.place, "reason": poison.reason, "message": poison.message,
            "content": content,
        }  # fmt: skip
        try:
            if self._file is None:
                self._file = self._path.open("ab")
            self._file.write(json.dumps(record).encode() + b"\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def keep(self) -> None:
        """Return when all added entries are on disk.

        Raises:
            FailedPrecondition: the file cannot be written.
        """
        if self._file is not None:
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                raise self._unwritable(error) from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _unwritable(self, error: OSError) -> FailedPrecondition:
        return FailedPrecondition(
            f"--rejected {self._path} cannot be written ({error.strerror}); the stream was not read past the entry: "
            "make room or name another file, and start again"
        )
