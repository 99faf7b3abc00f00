"""Files that are joined to the file of items by a key, such as stock and prices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

from itemlens_datasets.fields import Template, columns_in, filled, needed
from itemlens_datasets.files import RowFile, as_list
from itemlens_datasets.rows import BadRow, Cells, MappingError, Note, Reason, Row, RowError
from itemlens_datasets.schema import Keys

Table: TypeAlias = dict[str, Cells]
Rows: TypeAlias = Iterator[Row | BadRow]
_JOIN: Keys = ("join",)


class JoinedFile(RowFile):
    """A file with one row for each key. Its columns are added to the rows of items with that key. It is held in
    memory."""

    key: Template = Field(description="the key of its rows")
    matches: Template | None = Field(
        None, description="the same key in columns of the file of items; default: as `key`"
    )
    prefix: str = Field(
        "", description="put before the names of its columns, where other files have them too"
    )

    def uses(self) -> Iterator[tuple[Keys, list[str]]]:
        yield ("key",), columns_in([self.key])

    def join(self, folder: Path, columns: set[str]) -> tuple[list[str], Rows]:
        """Open it, for these columns of the joined rows. Return the names of those that it adds, and its own rows."""
        uses = self._all_uses()
        own = {name.removeprefix(self.prefix) for name in columns if name.startswith(self.prefix)}
        names, rows = self._opened(folder, own.union(*(used for _, used in uses)))
        if names is None:
            return [], rows
        self._check_columns(uses, names)
        return [f"{self.prefix}{name}" for name in names if self._adds(name)], rows

    def fill(self, table: Table, rows: Rows, columns: set[str]) -> Iterator[BadRow | Note]:
        """Fill `table` with the cells of these columns by key. Yield what is wrong with rows."""
        for row in rows:
            if isinstance(row, BadRow):
                yield replace(row, file=self.file)
                continue
            try:
                key = needed(self.key, row.cells, "key")
            except RowError as error:
                yield replace(BadRow.of(row.number, row.line, row.cells, error), file=self.file)
                continue
            if key in table:
                told = f"{self.file}: the key {key!r} of an earlier row; this row replaces it"
                yield Note(Reason.REPEATED_KEY, row.number, told)
            named = {f"{self.prefix}{name}": value for name, value in row.cells.items() if self._adds(name)}
            table[key] = {name: value for name, value in named.items() if name in columns}

    def _adds(self, name: str) -> bool:
        """Whether a column is added to the rows. The file of items often has the key under the same name."""
        return bool(self.prefix) or name not in columns_in([self.key])


class JoiningFile(RowFile):
    """A file whose rows get further columns from others."""

    join: Annotated[
        list[JoinedFile], BeforeValidator(as_list, json_schema_input_type=list[JoinedFile] | JoinedFile)
    ] = Field([], description="files whose columns are added to the rows, by a key")

    def paths(self) -> list[Path]:
        """The files that are read."""
        return [self.file, *(other.file for other in self.join)]

    def open(self, folder: Path) -> Iterator[Row | BadRow | Note]:
        """Open all files and check their columns. Return the rows, read one by one, with the columns of all.

        MappingError, now or while reading: a file cannot be read, lacks a column, or has one that another has.
        """
        if not self.join:
            return super().open(folder)
        uses = self._all_uses()
        columns = {name for _, used in uses for name in used}
        matches = [
            ((*_JOIN, n, "matches"), columns_in([other.matches or other.key]))
            for n, other in enumerate(self.join)
        ]
        own, rows = self._opened(folder, columns.union(*(used for _, used in matches)))
        names, owner = list(own or ()), dict.fromkeys(own or (), self.file)
        joins: list[_Join] = []
        for n, other in enumerate(self.join):
            with _placed(n):
                added, other_rows = other.join(folder, columns)
                for name in sorted(columns.intersection(added)):
                    if name in owner:
                        raise MappingError(
                            f"{owner[name]} and {other.file} both have a column {name!r}; give the latter a `prefix`, "
                            f'such as "{other.file.stem}_", and name its columns so'
                        )
            names += [name for name in added if name not in owner]
            owner |= dict.fromkeys(added, other.file)
            joins.append(_Join(n, other, other_rows))
        if own is not None:
            self._check_columns([*matches, (("where",), list(self.where))], own)
            self._check_columns(self.uses(), names)
        return self._joined(rows, joins, columns)

    def _joined(self, rows: Rows, joins: Sequence[_Join], columns: set[str]) -> Iterator[Row | BadRow | Note]:
        for one in joins:
            with _placed(one.number):
                yield from one.file.fill(one.table, one.rows, columns)
        for row in rows:
            if isinstance(row, BadRow):
                yield row
                continue
            cells = dict(row.cells)
            try:
                keys = [filled(one.file.matches or one.file.key, row.cells) for one in joins]
            except RowError as error:
                yield BadRow.of(row.number, row.line, row.cells, error)
                continue
            for one, key in zip(joins, keys, strict=True):
                if (found := one.table.get(key)) is not None:
                    cells |= found
                    one.used.add(key)
                else:
                    told = f"{one.file.file} has no row with the key {key!r}; what it would add is left out"
                    yield Note(Reason.NO_MATCH, row.number, told)
            yield row._replace(cells=cells)
        for one in joins:
            for key in (key for key in one.table if key not in one.used):
                yield Note(
                    Reason.NO_ITEM, None, f"{one.file.file}: no row of {self.file} has the key {key!r}"
                )


@dataclass
class _Join:
    """A joined file while it is read. number: its place in the mapping. used: the keys that rows had."""

    number: int
    file: JoinedFile
    rows: Rows
    table: Table = field(default_factory=dict)
    used: set[str] = field(default_factory=set)


@contextmanager
def _placed(number: int) -> Iterator[None]:
    """Add the place of a joined file to a MappingError."""
    try:
        yield
    except MappingError as error:
        raise MappingError(error.what, (*_JOIN, number, *error.keys)) from error
