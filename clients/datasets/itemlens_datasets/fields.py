"""The fields of a mapping file: templates over columns, and how a cell becomes a value."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from itemlens import EventType, ExternalVector, Picture, Relation
from itemlens_datasets.files import as_list
from itemlens_datasets.rows import Cells, Reason, RowError, Scalar, is_empty
from itemlens_datasets.schema import Model, or_text

MAX_EXACT_INTEGER = 2**53
"""Attributes are stored as JSON numbers, which are float64. Larger whole numbers would be rounded."""


@lru_cache(maxsize=1024)  # each row asks again
def columns_of(template: str) -> tuple[str, ...]:
    """The columns that a template names."""
    return tuple(name for _, name, _, _ in Formatter().parse(template) if name is not None)


def _checked(template: str) -> str:
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{template!r} has an unmatched brace; write {{{{ for a literal one") from error
    for _, name, spec, conversion in pieces:
        if name is not None and (not name or spec or conversion or set(name) & set(".[")):
            raise ValueError(f"a template holds plain column names in braces, not {{{name}...}}")
    return template


def _names_a_column(given: str | list[str]) -> str | list[str]:
    """ValueError for a value without a column: it is a column name whose braces are missing."""
    if not columns_in(as_list(given)):
        first = as_list(given)[0] if given else ""
        raise ValueError(
            f'{first!r} names no column, so every row would get the same value; write "{{{first or "column"}}}"'
        )
    return given


def _without_braces(column: str) -> str:
    if column.startswith("{") and column.endswith("}"):
        raise ValueError(f"write the column's name without braces: {column[1:-1]}")
    return column


_Piece = Annotated[str, AfterValidator(_checked)]
Column = Annotated[str, AfterValidator(_without_braces)]
Template = Annotated[_Piece, AfterValidator(_names_a_column)]
"""Text with columns in braces, at least one."""
Templates = Annotated[
    list[_Piece],
    BeforeValidator(as_list, json_schema_input_type=list[str] | str),
    AfterValidator(_names_a_column),
]
"""One template or several."""


def filled(template: str, cells: Cells) -> str:
    """The template with a row's values; "" if one of its columns is empty. RowError if one holds bytes."""
    values = {name: cells.get(name) for name in columns_of(template)}
    for name, value in values.items():
        if isinstance(value, bytes):
            raise _bad_value(name, value, "text, but bytes")
    return "" if any(is_empty(value) for value in values.values()) else template.format(**values).strip()


def columns_in(templates: list[str]) -> list[str]:
    """The columns that templates name."""
    return [column for template in templates for column in columns_of(template)]


def needed(template: str, cells: Cells, what: str) -> str:
    """The template with a row's values; RowError if that is empty."""
    if not (value := filled(template, cells)):
        columns = columns_of(template)
        empty = next((column for column in columns if is_empty(cells.get(column))), columns[0])
        raise RowError(Reason.EMPTY, f"the {what} is empty", empty)
    return value


def number(cells: Cells, column: str | None) -> float | None:
    """A column's number; None if the cell is empty."""
    value: Any = cells.get(column) if column else None
    if column is None or is_empty(value):
        return None
    try:
        read = float(value)
    except (TypeError, ValueError, OverflowError):
        read = math.nan
    if not math.isfinite(read):
        raise _bad_value(column, value, "a number")
    return read


def _bad_value(column: str, value: Any, wanted: str) -> RowError:
    shown = f"{value[:40]!r}..." if isinstance(value, str | bytes) and len(value) > 40 else repr(value)[:60]
    return RowError(Reason.BAD_VALUE, f"column {column!r}: {shown} is not {wanted}", column)


def _time(value: Any, column: str) -> str:
    """A day, or a time with its zone, in ISO 8601. RowError if it is neither."""
    if not isinstance(value, date):
        try:
            text = str(value).strip()
            value = (
                date.fromisoformat(text) if len(text) <= len("2026-01-01") else datetime.fromisoformat(text)
            )
        except ValueError:
            raise _bad_value(column, value, "a day or time in ISO 8601, such as 2026-03-31") from None
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return str(value.isoformat())


