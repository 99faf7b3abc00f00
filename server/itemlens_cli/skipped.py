"""Rows that `itemlens index` skips: counted by reason, and written to a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from itemlens import ItemlensError
from itemlens_datasets.rows import BadRow, Note

ITEMS, EVENTS = "items", "events"
"""The parts of a load."""
_FIRST = 5


@dataclass
class Tally:
    """The count of a reason, and its first rows."""

    count: int = 0
    rows: list[int] = field(default_factory=list)
    """Numbers of the first rows."""
    first: str = ""

    def add(self, row: int | None, message: str) -> None:
        self.count += 1
        if row is not None and len(self.rows) < _FIRST:
            self.rows.append(row)
        self.first = self.first or message

    def cells(self) -> tuple[str, str, str]:
        """Count, first rows and first message, for a table."""
        more = ", ..." if self.count > len(self.rows) > 0 else ""
        return f"{self.count:,}", ", ".join(map(str, self.rows)) + more, self.first


class Notes:
    """Remarks on rows that can be used, by reason."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}

    def add(self, note: Note) -> None:
        """Add a remark."""
        self.tallies.setdefault(note.reason, Tally()).add(note.row, note.message)


class Skipped:
    """The skipped rows. Memory is bounded: it holds a tally for each reason, and the rows go to the file.

    The file is JSON lines. It exists only if rows were skipped, and it replaces the file of an earlier run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tallies: dict[tuple[str, str], Tally] = {}
        """By (ITEMS or EVENTS, reason)."""
        self.write_error: OSError | None = None
        self._file: TextIO | None = None
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self.write_error = error

    @property
    def total(self) -> int:
        return sum(tally.count for tally in self.tallies.values())

    def count(self, part: str) -> int:
        """Number of skipped rows of a part."""
        return sum(tally.count for (of, _), tally in self.tallies.items() if of == part)

    def add_bad_row(self, part: str, file: Path, bad: BadRow) -> None:
        """Add a row that does not make an item or event."""
        record = {"row": bad.number, "line": bad.line, "column": bad.column or None, "content": bad.content}
        self.add(part, bad.file or file, bad.reason, bad.message, record)

    def add_refused(
        self, part: str, file: Path, id: str, error: ItemlensError, record: Mapping[str, Any]
    ) -> None:
        """Add an item or event that the server refused."""
        reason = error.details.reason or error.code.name
        self.add(part, file, reason, f"{shortened(id)}: {error.message}", {"id": id, **record})

    def add(self, part: str, file: Path, reason: str, message: str, record: Mapping[str, Any]) -> None:
        """Add a skipped row. `record` holds details, with the row's number as "row"."""
        self.tallies.setdefault((part, reason), Tally()).add(record.get("row"), message)
        self._write({"part": part, "file": str(file), "reason": reason, "message": message, **record})

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _write(self, record: Mapping[str, Any]) -> None:
        if self.write_error is not None:
            return
        try:
            if self._file is None:
                # backslashreplace: half of a surrogate pair, which UTF-8 cannot encode, becomes JSON's \udXXX.
                self._file = self.path.open("w", encoding="utf-8", errors="backslashreplace")
            self._file.write(json.dumps(record, ensure_ascii=False, default=_shown) + "\n")
        except OSError as error:
            self.write_error = error  # the rows are counted anyway, and the load goes on


def _shown(value: object) -> str:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)


def shortened(id: str) -> str:
    """An id for a message."""
    return id if len(id) <= 60 else f"{id[:60]}..."
