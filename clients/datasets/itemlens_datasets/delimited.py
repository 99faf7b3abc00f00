"""CSV and TSV files. A broken row does not affect the other rows."""

from __future__ import annotations

import csv
import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Literal

from itemlens_datasets.lines import check_text
from itemlens_datasets.rows import BadRow, MappingError, Reason, Row, RowError

CELL_LINES = 100
"""The largest number of lines in a quoted cell, unless a mapping sets `cell_lines`."""

# The csv module limits a cell to 131,072 characters. This saves nothing here: the line is in memory already.
csv.field_size_limit(2**31 - 1)


class Delimited:
    """The records of a CSV or TSV file.

    An unclosed quotation mark turns the lines after it into one cell. So a row is bad if one of its cells is not
    closed within `cell_lines` lines, or if all lines of a cell look like rows. Reading continues with the next line.
    """

    def __init__(
        self,
        lines: Iterable[str],
        *,
        delimiter: str,
        quoted: bool,
        cell_lines: int | None,
        skip_lines: int = 0,
    ) -> None:
        self._lines = itertools.islice(lines, skip_lines, None)
        self._number = skip_lines  # of the last line that was taken
        self._again: deque[str] = deque()  # lines of a broken record, to be read again
        self._delimiter, self._quoted = delimiter, quoted
        self._cell_lines = cell_lines or CELL_LINES
        # A mapping that sets `cell_lines` expects long cells, even cells that look like rows.
        self._doubt_rows_in_cells = cell_lines is None

    def names(self) -> list[str]:
        """The cells of the first record: the column names. MappingError if the record is broken."""
        first = self._next_line()
        try:
            return self._record([first], []) if first else []
        except RowError as error:
            raise MappingError(f"the line with the names of the columns: {error}") from error

    def rows(self, names: list[str]) -> Iterator[Row | BadRow]:
        """The remaining records, as rows with these columns."""
        number = 0
        while first := self._next_line():
            number, line, taken = number + 1, self._number, [first]
            try:
                yield Row(number, line, dict(zip(names, self._record(taken, names), strict=True)))
            except RowError as error:
                yield BadRow.of(number, line, "".join(taken).rstrip("\r\n"), error)

    def _next_line(self) -> str | None:
        """The next line that is not blank."""
        while (line := self._take()) is not None and not line.strip(" \r\n"):
            pass
        return line

    def _take(self) -> str | None:
        line = self._again.popleft() if self._again else next(self._lines, None)
        self._number += line is not None
        return line

    def _keep_first(self, taken: list[str]) -> None:
        """Put all lines except the first back, to be read again as separate records."""
        self._number -= len(taken) - 1
        self._again.extendleft(reversed(taken[1:]))
        del taken[1:]

    def _record(self, taken: list[str], names: list[str]) -> list[str]:
        """The cells of the record that begins with the line in `taken`. Its further lines are appended to `taken`.

        Without names, any number of cells is valid. RowError if the record is broken.
        """
        unclosed = False

        def feed() -> Iterator[str]:
            nonlocal unclosed
            yield taken[0]
            while len(taken) < self._cell_lines and (line := self._take()) is not None:
                taken.append(line)
                yield line
            unclosed = True  # the reader asks for more lines only inside a quoted cell

        # One reader per record: after an error, a reader would continue in the middle of a cell.
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self._quoted else csv.QUOTE_NONE
        try:
            cells = next(csv.reader(feed(), delimiter=self._delimiter, quoting=quoting, strict=True))
        except csv.Error as error:
            lines = len(taken)
            self._keep_first(taken)
            if unclosed:
                end = "by the end of the file" if lines < self._cell_lines else f"within {lines} lines"
                raise self._unclosed(taken[0], names, f"is not closed {end}") from error
            if lines > 1:
                what = f"is closed {lines - 1} lines below, with text after it"
                raise self._unclosed(taken[0], names, what) from error
            raise RowError(
                Reason.TEXT_AFTER_QUOTE,
                'text follows the quotation mark that closes a cell; write "" for a quotation mark inside a cell',
            ) from error
        ragged = bool(names) and len(cells) != len(names)
        if len(taken) > 1 and self._look_like_rows(taken[:-1] if ragged else taken, len(names)):
            self._keep_first(taken)
            raise self._unclosed(taken[0], names, "is followed by lines that look like rows")
        for line in taken:
            check_text(line)
        if ragged:
            raise RowError(Reason.CELL_COUNT, f"{len(cells)} cells, but {len(names)} columns")
        return cells

    def _look_like_rows(self, lines: list[str], columns: int) -> bool:
        """Whether each line is a complete row if quotation marks are read as ordinary characters.

        Prose has a space after a comma; rows do not.
        """
        return (
            self._doubt_rows_in_cells
            and columns > 1
            and all(
                line.count(self._delimiter) == columns - 1 and f"{self._delimiter} " not in line
                for line in lines
            )
        )

    def _unclosed(self, first: str, names: list[str], what: str) -> RowError:
        before = next(csv.reader([first], delimiter=self._delimiter))
        column = names[len(before) - 1] if len(before) <= len(names) else ""
        return RowError(
            Reason.UNCLOSED_QUOTE,
            f'the quotation mark that opens {f"column {column!r}" if column else "a cell"} {what}; write "" for a '
            "quotation mark inside a cell, or give `cell_lines` if cells span lines",
            column,
        )
