"""Drafts of mapping files, from the heads of a user's files. What is unsure is said in comments."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from itemlens_datasets.files import RowFile
from itemlens_datasets.rows import MappingError, Row, is_empty
from itemlens_datasets.schema import Keys

HEAD = 1000
"""Rows that are looked at."""
_LONG = 60
"""Characters from which a text is rather a description than a value."""
_NO_TEMPLATE = ".[]{}!:"
"""Characters that the name of a column in a template cannot have. Such columns are left out."""
_FEW = 0.3
"""Share of different values up to which a column is rather a property than a name."""

# What columns are often called, best first, in a few languages. Names are compared in small letters, with _ between
# words.
NAMES: dict[str, tuple[str, ...]] = {
    "id": (
        "item_id", "product_id", "sku", "article_id", "id", "article", "article_number", "artikelnummer", "artikel",
        "code", "handle", "ean", "gtin", "referencia", "reference", "货号", "商品编号", "编号",
    ),
    "title": (
        "title", "name", "product_name", "product_title", "titel", "bezeichnung", "nom", "titre", "nombre", "titulo",
        "标题", "名称", "商品名称",
    ),
    "description": (
        "description", "long_description", "desc", "body", "text", "details", "beschreibung", "descripcion", "描述",
        "详情",
    ),
    "picture": ("image", "picture", "photo", "image_file", "image_path", "bild", "foto", "imagen", "图片"),
    "price": ("price", "sale_price", "unit_price", "preis", "prix", "precio", "价格"),
    "stock": ("stock", "quantity", "qty", "inventory", "available", "bestand", "lager", "existencias", "库存"),
    "brand": ("brand", "manufacturer", "vendor", "marke", "hersteller", "marque", "marca", "品牌"),
    "category": (
        "category", "categories", "product_type", "department", "kategorie", "categorie", "categoria", "分类",
    ),
    "group": ("group_id", "parent_id", "parent_sku", "parent", "model", "style", "modell", "group", "款号"),
}  # fmt: skip


class _File(RowFile):
    """A file of which all columns are read."""

    def uses(self) -> Iterator[tuple[Keys, list[str]]]:
        yield from ()


@dataclass
class Head:
    """The first rows of a file. settings: how to read it, as far as that is not the default."""

    path: Path
    columns: list[str]
    rows: list[dict[str, Any]]
    settings: dict[str, str] = field(default_factory=dict)

    def values(self, column: str) -> list[Any]:
        """The values of a column that are not empty."""
        return [value for row in self.rows if not is_empty(value := row.get(column))]

    def role(self, what: str, of: Iterable[str]) -> str:
        """The column that is called as `what` is often called; empty if there is none."""
        known = {_plain(column): column for column in of}
        return next((known[name] for name in NAMES[what] if name in known), "")

    def key(self) -> tuple[str, str]:
        """The column of the id, and why that is unsure; empty if it is not."""
        unique = [
            column
            for column in self.columns
            if (values := self.values(column)) and len(values) == len(self.rows) == len(set(map(str, values)))
        ]
        named = self.role("id", unique) or next(
            (c for c in unique if _plain(c).endswith(("_id", "_no", "_nr"))), ""
        )
        if named:
            return named, ""
        if known := self.role("id", self.columns):
            return known, "not every row has a value of its own here"
        return (unique or self.columns)[0], "no column is called like an id"


def read_head(path: Path) -> Head:
    """Read the first rows of a file, with the encoding and the delimiter that fit it.

    Raises:
        MappingError: the file cannot be read, or has no rows.
    """
    settings: dict[str, str] = {}
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        start = _start(path)
        if start is not None:
            text, encoding = _decoded(start)
            delimiter = _delimiter(text)
            settings |= {"encoding": encoding} if encoding != "utf-8" else {}
            settings |= {"format": "csv"} if path.suffix.lower() == ".txt" else {}
            settings |= (
                {"delimiter": delimiter}
                if delimiter != ("\t" if path.suffix.lower() == ".tsv" else ",")
                else {}
            )
    file = _File.model_validate({"file": path.name, **settings})
    names, read = file._opened(path.parent, _Everything())
    rows = [row.cells for row in islice(read, HEAD) if isinstance(row, Row)]
    if not rows:
        raise MappingError(f"{path} has no rows that can be read; a mapping needs some to be drafted from")
    found = names or list(dict.fromkeys(name for cells in rows for name in cells))
    columns = [
        name
        for name in found
        if found.count(name) == 1 and not set(name) & set(_NO_TEMPLATE) and name.strip()
    ]
    if not columns:
        raise MappingError(
            f"{path} has no column with a usable name: give it a line of names, without {_NO_TEMPLATE}"
        )
    return Head(path, columns, rows, settings)


def draft(paths: Sequence[Path], collection: str = "") -> str:
    """Return a mapping file for a file of items and files that are joined to it, as YAML with comments.

    Raises:
        MappingError: a file cannot be read, or has no rows.
    """
    main, *others = map(read_head, paths)
    key, doubt = main.key()
    lines = [f"collection: {json.dumps(collection or _name(main.path))}", "items:", *_file(main, "  ")]
    lines.append(f"  id: {_template(key)}{f'  # unsure: {doubt}' if doubt else ''}")
    taken = {key}
    columns: list[tuple[str, list[Any]]] = [(c, main.values(c)) for c in main.columns]
    if others:
        lines.append("  join:")
        for other in others:
            lines += _joined(other, main, key, columns)
    named = dict(columns)
    title, description = main.role("title", named), main.role("description", named)
    long = [c for c, values in columns if c not in (title, description, key) and _is_prose(values)]
    pieces = [f"{{{title}}}." if description or long else f"{{{title}}}"] if title else []
    pieces += [f"{{{c}}}" for c in (description, *long) if c]
    if pieces:
        lines += ["  texts:", f"    text: {json.dumps(pieces, ensure_ascii=False)}"]
    else:
        lines += [
            "  # texts: no column looks like a title or a description",
            '  # texts: {text: ["{title}."]}',
        ]
    taken.update(c for c in (description, *long) if c)
    lines += _pictures(main, named, taken)
    lines += _vectors(columns, taken)
    roles = {
        main.role(what, named): what for what in ("title", "price", "stock", "brand", "category", "group")
    }
    given = [_attribute(c, values, roles.get(c, "")) for c, values in columns if c not in taken]
    lines += ["  attributes:", *(f"    {line}" for line in given)] if given else []
    return "\n".join(lines) + "\n"


def _joined(other: Head, main: Head, key: str, columns: list[tuple[str, list[Any]]]) -> Iterator[str]:
    """Yield the lines of a joined file, and add its columns to those that are there."""
    ids = set(map(str, main.values(key)))
    shares = {c: len(ids.intersection(map(str, other.values(c)))) / len(ids or {""}) for c in other.columns}
    own = max(other.columns, key=lambda c: (shares[c], c == key))
    first, *rest = _file(other, "      ")
    yield f"    - {first.strip()}"
    yield from rest
    unsure = "" if shares[own] else f"  # unsure: no value of {main.path.name} is in its first rows"
    yield f"      key: {_template(own)}{unsure}"
    if own != key:
        yield f"      matches: {_template(key)}"
    known = {name for name, _ in columns}
    added = [c for c in other.columns if c != own]
    prefix = f"{_plain(other.path.stem)}_" if known.intersection(added) else ""
    if prefix:
        yield f"      prefix: {json.dumps(prefix, ensure_ascii=False)}"
    columns += [(f"{prefix}{c}", other.values(c)) for c in added]


def _file(head: Head, indent: str) -> list[str]:
    settings = {"file": head.path.name, **head.settings}
    return [f"{indent}{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in settings.items()]


def _pictures(main: Head, named: dict[str, list[Any]], taken: set[str]) -> Iterator[str]:
    column = main.role("picture", named) or next(
        (c for c, values in named.items() if values and all(isinstance(v, bytes) for v in values)), ""
    )
    if not column:
        return
    taken.add(column)
    value = next(iter(named[column]), "")
    if isinstance(value, bytes):
        yield from ("  pictures:", f"    image: {{column: {_plain_or_quoted(column)}}}")
    elif str(value).startswith(("http://", "https://")):
        yield f"  # pictures: {column} has addresses; download the files, and give their paths:"
        yield f'  # pictures: {{image: {{path: "photos/{{{main.key()[0]}}}.jpg"}}}}'
    else:
        missing = "" if (main.path.parent / str(value)).is_file() else "  # unsure: there is no such file"
        yield from ("  pictures:", f"    image: {{path: {_template(column)}}}{missing}")


def _vectors(columns: Sequence[tuple[str, list[Any]]], taken: set[str]) -> Iterator[str]:
    """Yield a line for each column of vectors, which is no attribute: only the caller knows its channel and version."""
    for column, values in columns:
        if column not in taken and values and all(map(_is_vector, values)):
            taken.add(column)
            source = f'{{column: {_plain_or_quoted(column)}, version: "..."}}'
            yield f"  # external: {{NAME: {source}}}  # lists of numbers: vectors of your own?"


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 2 and all(type(one) in (int, float) for one in value)


def _attribute(column: str, values: list[Any], role: str) -> str:
    kind, comment = _kind(values)
    name = "group" if role == "group" else column if re.fullmatch(r"\w+", column) else _plain(column)
    notes = [comment] if comment else []
    if role == "group":
        notes.append("variants of one product? then ask with group_by")
    if role == "stock":
        notes.append(f"in stock: the filter `{name} > 0`")
    said = f"  # {'; '.join(notes)}" if notes else ""
    source = _plain_or_quoted(column)
    if kind:
        source = f"{{column: {source}, {kind}}}"
    return f"{_plain_or_quoted(name)}: {source}{said}"


def _kind(values: list[Any]) -> tuple[str, str]:
    """Return the keys that convert the values of a column, and a comment if that is unsure."""
    texts = [value.strip() for value in values if isinstance(value, str)]
    if not values:
        return "", "unsure: it is empty in the first rows"
    if len(texts) < len(values):
        return "", ""  # JSON and Parquet have types
    if all(re.fullmatch(r"-?\d+", t) for t in texts):
        if any(re.fullmatch(r"-?0\d+", t) or len(t.lstrip("-")) > 15 for t in texts):
            return "type: str", "digits, but no number: it has zeros in front, or too many"
        if set(texts) <= {"0", "1"}:
            return "type: bool", "unsure: 0 and 1 only; int if it is a number"
        return "type: int", ""
    if all(re.fullmatch(r"-?\d+(\.\d+)?", t) for t in texts):
        return "type: float", ""
    if all(re.fullmatch(r"-?[\d.]+(,\d+)?", t) for t in texts) and any("," in t for t in texts):
        return 'type: float, decimal: ","', ""
    if {t.lower() for t in texts} <= {"true", "false", "yes", "no"}:
        return "type: bool", ""
    if all(_is_time(t) for t in texts):
        return "type: time", ""
    for mark in "|;":
        if sum(mark in t for t in texts) > len(texts) / 4:
            return f'type: strings, split: "{mark}"', ""
    return "", ""


def _is_time(text: str) -> bool:
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            if read(text) and "-" in text:
                return True
        except ValueError:
            continue
    return False


def _is_prose(values: list[Any]) -> bool:
    texts = [value for value in values if isinstance(value, str)]
    return bool(texts) and sum(map(len, texts)) / len(texts) > _LONG and len(set(texts)) > _FEW * len(texts)


def _start(path: Path) -> bytes | None:
    """The first bytes of a file; None if it cannot be read, which is told when it is opened."""
    try:
        with path.open("rb") as file:
            return file.read(1 << 18)
    except OSError:
        return None


def _decoded(start: bytes) -> tuple[str, str]:
    """The text of a file's start, and its encoding."""
    # The end may be in the middle of a character.
    for encoding in ("utf-8", "cp1252"):
        try:
            return start[: start.rfind(b"\n") + 1 or None].decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return start.decode("latin-1"), "latin-1"


def _delimiter(text: str) -> str:
    """The mark that gives the same number of cells, and most of them, in the first records."""

    def cells(mark: str) -> int:
        try:
            counts = [
                len(row) for row in islice(csv.reader(text.splitlines()[:20], delimiter=mark), 10) if row
            ]
        except csv.Error:
            return 0
        return counts[0] if counts and counts.count(counts[0]) > len(counts) / 2 else 0

    return max(",;\t|", key=cells)


class _Everything(set[str]):
    """A set that has all names."""

    def __contains__(self, name: object) -> bool:
        return True


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def _name(path: Path) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", path.parent.resolve().name.lower()).strip("-")[:64] or "shop"


def _template(column: str) -> str:
    return json.dumps(f"{{{column}}}", ensure_ascii=False)


def _plain_or_quoted(name: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_]\w*", name) and name.lower() not in (
        "yes",
        "no",
        "on",
        "off",
        "true",
        "false",
        "null",
    )
    return name if plain else json.dumps(name, ensure_ascii=False)
