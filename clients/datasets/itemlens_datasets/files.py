"""A mapping's file of rows: its path, its format, and the filter on its rows."""

from __future__ import annotations

import io
import itertools
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from itemlens_datasets.delimited import CELL_LINES, Delimited
from itemlens_datasets.json_lines import json_rows
from itemlens_datasets.lines import read_lines
from itemlens_datasets.parquet import Parquet
from itemlens_datasets.rows import BadRow, Cells, MappingError, Note, Row, Scalar, did_you_mean
from itemlens_datasets.schema import Keys, Model

Format: TypeAlias = Literal["jsonl", "csv", "tsv", "parquet"]

_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_PEEK = 1000
_SHOWN_NAMES = 20


def as_list(value: Any) -> Any:
    """The value if it is a list, else a list with the value."""
    return value if isinstance(value, list) else [value]


def _known_encoding(name: str) -> str:
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=name)
    except LookupError:
        raise ValueError(
            f"{name!r} is not a text encoding; write utf-8, cp1252, latin-1, utf-16, shift_jis ..."
        ) from None
    return name


def _usable_delimiter(text: str) -> str:
    if len(text) != 1 or text in '"\r\n\0':
        tab = '; write a tab as "\\t", in double quotation marks' if text == "\\t" else ""
        raise ValueError(f"{text!r} is not a single character that can separate cells{tab}")
    return text


