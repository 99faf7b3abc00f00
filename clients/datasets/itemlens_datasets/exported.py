"""Files of items as `itemlens items export` writes them and `itemlens index` reads them: an object on each line.

    {"item_id": "boots", "texts": {"text": "Hiking boots"}, "attributes": {"price": 149},
     "relations": [{"type": "goes_with", "item_id": "socks"}], "pictures": {"image": ["shop.pictures/5f0c.webp"]}}

Paths of pictures are relative to the file. Vectors of the caller's own are
`"external": {"tower": {"version": "3", "values": [0.1, -0.2]}}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from itemlens import ExternalVector, Item, Relation
from itemlens_datasets.fields import Template, needed, own_vector
from itemlens_datasets.mapping import Dataset, Items
from itemlens_datasets.rows import Cells, Reason, RowError
from itemlens_datasets.schema import Keys

ENDINGS = (".jsonl", ".ndjson")


def item_object(item: Item, pictures: Mapping[str, Sequence[str]] | None) -> dict[str, Any]:
    """Return an item as an object of such a file. pictures: paths by channel; None: they are not in the export, nor are
    vectors."""
    given: dict[str, Any] = {"item_id": item.item_id, "texts": dict(item.texts)}
    given["attributes"] = dict(item.attributes)
    given["relations"] = [{"type": r.type, "item_id": r.item_id} for r in item.relations]
    if pictures is None:
        return given
    given["pictures"] = {channel: list(paths) for channel, paths in pictures.items()}
    if item.external:
        given["external"] = {
            c: {"version": v.version, "values": _values(v)} for c, v in item.external.items()
        }
    return given


def _values(vector: ExternalVector) -> list[float]:
    # The shortest decimal that is the same float32.
    return [float(str(value)) for value in np.asarray(vector.values, np.float32)]


class ExportedItems(Items):
    """A file of such lines."""

    id: Template = "{item_id}"

    def uses(self) -> Iterator[tuple[Keys, list[str]]]:
        yield ("file",), ["item_id"]

    def item(self, cells: Cells, folder: Path) -> Item:
        """A line's item. RowError if the line is not valid."""
        pictures = _part(cells, "pictures", dict)
        if not all(
            isinstance(paths, list) and all(isinstance(p, str) for p in paths) for paths in pictures.values()
        ):
            raise RowError(Reason.BAD_VALUE, 'pictures must be {"channel": ["path", ...]}', "pictures")
        relations = _part(cells, "relations", list)
        if not all(isinstance(r, dict) and r.keys() == {"type", "item_id"} for r in relations):
            raise RowError(Reason.BAD_VALUE, 'relations must be [{"type": ..., "item_id": ...}]', "relations")
        return Item(
            needed(self.id, cells, "item_id"),
            texts=_part(cells, "texts", dict),
            pictures={channel: [folder / path for path in paths] for channel, paths in pictures.items()},
            external={channel: _vector(one) for channel, one in _part(cells, "external", dict).items()},
            attributes=_part(cells, "attributes", dict),
            relations=[Relation(r["type"], r["item_id"]) for r in relations],
        )


def exported(file: Path) -> Dataset:
    """Return the dataset of such a file. If its first line has no `pictures`, stored items keep theirs: the items are
    merged into them."""
    return Dataset(items=ExportedItems(file=file.resolve(), merge=not _has_pictures(file)))


def _has_pictures(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8-sig") as lines:
            first = json.loads(next(lines, "{}"))
    except (OSError, ValueError, RecursionError):  # told when the file is read
        return True
    return isinstance(first, dict) and (not first or "pictures" in first)


def _vector(given: Any) -> ExternalVector:
    try:
        return own_vector(given["values"], given["version"])
    except (KeyError, TypeError, ValueError):
        wanted = 'external must be {"channel": {"version": "...", "values": [number, ...]}}'
        raise RowError(Reason.BAD_VALUE, wanted, "external") from None


def _part(cells: Cells, name: str, kind: type[Any]) -> Any:
    value = cells.get(name)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        what = "an object" if kind is dict else "a list"
        raise RowError(Reason.BAD_VALUE, f"{name} is {type(value).__name__}, not {what}", name)
    return value
