"""The rows of a file: rows with named cells, and rows that cannot be used."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

Cells: TypeAlias = dict[str, Any]
Scalar: TypeAlias = str | int | float | bool


class MappingError(ValueError):
    """A mapping file is wrong, or the data do not fit it; `message` names the place and the cure.

    `what` is the message without the place. `keys` is the path to the place, such as ("items", "texts", "text").
    """

    def __init__(self, what: str, keys: tuple[str | int, ...] = ()) -> None:
        self.what, self.keys = what, keys
        self.message = f"{'.'.join(map(str, keys))}: {what}" if keys else what
        super().__init__(self.message)


class Reason(StrEnum):
    """Why a row cannot be used."""

    UNCLOSED_QUOTE = "UNCLOSED_QUOTE"
    TEXT_AFTER_QUOTE = "TEXT_AFTER_QUOTE"
    CELL_COUNT = "CELL_COUNT"
    """More or fewer cells than there are columns."""
    NOT_DECODABLE = "NOT_DECODABLE"
    """Bytes that do not belong to the file's encoding."""
    NUL_BYTE = "NUL_BYTE"
    NOT_JSON = "NOT_JSON"
    EMPTY = "EMPTY"
    """A field that must have a value, such as the id."""
    BAD_VALUE = "BAD_VALUE"
    """A cell that is not of its type."""
    INEXACT_NUMBER = "INEXACT_NUMBER"
    """A whole number that a stored attribute cannot hold exactly."""
    NO_RULE = "NO_RULE"
    """No rule gives the event its type."""
    REPEATED_ID = "REPEATED_ID"
    """A row whose id an earlier row has."""
    NO_MATCH = "NO_MATCH"
    """A joined file has no row with the key of this row."""
    NO_ITEM = "NO_ITEM"
    """A row of a joined file whose key no item has."""
    REPEATED_KEY = "REPEATED_KEY"
    """A row of a joined file whose key an earlier row has."""


class RowError(ValueError):
    """A row cannot be used. `column` is "" if the fault is not in one column."""

    def __init__(self, reason: Reason, message: str, column: str = "") -> None:
        super().__init__(message)
        self.reason, self.column = reason, column


class Row(NamedTuple):
    """A row of a file."""

    number: int
    """From 1; the line of column names and blank lines do not count."""
    line: int | None
    """The line that it begins on, from 1; None if the format has no lines."""
    cells: Cells


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used, and why."""

    number: int
    line: int | None
    content: Cells | str
    """Its cells, or its first line if it could not be split into cells."""
    reason: Reason
    message: str
    column: str = ""
    file: Path | None = None
    """Its file, if that is a joined one."""

    @classmethod
    def of(cls, number: int, line: int | None, content: Cells | str, error: RowError) -> BadRow:
        """The bad row for an error."""
        return cls(number, line, content, error.reason, str(error), error.column)

    def __str__(self) -> str:
        line = f" (line {self.line})" if self.line is not None else ""
        return f"row {self.number}{line}: {self.message}"


class Note(NamedTuple):
    """A remark on rows that can be used."""

    reason: Reason
    row: int | None
    """Number of the row, in the file that the message names or in the file of items."""
    message: str


def is_empty(value: Any) -> bool:
    """Whether a cell is None, "" or nan."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint with the nearest known name, for the end of a message; "" if none is near."""
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
