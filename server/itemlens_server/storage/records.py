"""What the store holds, as values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
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


def contents_of(inputs: Sequence[StoredInput]) -> list[tuple[str, bytes]]:
    """(channel, hash) of inputs, by channel: two items with the same ones have the same vectors."""
    return sorted(((i.channel, i.digest) for i in inputs), key=lambda content: content[0])


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
    """An item to store in place of whatever is there.

    keeps: label of the row that it may keep, which is served with its vectors; 0: it gets a new one in any case.
    """

    item_id: str
    document: Document
    inputs: tuple[StoredInput, ...]
    keeps: int = 0


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
    """Outcome of one upsert: the label of the item's row, and that of the row it had (0: none).

    Both are the same where its contents are. label 0: data that it relies on is gone, and it was not stored.
    """

    label: int
    old_label: int
    sequence: int