class PictureSource(Model):
    """Where an item's pictures are: files by path, or bytes in a column."""

    path: Templates | None = Field(
        None, description="paths of files in the data folder; an empty one is no picture"
    )
    column: Column | None = Field(None, description="a column of bytes, in Parquet")

    @model_validator(mode="after")
    def _one_of_two(self) -> PictureSource:
        if (self.path is None) == (self.column is None):
            raise ValueError("give either path or column")
        return self

    def columns(self) -> list[str]:
        return [self.column] if self.column is not None else columns_in(self.path or [])

    def read(self, cells: Cells, folder: Path) -> list[Picture]:
        if self.column is None:
            return [folder / path for template in self.path or [] if (path := filled(template, cells))]
        value: Any = cells.get(self.column)
        pictures = [] if is_empty(value) else as_list(value)
        for picture in pictures:
            if not isinstance(picture, bytes):
                wanted = f'bytes; for files give `path: "{{{self.column}}}"` instead of `column`'
                raise _bad_value(self.column, picture, wanted)
        return pictures


class ExternalSource(Model):
    """Where an item's own vector is, for a channel of kind EXTERNAL."""

    column: Column = Field(
        description="a column of lists of numbers; in a csv or tsv, their text: [0.1, -0.2]"
    )
    version: str = Field(min_length=1, description="what made the vectors: the channel's version")

    def read(self, cells: Cells) -> ExternalVector | None:
        """Return the vector; None if the cell is empty. RowError if it is no list of numbers."""
        value: Any = cells.get(self.column)
        if is_empty(value):
            return None
        try:
            return own_vector(json.loads(value) if isinstance(value, str) else value, self.version)
        except (ValueError, RecursionError):
            raise _bad_value(self.column, value, "a list of numbers") from None


def own_vector(values: Any, version: str) -> ExternalVector:
    """Return a vector from a list of numbers. ValueError if it is none."""
    if not isinstance(values, list) or not values or not all(type(v) in (int, float) for v in values):
        raise ValueError("not a list of numbers")
    try:
        with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite, which the server refuses
            return ExternalVector(np.asarray(values, np.float64).astype(np.float32), version)
    except OverflowError:
        raise ValueError("a whole number beyond float64") from None


