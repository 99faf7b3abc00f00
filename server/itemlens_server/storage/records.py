"""The records of the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from itemlens_server.errors import DataLoss
from itemlens_server.storage.collection_settings import CollectionSettings

Array = np.ndarray[Any, np.dtype[np.float32]]
# Documents have no cycles: they come from messages.
_JSON = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))


def content_hash(data: bytes) -> bytes:
    """Return the hash of a text's or picture's bytes: 16 bytes."""
    return hashlib.blake2b(data, digest_size=16).digest()


@dataclass(frozen=True)
class CollectionRecord:
    """A stored collection."""

    id: int
    name: str
    space_id: str
    created: float
    sequence: int
    settings: CollectionSettings = field(default_factory=CollectionSettings)


@dataclass(frozen=True)
class Document:
    """The document of an item: texts by channel, attributes, and (type, item id) of its relations."""

    texts: Mapping[str, str]
    attributes: Mapping[str, Any]
    relations: tuple[tuple[str, str], ...]

    def dump(self) -> str:
        """Return the document as JSON."""
        return _JSON.encode({"texts": self.texts, "attributes": self.attributes, "relations": self.relations})

    @staticmethod
    def parse(text: str) -> Document:
        """Return the document of a JSON text from `dump`."""
        value = json.loads(text)
        return Document(value["texts"], value["attributes"], tuple((t, i) for t, i in value["relations"]))


@dataclass(frozen=True)
class StoredInput:
    """One content of an item, identified by its hash.

    data:       stored bytes, such as a picture; empty for texts, which are in the document, and if not requested
    needs_data: the input uses the data that the store already has of this content; without it, it is not stored
    """

    channel: str
    digest: bytes
    data: bytes = b""
    vector: Array | None = None
    needs_data: bool = False


def contents_of(inputs: Sequence[StoredInput]) -> list[tuple[str, bytes]]:
    """Return (channel, hash) of inputs, ordered by channel. Items with equal lists have equal vectors."""
    return sorted(((i.channel, i.digest) for i in inputs), key=lambda content: content[0])


@dataclass(frozen=True)
class StoredItem:
    """A stored item. label: number of its row, which identifies it in snapshots and indexes."""

    label: int
    item_id: str
    sequence: int
    document: Document
    inputs: tuple[StoredInput, ...] = ()


@dataclass(frozen=True)
class DescribedItem:
    """A stored item without its contents. text: its document as it is stored."""

    label: int
    item_id: str
    sequence: int
    document: Document
    text: str


@dataclass(frozen=True)
class DamagedItem:
    """An item whose document cannot be read."""

    label: int
    item_id: str
    sequence: int
    error: DataLoss


@dataclass(frozen=True)
class ItemVectors:
    """The raw vectors of a stored item by channel. whole: no vector is damaged or lost, nor is the item's id.

    texts, attributes: those of its document, if they were asked for and are not damaged
    """

    label: int
    item_id: str
    vectors: Mapping[str, list[Array]]
    whole: bool
    attributes: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NewItem:
    """An item to store, replacing any item with its id.

    keeps: label of the row that it may keep, which is served with its vectors; 0: it always gets a new row.
    """

    item_id: str
    document: Document
    inputs: tuple[StoredInput, ...]
    keeps: int = 0


# The columns of EventRecord, in its order.
EVENT_COLUMNS = (
    "event_id, user_id, item_id, type, time, quantity, value, recommendation_id, order_id, own_type, held"
)


# Types of events that keep their own time within an order: what was shown, returned or rejected is no part of a basket.
OF_NO_BASKET = (1, 6, 7)


@dataclass(frozen=True)
class EventRecord:
    """Something that a user did.

    type:     number of the contract's EventType, or of an own type of the collection
    own_type: name of the own type, if it is of one
    held:     it does not count
    """

    event_id: str
    user_id: str
    item_id: str
    type: int
    time: float
    quantity: float = 1.0
    value: float | None = None
    recommendation_id: str = ""
    order_id: str = ""
    own_type: str = ""
    held: bool = False


@dataclass(frozen=True)
class Upserted:
    """Outcome of one upsert: the label of the item's row, and that of its previous row (0: none).

    Both are equal if its contents did not change. label 0: data that it needs is gone, and it was not stored.
    """

    label: int
    old_label: int
    sequence: int
