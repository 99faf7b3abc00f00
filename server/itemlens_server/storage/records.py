"""What the store holds, as values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]


def content_hash(data: bytes) -> bytes:
    """Identity of a text's or picture's bytes: 16 bytes."""
    return hashlib.blake2b(data, digest_size=16).digest()


@dataclass(frozen=True)
class CollectionRecord:
    """A collection as it is stored."""

    id: int
    name: str
    space_id: str
    created: float
    sequence: int


@dataclass(frozen=True)
class Document:
    """What an item says: texts by channel, facts, and (type, item id) of its relations."""

    texts: Mapping[str, str]
    attributes: Mapping[str, Any]
    relations: tuple[tuple[str, str], ...]

    def dump(self) -> str:
        """As JSON."""
        value = {"texts": self.texts, "attributes": self.attributes, "relations": self.relations}
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    @staticmethod
    def parse(text: str) -> Document:
        """From what `dump` made."""
        value = json.loads(text)
        return Document(value["texts"], value["attributes"], tuple((t, i) for t, i in value["relations"]))


@dataclass(frozen=True)
class StoredInput:
    """One content of an item, by the hash of it.

    data:       what is kept of it, such as a picture; empty for texts, which the document has, and where not asked for
    needs_data: it relies on the data that the store has of this content already, and is not stored without it
    """

    channel: str
    digest: bytes
    data: bytes = b""
    vector: Array | None = None
    needs_data: bool = False


@dataclass(frozen=True)
class StoredItem:
    """An item as it is stored. label: number of its row, which names it in snapshots and indexes."""

    label: int
    item_id: str
    sequence: int
    document: Document
    inputs: tuple[StoredInput, ...] = ()


@dataclass(frozen=True)
class ItemVectors:
    """The raw vectors of a stored item by channel. whole: none is damaged or lost, and nor is the item's id."""

    label: int
    item_id: str
    vectors: Mapping[str, list[Array]]
    whole: bool


@dataclass(frozen=True)
class NewItem:
    """An item to store. replaces: label of what must be there now (0: nothing), or None to replace whatever is."""

    item_id: str
    document: Document
    inputs: tuple[StoredInput, ...]
    replaces: int | None = None


# Those of EventRecord, in its order.
EVENT_COLUMNS = "event_id, user_id, item_id, type, time, quantity, value, recommendation_id"


@dataclass(frozen=True)
class EventRecord:
    """Something that a user did; `type` is the number of the contract's EventType."""

    event_id: str
    user_id: str
    item_id: str
    type: int
    time: float
    quantity: float = 1.0
    value: float | None = None
    recommendation_id: str = ""


@dataclass(frozen=True)
class Upserted:
    """Outcome of one upsert: the new row's label, and that of the one it replaced (0: none).

    label 0: what it builds on was changed meanwhile, and it was not stored.
    """

    label: int
    old_label: int
    sequence: int