class Attribute(Model):
    """A column that is stored as an attribute. A name alone is the column's name."""

    model_config = ConfigDict(json_schema_extra=or_text)

    column: Column = Field(description="the column's name")
    type: Literal["str", "int", "float", "bool", "time", "strings"] | None = Field(
        None,
        description="converts the text of a csv or tsv; `time`: a day or a time in ISO 8601, without a zone UTC; "
        "`strings`: a list of texts; default: the value as it is",
    )
    split: str = Field("|", min_length=1, description="separator of a text of several `strings`")
    decimal: Literal[".", ","] = Field(
        ".", description="decimal point of numbers; with a comma, points are left out"
    )

    @model_validator(mode="before")
    @classmethod
    def _column_alone(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    def read(self, cells: Cells) -> Any:
        value = cells.get(self.column)
        if is_empty(value):
            return None
        if self.decimal == "," and isinstance(value, str):
            value = value.replace(".", "").replace(",", ".")
        match self.type:
            case "str":
                return str(value)
            case "bool":
                return self._bool(value)
            case "float":
                return number({self.column: value}, self.column)
            case "time":
                return _time(value, self.column)
            case "strings":
                texts = value if isinstance(value, list) else str(value).split(self.split)
                return [text for one in texts if (text := str(one).strip())]
            case "int":
                value = self._int(value)
        if isinstance(value, int) and abs(value) > MAX_EXACT_INTEGER:
            cure = f"{{column: {self.column}, type: str}}"
            raise RowError(
                Reason.INEXACT_NUMBER,
                f"column {self.column!r}: {value} is above 2^53 and would be rounded; keep it as text with {cure}",
                self.column,
            )
        if isinstance(value, bytes):
            raise _bad_value(self.column, value, "an attribute, but bytes; leave the column out")
        return value

    def _int(self, value: Any) -> int:
        try:
            read = int(value)
        except (TypeError, ValueError, OverflowError):
            read = None
        if read is None or (isinstance(value, float) and read != value):
            raise _bad_value(self.column, value, "a whole number")
        return read

    def _bool(self, value: Any) -> bool:
        match str(value).strip().lower():
            case "true" | "1" | "1.0" | "yes":
                return True
            case "false" | "0" | "0.0" | "no":
                return False
        raise _bad_value(self.column, value, "true or false, yes or no, 1 or 0")


class RelationSource(Model):
    """Relations to other items. `split` is the separator of a value that holds several ids."""

    type: str = Field(description="your name of the relation")
    id: Template = Field(description="id of the other item, or ids")
    split: str | None = Field(None, description="separator of several ids")

    def read(self, cells: Cells) -> list[Relation]:
        value = filled(self.id, cells)
        return (
            [Relation(self.type, id.strip()) for id in value.split(self.split or None) if id.strip()]
            if self.split
            else [Relation(self.type, value)]
            if value
            else []
        )


class TypeRule(Model):
    """One rule for an event's type. A rule without a condition fits every row. "ignore" skips the row."""

    type: EventType | Literal["ignore"] = Field(description="the event's type; `ignore` drops the row")
    at_least: float | None = Field(None, description="fits numbers from this one on")
    equals: Scalar | None = Field(None, description="fits this value")

    def fits(self, cells: Cells, column: str) -> bool:
        if self.at_least is not None and ((value := number(cells, column)) is None or value < self.at_least):
            return False
        return self.equals is None or str(cells.get(column)) == str(self.equals)


class TypeRules(Model):
    """An event's type: always the same, or by a column's value. The first rule that fits is applied."""

    model_config = ConfigDict(json_schema_extra=or_text)

    column: Column | None = Field(None, description="the column that rules test")
    rules: list[TypeRule] = Field(min_length=1, description="the first rule that fits decides")

    @model_validator(mode="before")
    @classmethod
    def _type_alone(cls, value: Any) -> Any:
        return {"rules": [{"type": value}]} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _column_for_conditions(self) -> TypeRules:
        if self.column is None and any(r.at_least is not None or r.equals is not None for r in self.rules):
            raise ValueError("give the `column` that the rules test")
        return self

    def read(self, cells: Cells) -> EventType | None:
        """The type; None for a row to ignore. RowError if no rule fits."""
        for rule in self.rules:
            if rule.fits(cells, self.column or ""):
                return None if rule.type == "ignore" else rule.type
        raise RowError(
            Reason.NO_RULE,
            f"no rule fits column {self.column!r}: {cells.get(self.column or '')!r}; add a rule, or "
            "{type: ignore} at the end for rows that are not events",
            self.column or "",
        )


class Time(Model):
    """An event's time: seconds or milliseconds since 1970, or ISO 8601. A time without a zone is UTC."""

    column: Column = Field(description="the column's name")
    unit: Literal["seconds", "milliseconds", "iso"] = Field("iso", description="since 1970, or ISO 8601")

    def read(self, cells: Cells) -> datetime | None:
        value = cells.get(self.column)
        if is_empty(value):
            return None
        if self.unit == "iso":
            try:
                time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
            except ValueError:
                wanted = "a time in ISO 8601; for numbers give `unit`: seconds or milliseconds"
                raise _bad_value(self.column, value, wanted) from None
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        seconds = number(cells, self.column) or 0.0
        try:
            return datetime.fromtimestamp(seconds / 1000 if self.unit == "milliseconds" else seconds, UTC)
        except (ValueError, OverflowError, OSError):
            wanted = f"a time between the years 1 and 9999 in {self.unit}"
            raise _bad_value(self.column, value, wanted) from None