class RowFile(Model):
    """A file of rows with named columns."""

    file: Path = Field(description="relative to the data folder")
    format: Format | None = Field(None, description="default: by the file's ending")
    delimiter: Annotated[str, AfterValidator(_usable_delimiter)] | None = Field(
        None, description="separator of cells in csv and tsv; default: a comma, or a tab for tsv"
    )
    encoding: Annotated[str, AfterValidator(_known_encoding)] = Field(
        "utf-8", description="of csv, tsv and jsonl; a byte order mark in the file takes precedence"
    )
    cell_lines: int | None = Field(
        None,
        ge=1,
        description=f"most lines in a quoted cell of a csv; default: {CELL_LINES}, and a cell whose lines "
        "all look like rows is an error",
    )
    columns: list[str] | None = Field(None, description="names for csv and tsv; default: the first line")
    skip_lines: int = Field(
        0, ge=0, description="lines of csv and tsv to skip before the first row, or before the names"
    )
    empty: list[Scalar] = Field([], description="values that mean an empty cell, such as n/a")
    where: dict[
        str, Annotated[list[Scalar], BeforeValidator(as_list, json_schema_input_type=list[Scalar] | Scalar)]
    ] = Field({}, description="keep only rows with these values")

    @model_validator(mode="after")
    def _fits_the_format(self) -> RowFile:
        text, table = ("jsonl", "csv", "tsv"), ("csv", "tsv")
        options = {
            "encoding": text, "delimiter": table, "columns": table, "skip_lines": table, "cell_lines": ("csv",),
        }  # fmt: skip
        format = self.format or _ENDINGS.get(self.file.suffix.lower())
        for name, formats in options.items():
            if format and name in self.model_fields_set and format not in formats:
                raise ValueError(f"{name} is only for {' and '.join(formats)}; {self.file} is {format}")
        twice = [name for name, count in Counter(self.columns or []).items() if count > 1]
        if twice:
            raise ValueError(f"columns names {twice[0]!r} twice")
        return self

    @abstractmethod
    def uses(self) -> Iterator[tuple[Keys, list[str]]]:
        """(place in the mapping, columns it needs) for each field that names columns."""

    def open(self, folder: Path) -> Iterator[Row | BadRow | Note]:
        """Open the file and check its columns. Return the rows, read one by one, that `where` keeps.

        MappingError, now or while reading: the file cannot be read, or lacks a column that the mapping names.
        """
        uses = self._all_uses()
        names, rows = self._opened(folder, {name for _, columns in uses for name in columns})
        if names is not None:
            self._check_columns(uses, names)
        return rows

    def paths(self) -> list[Path]:
        """The files that are read."""
        return [self.file]

    def _all_uses(self) -> list[tuple[Keys, list[str]]]:
        return [*self.uses(), (("where",), list(self.where))]

    def _opened(self, folder: Path, needed: set[str]) -> tuple[list[str] | None, Iterator[Row | BadRow]]:
        """The column names, None if no row has any, and the rows that `where` keeps, with the needed columns."""
        path = folder / self.file
        with _as_mapping_error(path):
            path.open("rb").close()  # lines are read later
            names, rows = self._read(path, needed)
        return names, self._kept(path, rows)

    def count(self, folder: Path) -> int | None:
        """The approximate number of rows; None if that is expensive to find."""
        path = folder / self.file
        if self.where or not path.is_file():
            return None
        if self._format() == "parquet":
            return Parquet(path).count
        with path.open("rb") as file:
            lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        header = self.columns is None and self._format() != "jsonl"
        return max(lines - self.skip_lines - header, 0)

    def _format(self) -> Format:
        format = self.format or _ENDINGS.get(self.file.suffix.lower())
        if format is None:
            raise MappingError(
                f"the ending of {self.file} is not a known format; give `format`: jsonl, csv, tsv or parquet "
                "(save a spreadsheet as csv, unpack an archive first)",
                ("file",),
            )
        return format

    def _read(self, path: Path, needed: set[str]) -> tuple[list[str] | None, Iterable[Row | BadRow]]:
        """The column names, None if no row has any, and the rows."""
        match self._format():
            case "parquet":
                file = Parquet(path)
                return file.names, file.rows(needed)
            case "jsonl":
                rows = json_rows(read_lines(path, self.encoding))
                # An object may omit keys, so the columns are the keys of all the first rows together.
                first = list(itertools.islice(rows, _PEEK))
                objects = [row.cells for row in first if isinstance(row, Row)]
                names = list(dict.fromkeys(name for cells in objects for name in cells))
                return names if objects else None, itertools.chain(first, rows)
            case table:
                # A tsv has no quoting: a title may begin with a quotation mark.
                delimited = Delimited(
                    read_lines(path, self.encoding),
                    delimiter=self.delimiter or ("\t" if table == "tsv" else ","),
                    quoted=table == "csv",
                    cell_lines=self.cell_lines,
                    skip_lines=self.skip_lines,
                )
                names = self.columns or delimited.names()
                if not names:
                    raise MappingError(f"{self.file} is empty: it has no line with the names of its columns")
                return names, delimited.rows(names)

    def _check_columns(self, uses: Iterable[tuple[Keys, list[str]]], names: list[str]) -> None:
        """Raise MappingError if a column that the mapping names is missing, or there twice."""
        file = " with ".join(map(str, self.paths()))
        for keys, columns in uses:
            for column in columns:
                found = names.count(column)
                if found > 1:
                    cure = "rename one, or name all with `columns` and `skip_lines: 1`"
                    raise MappingError(f"{file} has {found} columns {column!r}; {cure}", keys)
                if found == 0:
                    raise MappingError(_no_column(file, column, names), keys)

    def _kept(self, path: Path, rows: Iterable[Row | BadRow]) -> Iterator[Row | BadRow]:
        with _as_mapping_error(path):
            for row in rows:
                if isinstance(row, BadRow):
                    yield row
                elif self._keeps(row.cells):
                    yield row._replace(cells=self._emptied(row.cells)) if self.empty else row

    def _keeps(self, cells: Cells) -> bool:
        # Compared as text: a csv holds only text, and a 1 in YAML must match its "1".
        return all(str(cells.get(name)) in map(str, values) for name, values in self.where.items())

    def _emptied(self, cells: Cells) -> Cells:
        return {name: None if value in self.empty else value for name, value in cells.items()}


def _no_column(file: str, column: str, names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    hint = did_you_mean(column, names)
    other = next((mark for mark in ";\t|," if len(names) == 1 and mark in names[0]), None)
    if other is not None:
        hint = f'; is it separated by {other!r}? then give `delimiter: "{other}"`'.replace("\t", "\\t")
    return f"{file} has no column {column!r}; it has {', '.join(names[:_SHOWN_NAMES])}{more}{hint}"


@contextmanager
def _as_mapping_error(path: Path) -> Iterator[None]:
    """Turn whatever reading a file raises into a MappingError that names the file."""
    try:
        yield
    except MappingError as error:
        raise MappingError(error.what, error.keys or ("file",)) from error
    except FileNotFoundError as error:
        near = did_you_mean(path.name, [p.name for p in path.parent.glob(f"*{path.suffix}")])
        raise MappingError(
            f"no file {path}{near or '; name the folder of the data with --data'}", ("file",)
        ) from error
    except OSError as error:
        raise MappingError(f"cannot read {path}: {error.strerror or error}", ("file",)) from error
    except ValueError as error:
        raise MappingError(f"cannot read {path}: {error}", ("file",)) from error
