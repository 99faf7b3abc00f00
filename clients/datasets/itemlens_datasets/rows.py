"""Files of rows, read lazily: JSON lines, CSV, TSV and Parquet."""

from __future__ import annotations

import csv
import itertools
import json
import math
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Row: TypeAlias = dict[str, Any]
Scalar: TypeAlias = str | int | float | bool
Format: TypeAlias = Literal["jsonl", "csv", "tsv", "parquet"]

_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_PEEK = 1000
_PARQUET_ROWS = 256  # a few MB where rows hold pictures


class MappingError(ValueError):
    """A mapping file, or the data it speaks of, is wrong; the message names the place in it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def is_empty(value: Any) -> bool:
    """Whether a cell says nothing."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


class RowFile(BaseModel):
    """A file of rows with named columns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path = Field(description="relative to the data folder")
    format: Format | None = Field(None, description="default: by the file's ending")
    separator: str | None = Field(
        None, min_length=1, max_length=1, description="default: a comma, or a tab for tsv"
    )
    encoding: str = "utf-8"
    columns: list[str] | None = Field(None, description="names for csv and tsv; default: the first line's")
    skip_lines: int = Field(
        0, ge=0, description="lines of csv and tsv before the first row, or before the names"
    )
    empty: list[Scalar] = Field([], description="values that stand for nothing, such as n/a")
    where: dict[str, Scalar | list[Scalar]] = Field({}, description="keep only rows with these values")

    @abstractmethod
    def uses(self) -> Iterator[tuple[str, list[str]]]:
        """(place in the mapping, columns it needs) for each field that names columns."""

    def rows(self, folder: Path, place: str) -> Iterator[tuple[int, Row]]:
        """(number from 1, row) of each row that `where` keeps.

        MappingError, which begins with `place`: the file cannot be read, or lacks a column that the mapping names.
        """
        uses = [*self.uses(), ("where", list(self.where))]
        try:
            known, rows = self._open(folder / self.file, {name for _, names in uses for name in names})
            for field, name in ((field, name) for field, names in uses for name in names):
                if name not in known:
                    has = f"{self.file} has no column {name!r}; it has {', '.join(known)}"
                    raise MappingError(f"{place}.{field}: {has}")
            for number, row in enumerate(rows, 1):
                if self._keeps(row):
                    yield number, self._emptied(row)
        except FileNotFoundError as error:
            raise MappingError(
                f"{place}.file: no file {folder / self.file}; name the data's folder with --data"
            ) from error
        except MappingError:
            raise
        except (OSError, ValueError, csv.Error) as error:
            raise MappingError(f"{place}.file: cannot read {self.file}: {error}") from error

    def count(self, folder: Path) -> int | None:
        """About how many rows there are, where that is cheap to tell."""
        path = folder / self.file
        if self.where or not path.is_file():
            return None
        if self._format() == "parquet":
            rows: int = _parquet(path).metadata.num_rows
            return rows
        with path.open("rb") as file:
            lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        header = self.columns is None and self._format() != "jsonl"
        return max(lines - self.skip_lines - header, 0)

    def _format(self) -> Format:
        format = self.format or _ENDINGS.get(self.file.suffix.lower())
        if format is None:
            raise MappingError(f"{self.file}: say its format: jsonl, csv, tsv or parquet")
        return format

    def _keeps(self, row: Row) -> bool:
        wanted = (
            (row.get(name), value if isinstance(value, list) else [value])
            for name, value in self.where.items()
        )
        # As text: a csv knows nothing else, and a YAML 1 is meant to find its "1".
        return all(str(cell) in map(str, values) for cell, values in wanted)

    def _emptied(self, row: Row) -> Row:
        if not self.empty:
            return row
        return {name: None if value in self.empty else value for name, value in row.items()}

    def _open(self, path: Path, needed: Collection[str]) -> tuple[list[str], Iterable[Row]]:
        match self._format():
            case "jsonl":
                return _json_lines(path, self.encoding)
            case "parquet":
                file = _parquet(path)
                known: list[str] = file.schema_arrow.names
                batches = file.iter_batches(_PARQUET_ROWS, columns=[name for name in known if name in needed])
                return known, itertools.chain.from_iterable(batch.to_pylist() for batch in batches)
            case kind:
                return self._table(path, tab=kind == "tsv")

    def _table(self, path: Path, *, tab: bool) -> tuple[list[str], Iterable[Row]]:
        lines = _lines(path, self.encoding)
        for _ in range(self.skip_lines):
            next(lines, None)
        separator = self.separator or ("\t" if tab else ",")
        # A tsv does not quote: a title that begins with a quotation mark is a title.
        cells = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE if tab else csv.QUOTE_MINIMAL)
        names = self.columns or next(cells, [])
        return names, (_named(names, row, number) for number, row in enumerate(cells, 1) if row)


def _named(names: list[str], cells: list[str], number: int) -> Row:
    if len(cells) != len(names):
        raise ValueError(f"row {number} has {len(cells)} cells, not {len(names)}")
    return dict(zip(names, cells, strict=True))


def _lines(path: Path, encoding: str) -> Iterator[str]:
    with path.open(encoding=encoding, newline="") as file:
        yield from file


def _json_lines(path: Path, encoding: str) -> tuple[list[str], Iterable[Row]]:
    def parsed() -> Iterator[Row]:
        for number, line in enumerate(_lines(path, encoding), 1):
            if line.strip():
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise ValueError(f"line {number}: {error}") from error
                if not isinstance(row, dict):
                    raise ValueError(f"line {number} is not an object")
                yield row

    # Rows may leave out what they do not have, so the columns are those of any of the first rows.
    rows = parsed()
    first = list(itertools.islice(rows, _PEEK))
    return list(dict.fromkeys(name for row in first for name in row)), itertools.chain(first, rows)


def _parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MappingError("reading parquet needs pyarrow: pip install pyarrow") from error
    return pyarrow.parquet.ParquetFile(path)
