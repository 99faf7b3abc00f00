"""Mapping files: they say how the rows of a user's files become items and events.

    collection: films
    items:
      file: films.csv                       # jsonl, csv, tsv or parquet, by its ending or `format`
      delimiter: ";"                        # and encoding, skip_lines, columns: see RowFile
      id: "film-{id}"                       # templates name columns in braces
      texts:
        text: ["{title}.", "{genres}"]      # channel: template or list; one with an empty column is left out
      pictures:
        image: {path: "posters/{id}.jpg"}   # or {column: poster} for a column of bytes
      external:
        tower: {column: embedding, version: "3"}  # vectors of your own model, for a channel of kind EXTERNAL
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
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias, TypeVar

from pydantic import Field, PrivateAttr, ValidationError

from itemlens import AttributeType, Event, Item, Picture
from itemlens_datasets.fields import (
    Attribute,
    Column,
    ExternalSource,
    PictureSource,
    RelationSource,
    Template,
    Templates,
    Time,
    TypeRules,
    columns_in,
    filled,
    needed,
    number,
)
from itemlens_datasets.files import RowFile
from itemlens_datasets.joins import JoiningFile
from itemlens_datasets.rows import BadRow, Cells, MappingError, Note, Row, RowError, did_you_mean
from itemlens_datasets.schema import Document, Keys, Model

T = TypeVar("T")
OnBadRow: TypeAlias = Callable[[BadRow], None]
"""Called with each row that cannot be used."""
OnNote: TypeAlias = Callable[[Note], None]
"""Called with each remark on rows that can be used."""


class Items(JoiningFile):
    """The file of items."""

    id: Template = Field(description="the item's id")
    texts: dict[str, Templates] = Field(
        {},
        description="texts by channel: pieces that are joined by a space; a piece with an empty column is left out",
    )
    pictures: dict[str, PictureSource] = Field({}, description="pictures by channel")
    external: dict[str, ExternalSource] = Field({}, description="vectors of your own, by channel")
    attributes: dict[str, Attribute] = Field({}, description="attributes by name; an empty cell sets none")
    relations: list[RelationSource] = Field([], description="relations to other items")
    merge: bool = Field(False, description="add to stored items instead of replacing them")
    join_rows: int = Field(1, ge=1, description="most consecutive rows with one id that become one item")

    def uses(self) -> Iterator[tuple[Keys, list[str]]]:
        yield ("id",), columns_in([self.id])
        yield from ((("texts", channel), columns_in(given)) for channel, given in self.texts.items())
        yield from ((("pictures", channel), given.columns()) for channel, given in self.pictures.items())
        yield from ((("external", channel), [given.column]) for channel, given in self.external.items())
        yield from ((("attributes", name), [given.column]) for name, given in self.attributes.items())
        yield from ((("relations", n, "id"), columns_in([r.id])) for n, r in enumerate(self.relations))

    def item(self, cells: Cells, folder: Path) -> Item:
        """A row's item. RowError if the row is not valid."""
        texts = {
            channel: " ".join(piece for template in templates if (piece := filled(template, cells)))
            for channel, templates in self.texts.items()
        }
        pictures = {channel: given.read(cells, folder) for channel, given in self.pictures.items()}
        vectors = {channel: given.read(cells) for channel, given in self.external.items()}
        attributes = {name: given.read(cells) for name, given in self.attributes.items()}
        return Item(
            needed(self.id, cells, "id"),
            texts={channel: text for channel, text in texts.items() if text},
            pictures={channel: paths for channel, paths in pictures.items() if paths},
            external={channel: vector for channel, vector in vectors.items() if vector is not None},
            attributes={name: value for name, value in attributes.items() if value is not None},
            relations=[relation for given in self.relations for relation in given.read(cells)],
        )


class Events(RowFile):
    """The file of events."""

    id: Template | None = Field(
        None, description="the event's id, by which it is recorded once; default: a hash of the other fields"
    )
    user: Template = Field(description="the user's id")
    item: Template = Field(description="the item's id")
    type: TypeRules = Field(description="its type, or rules by a column's value")
    time: Time | None = Field(None, description="when it happened; default: when it is uploaded")
    quantity: Column | None = Field(None, description="a column of numbers")
    value: Column | None = Field(None, description="a column of numbers: the value of the whole event")

    def uses(self) -> Iterator[tuple[Keys, list[str]]]:
        yield ("id",), columns_in([self.id] if self.id else [])
        yield ("user",), columns_in([self.user])
        yield ("item",), columns_in([self.item])
        yield ("type", "column"), [self.type.column] if self.type.column else []
        yield ("time", "column"), [self.time.column] if self.time else []
        yield from (((name,), [c]) for name in ("quantity", "value") if (c := getattr(self, name)))

    def event(self, cells: Cells) -> Event | None:
        """A row's event; None if its rule says "ignore". RowError if the row is not valid."""
        type = self.type.read(cells)
        if type is None:
            return None
        user, item = needed(self.user, cells, "user"), needed(self.item, cells, "item")
        time = self.time.read(cells) if self.time else None
        # Without a template the id is a hash of the event's fields, so indexing the same file again adds nothing.
        digest = hashlib.sha256(
            "\0".join((user, item, type, str(time))).encode("utf-8", "surrogatepass")
        ).hexdigest()[:32]
        return Event(
            user,
            item,
            type,
            time,
            quantity=number(cells, self.quantity),
            value=number(cells, self.value),
            event_id=needed(self.id, cells, "id") if self.id else digest,
        )


