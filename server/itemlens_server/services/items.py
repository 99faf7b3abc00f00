"""The caller's items: checks, replacement of stored items, and merging with them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from itemlens_server.engine.encoder import Modality
from itemlens_server.engine.modalities import MODALITIES, modality_of_field
from itemlens_server.errors import InvalidArgument, ItemlensError, Warning, quoted
from itemlens_server.services.encoding import Content
from itemlens_server.services.limits import check_id
from itemlens_server.storage.records import Document, NewItem, StoredInput, StoredItem

# The most characters of an item's texts, attributes and relations as JSON, and the most levels of its attributes: a
# stored item must fit into a reply, and protobuf reads at most 100 levels.
MAX_DOCUMENT = 4 << 20
MAX_DEPTH = 30


@dataclass(frozen=True)
class WriteOutcome:
    """The result of one item or event of a write."""

    id: str
    error: ItemlensError | None = None
    warnings: tuple[Warning, ...] = ()
    # Of an update: the item's sequence number; 0 if there is no item.
    sequence: int = 0


@dataclass(frozen=True)
class ItemInput:
    """An item from the caller."""

    item_id: str
    contents: Sequence[Content]
    attributes: Mapping[str, Any]
    relations: Sequence[tuple[str, str]]


def check(item: ItemInput, merge: bool, max_per_item: int) -> None:
    """Check an item from the caller. max_per_item: limit of contents in a channel that can have several.

    Raises:
        InvalidArgument: the item is invalid; the message says why.
    """
    check_id(item.item_id, "item_id")
    if not item.contents and not merge:
        raise _no_contents()
    check_facts(item.attributes)
    counts: dict[str, int] = {}
    for n, content in enumerate(item.contents):
        counts[content.channel] = counts.get(content.channel, 0) + 1
        modality = modality_of_field(content.field)
        if modality and counts[content.channel] > (limit := modality.max_per_item(max_per_item)):
            what = f"one {modality.field}" if limit == 1 else f"{limit} {modality.plural}"
            raise InvalidArgument(
                f"channel {quoted(content.channel)} takes at most {what} per item", f"contents[{n}]"
            )
    for n, (kind, other) in enumerate(item.relations):
        check_id(other, f"relations[{n}].item_id")
        if not kind:
            raise InvalidArgument("a relation needs a type", f"relations[{n}].type")


def check_whole(item: NewItem, modalities: Mapping[str, Modality], max_per_item: int) -> None:
    """Check an item after merging, before it is stored. `modalities` are by channel."""
    if not item.inputs:
        raise _no_contents()
    counts = Counter(i.channel for i in item.inputs)
    channel, count = counts.most_common(1)[0]
    if channel in modalities and count > (limit := modalities[channel].max_per_item(max_per_item)):
        raise InvalidArgument(
            f"the item would have {count} {modalities[channel].plural} in channel {channel!r}, the limit is "
            f"{limit}; replace the item instead of merging", "contents",
        )  # fmt: skip
    check_size(item.document.dump())


def check_size(document: str) -> None:
    """Check the document of an item as it is to be stored.

    Raises:
        InvalidArgument: it is too long.
    """
    if len(document) > MAX_DOCUMENT:
        raise InvalidArgument(
            f"texts, attributes and relations of the item have {len(document)} characters, the limit is {MAX_DOCUMENT}"
        )


def replacing(item: ItemInput, inputs: tuple[StoredInput, ...]) -> NewItem:
    """The item to store, replacing a stored one."""
    texts = {c.channel: c.value for c in item.contents if isinstance(c.value, str)}
    return NewItem(item.item_id, Document(texts, dict(item.attributes), tuple(item.relations)), inputs)


def merged(item: ItemInput, inputs: tuple[StoredInput, ...], old: StoredItem | None) -> NewItem:
    """The item merged with the stored one: pictures and relations added, texts, vectors and attributes set where
    given."""
    new = replacing(item, inputs)
    if old is None:
        return new
    texts = {**old.document.texts, **new.document.texts}
    relations = tuple(dict.fromkeys([*old.document.relations, *new.document.relations]))
    document = Document(texts, {**old.document.attributes, **new.document.attributes}, relations)
    single = {c.channel for c in item.contents if (m := modality_of_field(c.field)) and not m.several}
    # A picture that the item already has is not added again.
    together = {(i.channel, i.digest): i for i in old.inputs if i.channel not in single}
    together.update({(i.channel, i.digest): i for i in new.inputs})
    return NewItem(new.item_id, document, tuple(together.values()))


def _no_contents() -> InvalidArgument:
    kinds = " or ".join(modality.field for modality in MODALITIES.values())
    return InvalidArgument(f"the item has no contents; give at least one {kinds}", "contents")


def check_facts(value: object, depth: int = 0) -> None:
    """Check attributes.

    Raises:
        InvalidArgument: a reply cannot hold them.
    """
    if depth > MAX_DEPTH:
        raise InvalidArgument(f"attributes are nested more than {MAX_DEPTH} deep; flatten them", "attributes")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidArgument("attributes contain NaN or infinity; leave them out", "attributes")
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            check_facts(entry, depth + 1)
