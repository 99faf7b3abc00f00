"""What the files said of each item at the last sync, as hashes, in a file beside the mapping."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from itemlens import Collection, ExternalVector, Item, Picture
from itemlens_cli import files

VERSION = 1
# Sequence numbers after a restored backup begin at a later multiple: see `itemlens_server.storage.backup.EPOCH`, which
# a machine that only calls the server does not have.
EPOCH = 1 << 32


@dataclass(frozen=True)
class Seen:
    """Hashes of an item's texts, relations, pictures with vectors (None: not known), and of each attribute by name.
    channels: the names of its texts; empty in a file that does not have them, which is why they are not compared."""

    texts: str
    relations: str
    pictures: str | None
    attributes: Mapping[str, str]
    channels: frozenset[str] = field(default=frozenset(), compare=False)


def seen(item: Item, *, with_pictures: bool = True) -> Seen:
    """Return what a file, or the collection, says of an item. An unreadable picture is unlike all that were stored."""
    assert isinstance(item.pictures, Mapping)
    pictures = None
    if with_pictures:
        pictures = _hash(
            [[channel, [_picture(one) for one in some]] for channel, some in sorted(item.pictures.items())]
            + [[channel, one.version, _vector(one)] for channel, one in sorted(item.external.items())]
        )
    return Seen(
        _hash(sorted(item.texts.items())),
        _hash(sorted([r.type, r.item_id] for r in item.relations)),
        pictures,
        {name: _hash(value) for name, value in item.attributes.items()},
        _channels(*item.texts),
    )


@lru_cache
def _channels(*names: str) -> frozenset[str]:
    """One object for all items with these channels."""
    return frozenset(names)


class State:
    """The file of what was seen. seen: by item id; empty if the file cannot be used, and `unused` says why."""

    def __init__(self, path: Path, collection: Collection) -> None:
        self.path, self.seen, self.unused = path, dict[str, Seen](), ""
        try:
            with path.open(encoding="utf-8") as lines:
                about = json.loads(next(lines))
                if about["version"] != VERSION or about["collection"] != _identity(collection):
                    self.unused = "is of another collection or version"
                elif not _follows(collection.sequence_number, about["sequence_number"]):
                    self.unused = "is of before the collection was restored from a backup"
                else:
                    self.seen = dict(map(_entry, lines))
        except FileNotFoundError:
            self.unused = "is not there yet"
        except (OSError, ValueError, KeyError, TypeError, StopIteration):
            self.unused = "cannot be read"

    def save(self, seen: Mapping[str, Seen], collection: Collection) -> None:
        """Replace the file.

        Raises:
            FailedPrecondition: it cannot be written.
        """
        about = {
            "version": VERSION,
            "collection": _identity(collection),
            "sequence_number": collection.sequence_number,
        }
        with files.new_file(self.path) as out:
            out.write(json.dumps(about, ensure_ascii=False) + "\n")
            for item_id, one in seen.items():
                line = [item_id, one.texts, one.relations, one.pictures, one.attributes, sorted(one.channels)]
                out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def _entry(line: str) -> tuple[str, Seen]:
    item_id, texts, relations, pictures, attributes, *channels = json.loads(line)
    return item_id, Seen(
        texts, relations, pictures, attributes, _channels(*(channels[0] if channels else ()))
    )


def _identity(collection: Collection) -> list[str]:
    return [collection.name, collection.create_time.isoformat()]


def _follows(now: int, then: int) -> bool:
    """Return whether a collection at a sequence number has what it had at an earlier one."""
    return now >= then and now // EPOCH == then // EPOCH


def _picture(picture: Picture) -> str:
    if not isinstance(picture, bytes):
        try:
            picture = Path(os.fspath(picture)).read_bytes()
        except OSError:
            return "unreadable"
    return hashlib.blake2b(picture, digest_size=16).hexdigest()


def _vector(vector: ExternalVector) -> str:
    return hashlib.blake2b(np.asarray(vector.values, "<f4").tobytes(), digest_size=16).hexdigest()


def _hash(value: Any) -> str:
    if isinstance(value, Iterable) and not value:
        return ""
    # A server returns whole numbers as 1.0.
    text = json.dumps(_plain(value), ensure_ascii=True, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


NOTHING = seen(Item("", pictures={}))
"""Of an item of which nothing is said."""
DAMAGED = Seen("?", "?", "?", {})
"""Of a damaged item. It is like no other."""