class Dataset(Model):
    """A mapping file."""

    collection: str = Field("default", description="the collection to fill, unless the command names another")
    items: Items | None = Field(None, description="the file of items")
    events: Events | None = Field(None, description="the file of events")
    _document: Document | None = PrivateAttr(None)

    @classmethod
    def read(cls, file: Path) -> Dataset:
        """Read a mapping file. A MappingError names the file, the line and the path of the wrong key."""
        document = Document(file)
        cure = "write `items:` or `events:` with the `file` of the data and the columns to read"
        if not isinstance(document.value, dict):
            raise MappingError(f"{document.place(())}: this is not a mapping; {cure}")
        try:
            dataset = cls.model_validate(document.value)
        except ValidationError as error:
            raise MappingError(document.explain(error)) from error
        if dataset.items is None and dataset.events is None:
            raise MappingError(f"{document.place(())}: there is nothing to load; {cure}")
        dataset._document = document
        return dataset

    def declared(self) -> dict[str, AttributeType]:
        """The types of attributes that their values do not show to a server."""
        given = self.items.attributes if self.items else {}
        return {name: AttributeType.TIME for name, one in given.items() if one.type == "time"}

    def check(self, folder: Path) -> None:
        """Raise MappingError if a file is missing or lacks a column that the mapping names."""
        for part, file in (("items", self.items), ("events", self.events)):
            with self._placed(part):
                if file is not None:
                    file.open(folder)

    def read_items(self, folder: Path, on_bad: OnBadRow | None = None) -> Iterator[Item]:
        """The items, one by one. A bad row goes to `on_bad`; without `on_bad` it raises MappingError."""
        return (item for _, item in self.items_with_rows(folder, on_bad))

    def read_events(self, folder: Path, on_bad: OnBadRow | None = None) -> Iterator[Event]:
        """The events, one by one. A bad row goes to `on_bad`; without `on_bad` it raises MappingError."""
        return (event for _, event in self.events_with_rows(folder, on_bad))

    def items_with_rows(
        self, folder: Path, on_bad: OnBadRow | None = None, on_note: OnNote = lambda _: None
    ) -> Iterator[tuple[Row, Item]]:
        """The items, each with its first row. `on_note` is told what joined files lack."""
        if (items := self.items) is None:
            return
        entries = self._entries(
            "items", items, folder, lambda cells: items.item(cells, folder), on_bad, on_note
        )
        if items.join_rows == 1:
            yield from entries
            return
        for _, group in itertools.groupby(entries, key=lambda entry: entry[1].item_id):
            while joined := list(itertools.islice(group, items.join_rows)):
                yield joined[0][0], _joined([item for _, item in joined])

    def events_with_rows(self, folder: Path, on_bad: OnBadRow | None = None) -> Iterator[tuple[Row, Event]]:
        """The events, each with its row."""
        if (events := self.events) is not None:
            entries = self._entries("events", events, folder, events.event, on_bad)
            yield from ((row, event) for row, event in entries if event is not None)

    def _entries(
        self,
        part: str,
        file: RowFile,
        folder: Path,
        build: Callable[[Cells], T],
        on_bad: OnBadRow | None,
        on_note: OnNote = lambda _: None,
    ) -> Iterator[tuple[Row, T]]:
        with self._placed(part):
            for row in file.open(folder):
                if isinstance(row, Note):
                    on_note(row)
                    continue
                if isinstance(row, Row):
                    try:
                        entry = build(row.cells)
                    except RowError as error:
                        row = BadRow.of(row.number, row.line, row.cells, error)
                    else:
                        yield row, entry
                        continue
                if on_bad is None:
                    raise MappingError(f"{part}: {row.file or file.file}, {row}")
                on_bad(row)

    @contextmanager
    def _placed(self, part: str) -> Iterator[None]:
        """Add the mapping's file and line to a MappingError about a key."""
        try:
            yield
        except MappingError as error:
            if not error.keys:
                raise
            keys = (part, *error.keys)
            if self._document is None:
                raise MappingError(error.what, keys) from error
            raise MappingError(f"{self._document.place(keys)}: {error.what}") from error


def bundled_mapping(name: str) -> Path:
    """The file of a mapping that comes with the package, such as "grocery"."""
    folder = files("itemlens_datasets") / "mappings"
    names = sorted(
        file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")
    )
    if name not in names:
        raise MappingError(
            f"no mapping file {name}; bundled are {', '.join(names)}{did_you_mean(name, names)}"
        )
    return Path(str(folder / f"{name}.yaml"))


def without_picture(item_id: str, fraction: float, seed: int) -> bool:
    """Whether an item belongs to the `fraction` that loses its pictures. Depends only on the arguments."""
    drawn = hashlib.sha256(f"{seed}:{item_id}".encode()).digest()[:8]
    return int.from_bytes(drawn, "big") / 2**64 < fraction


def _joined(items: list[Item]) -> Item:
    """One item from rows with the same id: later texts, vectors and attributes win; all pictures and relations are
    kept."""
    pictures: dict[str, list[Picture]] = {}
    for item in items:
        assert isinstance(item.pictures, dict)
        for channel, paths in item.pictures.items():
            pictures.setdefault(channel, []).extend(paths)
    return Item(
        items[-1].item_id,
        texts={channel: text for item in items for channel, text in item.texts.items()},
        pictures=pictures,
        external={channel: vector for item in items for channel, vector in item.external.items()},
        attributes={name: value for item in items for name, value in item.attributes.items()},
        relations=[relation for item in items for relation in item.relations],
    )
