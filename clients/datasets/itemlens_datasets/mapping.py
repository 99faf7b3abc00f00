"""Mapping files: how the rows of somebody's files become items and events.

    collection: films
    items:
      file: films.csv                       # jsonl, csv, tsv or parquet, by its ending or `format`
      id: "film-{id}"                       # templates name columns in braces
      texts:
        text: ["{title}.", "{genres}"]      # channel: template, or pieces; one that names an empty column is left out
      pictures:
        image: {path: "posters/{id}.jpg"}   # or {column: poster} for a column of bytes
      attributes: {year: {column: year, type: int}, country: country}
      relations:
        - {type: sequel_of, id: "{sequels}", split: "|"}
    events:
      file: ratings.tsv
      id: "{user}-{film}"                   # the same row gives the same id, so that indexing twice changes nothing
      user: "{user}"
      item: "film-{film}"
      type: {column: rating, rules: [{at_least: 4, type: purchase}, {type: view}]}
      time: {column: when, unit: seconds}

Files are read row by row and never held in memory.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import Field, ValidationError

from itemlens import Event, EventType, Item, Picture
from itemlens_datasets.fields import (
    Attribute,
    Model,
    PictureSource,
    RelationSource,
    Template,
    Time,
    TypeRules,
    columns_in,
    columns_of,
    each,
    filled,
    needed,
    number,
)
from itemlens_datasets.rows import MappingError, Row, RowFile, is_empty

T = TypeVar("T")


class Items(RowFile):
    """The file of items."""

    id: Template
    texts: dict[str, Template | list[Template]] = Field({})
    pictures: dict[str, PictureSource] = Field({})
    attributes: dict[str, str | Attribute] = Field({})
    relations: list[RelationSource] = Field([])
    merge: bool = Field(False, description="add to stored items instead of replacing them")
    join_rows: int = Field(
        1, ge=1, description="at most so many rows that follow each other with one id are one item"
    )

    def uses(self) -> Iterator[tuple[str, list[str]]]:
        yield "id", columns_of(self.id)
        yield from ((f"texts.{channel}", columns_in(given)) for channel, given in self.texts.items())
        yield from ((f"pictures.{channel}", given.columns()) for channel, given in self.pictures.items())
        yield from (
            (f"attributes.{name}", [_attribute(given).column]) for name, given in self.attributes.items()
        )
        yield from ((f"relations.{n}.id", columns_of(given.id)) for n, given in enumerate(self.relations))

    def item(self, row: Row, folder: Path) -> Item:
        """A row's item."""
        texts = {
            channel: " ".join(piece for template in each(given) if (piece := filled(template, row)))
            for channel, given in self.texts.items()
        }
        pictures = {channel: given.read(row, folder) for channel, given in self.pictures.items()}
        attributes = {name: _attribute(given).read(row) for name, given in self.attributes.items()}
        return Item(
            needed(self.id, row, "id"),
            texts={channel: text for channel, text in texts.items() if text},
            pictures={channel: paths for channel, paths in pictures.items() if paths},
            attributes={name: value for name, value in attributes.items() if not is_empty(value)},
            relations=[relation for given in self.relations for relation in given.read(row)],
        )


class Events(RowFile):
    """The file of events."""

    id: Template | None = None
    user: Template
    item: Template
    type: EventType | TypeRules
    time: Time | None = None
    quantity: str | None = None
    value: str | None = None

    def uses(self) -> Iterator[tuple[str, list[str]]]:
        yield "id", columns_of(self.id or "")
        yield "user", columns_of(self.user)
        yield "item", columns_of(self.item)
        yield "type.column", [self.type.column] if isinstance(self.type, TypeRules) else []
        yield "time.column", [self.time.column] if self.time else []
        yield from ((name, [c]) for name in ("quantity", "value") if (c := getattr(self, name)))

    def event(self, row: Row) -> Event | None:
        """A row's event; None where no rule gives it a type."""
        type = self.type.read(row) if isinstance(self.type, TypeRules) else self.type
        if type is None:
            return None
        user, item = needed(self.user, row, "user"), needed(self.item, row, "item")
        time = self.time.read(row) if self.time else None
        # Without a template the id is a hash of what the event says: indexing the same file again adds nothing.
        said = hashlib.sha256("\0".join((user, item, type, str(time))).encode()).hexdigest()[:32]
        return Event(
            user,
            item,
            type,
            time,
            quantity=number(row, self.quantity),
            value=number(row, self.value),
            event_id=needed(self.id, row, "id") if self.id else said,
        )


class Dataset(Model):
    """A mapping file."""

    collection: str = Field("default", description="the collection to fill, unless the command names another")
    items: Items | None = None
    events: Events | None = None

    @classmethod
    def read(cls, file: Path) -> Dataset:
        """Read a mapping file. MappingError names what is wrong, by its path in the file."""
        try:
            return cls.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
        except (OSError, yaml.YAMLError) as error:
            raise MappingError(f"cannot read mapping {file}: {error}") from error
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
            raise MappingError(f"mapping {file.name}: {told}") from error

    def read_items(self, folder: Path, on_error: Callable[[str], None] | None = None) -> Iterator[Item]:
        """The items, one by one. A row that makes none goes to `on_error`, or is a MappingError."""
        if (items := self.items) is None:
            return
        read = _each_row(items, "items", folder, lambda row: items.item(row, folder), on_error)
        if items.join_rows == 1:
            yield from read
            return
        for _, group in itertools.groupby(read, key=lambda item: item.item_id):
            while rows := list(itertools.islice(group, items.join_rows)):
                yield _joined(rows)

    def read_events(self, folder: Path, on_error: Callable[[str], None] | None = None) -> Iterator[Event]:
        """The events, one by one. A row that makes none goes to `on_error`, or is a MappingError."""
        if (events := self.events) is not None:
            read = _each_row(events, "events", folder, events.event, on_error)
            yield from (event for event in read if event is not None)


def without_picture(item_id: str, fraction: float, seed: int) -> bool:
    """Whether an item is of the `fraction` that is to lose its pictures. Depends on nothing but the arguments."""
    drawn = hashlib.sha256(f"{seed}:{item_id}".encode()).digest()[:8]
    return int.from_bytes(drawn, "big") / 2**64 < fraction


def _each_row(
    file: RowFile, place: str, folder: Path, build: Callable[[Row], T], on_error: Callable[[str], None] | None
) -> Iterator[T]:
    for at, row in file.rows(folder, place):
        try:
            entry = build(row)
        except (ValueError, TypeError) as error:
            told = f"{place}: {file.file}, row {at}: {error}"
            if on_error is None:
                raise MappingError(told) from error
            on_error(told)
        else:
            yield entry


def _joined(items: list[Item]) -> Item:
    """One item of rows with the same id: the last row's facts, everybody's pictures and relations."""
    pictures: dict[str, list[Picture]] = {}
    for item in items:
        assert isinstance(item.pictures, dict)
        for channel, paths in item.pictures.items():
            pictures.setdefault(channel, []).extend(paths)
    return Item(
        items[-1].item_id,
        texts={channel: text for item in items for channel, text in item.texts.items()},
        pictures=pictures,
        attributes={name: value for item in items for name, value in item.attributes.items()},
        relations=[relation for item in items for relation in item.relations],
    )


def _attribute(given: str | Attribute) -> Attribute:
    return Attribute(column=given) if isinstance(given, str) else given
