"""CSV and TSV: rows of cells, where a broken row costs no other row."""

from __future__ import annotations

import csv
import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Literal

from itemlens_datasets.lines import check_text
from itemlens_datasets.rows import BadRow, MappingError, Reason, Row, RowError

CELL_LINES = 100
"""Lines that a quoted cell may span unless a mapping says otherwise."""

# The module's own limit of 131,072 characters a cell protects nothing here: the line is in memory by then.
csv.field_size_limit(2**31 - 1)


class Delimited:
    """The records of a CSV or TSV file.

    An unclosed quotation mark makes the lines behind it one cell. So a cell that is not closed within
    `cell_lines` lines, or that is made of lines which all look like rows, makes a bad row, and reading goes on
    with the next line.
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
        self._again: deque[str] = deque()  # lines that a broken record had taken
        self._delimiter, self._quoted = delimiter, quoted
        self._cell_lines = cell_lines or CELL_LINES
        # Who says how many lines a cell may have expects such cells, even some that look like rows.
        self._doubt_rows_in_cells = cell_lines is None

    def names(self) -> list[str]:
        """The cells of the first record, which are the names of the columns. MappingError if it is broken."""
        first = self._next_line()
        try:
            return self._record([first], []) if first else []
        except RowError as error:
            raise MappingError(f"the line with the names of the columns: {error}") from error

    def rows(self, names: list[str]) -> Iterator[Row | BadRow]:
        """The records that are left, as rows with these columns."""
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
        """Read all lines but the first again, as records of their own."""
        self._number -= len(taken) - 1
        self._again.extendleft(reversed(taken[1:]))
        del taken[1:]

    def _record(self, taken: list[str], names: list[str]) -> list[str]:
        """The cells of the record that begins with the line in `taken`, where its further lines are put.

        Without names any number of cells is right. RowError if the record is broken.
        """
        unclosed = False

        def feed() -> Iterator[str]:
            nonlocal unclosed
            yield taken[0]
            while len(taken) < self._cell_lines and (line := self._take()) is not None:
                taken.append(line)
                yield line
            unclosed = True  # the reader asks for more lines only inside a quoted cell

        # One reader a record: after an error a reader would go on in the middle of a cell.
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
                what = f"is closed {lines - 1} lines below, with text behind it"
                raise self._unclosed(taken[0], names, what) from error
            raise RowError(
                Reason.TEXT_AFTER_QUOTE,
                'text follows the quotation mark that closes a cell; write "" for a quotation mark inside a cell',
            ) from error
        ragged = bool(names) and len(cells) != len(names)
        if len(taken) > 1 and self._look_like_rows(taken[:-1] if ragged else taken, len(names)):
            self._keep_first(taken)
            raise self._unclosed(taken[0], names, "is followed by lines that look like rows of their own")
        for line in taken:
            check_text(line)
        if ragged:
            raise RowError(Reason.CELL_COUNT, f"{len(cells)} cells, but {len(names)} columns")
        return cells

    def _look_like_rows(self, lines: list[str], columns: int) -> bool:
        """Whether each line is a whole row if quotation marks are letters.

        Prose has a space behind a comma, rows have none.
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
