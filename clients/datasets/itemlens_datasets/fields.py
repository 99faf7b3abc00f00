"""What a mapping file says of one field: templates over columns, and what a cell becomes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from itemlens import EventType, Picture, Relation
from itemlens_datasets.rows import Row, Scalar, is_empty


def columns_of(template: str) -> list[str]:
    """The columns that a template names."""
    return [name for _, name, _, _ in Formatter().parse(template) if name is not None]


def _checked(template: str) -> str:
    for _, name, spec, conversion in Formatter().parse(template):  # ValueError on a lone brace
        if name is not None and (not name or spec or conversion or set(name) & set(".[")):
            raise ValueError(f"a template holds plain column names in braces, not {{{name}...}}")
    return template


Template = Annotated[str, AfterValidator(_checked)]


def filled(template: str, row: Row) -> str:
    """The template with a row's values; "" if one of its columns is empty."""
    values = {name: row.get(name) for name in columns_of(template)}
    return "" if any(is_empty(value) for value in values.values()) else template.format(**values).strip()


def each(templates: str | list[str]) -> list[str]:
    """A template or several, as a list."""
    return [templates] if isinstance(templates, str) else templates


def columns_in(templates: str | list[str]) -> list[str]:
    """The columns that a template or several name."""
    return [column for template in each(templates) for column in columns_of(template)]


def needed(template: str, row: Row, what: str) -> str:
    """The template with a row's values; ValueError if that is empty."""
    if not (value := filled(template, row)):
        raise ValueError(f"the {what} is empty")
    return value


def number(row: Row, column: str | None) -> float | None:
    """A column's number; None if the cell is empty."""
    value: Any = row.get(column) if column else None
    if is_empty(value):
        return None
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {column!r}: {value!r} is no number") from error


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PictureSource(Model):
    """Where an item's pictures are: files by path, or bytes in a column."""

    path: Template | list[Template] = ""
    column: str | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> PictureSource:
        if bool(self.path) == (self.column is not None):
            raise ValueError("give either path or column")
        return self

    def columns(self) -> list[str]:
        return [self.column] if self.column is not None else columns_in(self.path)

    def read(self, row: Row, folder: Path) -> list[Picture]:
        if self.column is not None:
            value: Any = row.get(self.column)
            return [] if is_empty(value) else value if isinstance(value, list) else [value]
        return [folder / path for template in each(self.path) if (path := filled(template, row))]


class Attribute(Model):
    """A column that is kept as a fact; `type` turns the text of a csv or tsv into a number."""

    column: str
    type: Literal["str", "int", "float", "bool"] | None = None

    def read(self, row: Row) -> Any:
        value = row.get(self.column)
        if is_empty(value) or self.type is None:
            return value
        if self.type == "bool":
            return str(value).strip().lower() in ("true", "1", "yes")
        try:
            return {"str": str, "int": int, "float": float}[self.type](value)
        except ValueError as error:
            raise ValueError(f"column {self.column!r}: {value!r} is no {self.type}") from error


class RelationSource(Model):
    """Links to other items; `split` makes several of one value."""

    type: str
    id: Template
    split: str | None = None

    def read(self, row: Row) -> list[Relation]:
        value = filled(self.id, row)
        return (
            [Relation(self.type, id.strip()) for id in value.split(self.split or None) if id.strip()]
            if self.split
            else [Relation(self.type, value)]
            if value
            else []
        )


class TypeRule(Model):
    """One case of an event's type; without a condition it fits everything."""

    type: EventType
    at_least: float | None = None
    equals: Scalar | None = None

    def fits(self, row: Row, column: str) -> bool:
        if self.at_least is not None and ((value := number(row, column)) is None or value < self.at_least):
            return False
        return self.equals is None or str(row.get(column)) == str(self.equals)


class TypeRules(Model):
    """An event's type by a column's value: the first rule that fits. A row that fits none is no event."""

    column: str
    rules: list[TypeRule] = Field(min_length=1)

    def read(self, row: Row) -> EventType | None:
        return next((rule.type for rule in self.rules if rule.fits(row, self.column)), None)


class Time(Model):
    """When an event was: seconds or milliseconds since 1970, or ISO 8601; without a zone it is UTC."""

    column: str
    unit: Literal["seconds", "milliseconds", "iso"] = "iso"

    def read(self, row: Row) -> datetime | None:
        value = row.get(self.column)
        if is_empty(value):
            return None
        if self.unit == "iso":
            time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        seconds = number(row, self.column) or 0.0
        return datetime.fromtimestamp(seconds / 1000 if self.unit == "milliseconds" else seconds, UTC)
