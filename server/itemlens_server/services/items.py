"""An item as the caller gives it, what must hold of it, and what becomes of it beside one that is stored."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from itemlens_server.engine.encoder import Modality
from itemlens_server.engine.modalities import MODALITIES, modality_of_field
from itemlens_server.errors import FailedPrecondition, InvalidArgument, ItemlensError, Warning, quoted
from itemlens_server.services.encoding import Content
from itemlens_server.services.limits import check_id
from itemlens_server.storage.records import Document, NewItem, StoredInput, StoredItem

# Characters of an item's texts, attributes and relations as JSON, and levels of its attributes: what is stored
# must fit into a reply, and protobuf reads at most 100 levels.
MAX_DOCUMENT = 4 << 20
MAX_DEPTH = 30


@dataclass(frozen=True)
class WriteOutcome:
    """How one item or event went."""

    id: str
    error: ItemlensError | None = None
    warnings: tuple[Warning, ...] = ()


@dataclass(frozen=True)
class ItemInput:
    """An item as the caller gives it."""

    item_id: str
    contents: Sequence[Content]
    attributes: Mapping[str, Any]
    relations: Sequence[tuple[str, str]]


def check(item: ItemInput, merge: bool, max_per_item: int) -> None:
    """What must hold of an item as the caller gives it. max_per_item: contents in one channel, where they may be
    several.

    Raises:
        InvalidArgument: something does not; the message says what.
    """
    check_id(item.item_id, "item_id")
    if not item.contents and not merge:
        raise _no_contents()
    _check_facts(item.attributes)
    counts: dict[str, int] = {}
    for n, content in enumerate(item.contents):
        counts[content.channel] = counts.get(content.channel, 0) + 1
        modality = modality_of_field(content.field)
        if modality and counts[content.channel] > (limit := modality.max_per_item(max_per_item)):
            what = f"one {modality.field}" if limit == 1 else f"{limit} {modality.plural}"
            raise InvalidArgument(
                f"channel {quoted(content.channel)} holds at most {what} of an item", f"contents[{n}]"
            )
    for n, (kind, other) in enumerate(item.relations):
        check_id(other, f"relations[{n}].item_id")
        if not kind:
            raise InvalidArgument("a relation needs a type", f"relations[{n}].type")


def check_whole(item: NewItem, modalities: Mapping[str, Modality], max_per_item: int) -> None:
    """What must hold of an item as it will be stored, with what was merged into it; `modalities` by channel."""
    if not item.inputs:
        raise _no_contents()
    counts = Counter(i.channel for i in item.inputs)
    channel, count = counts.most_common(1)[0]
    if channel in modalities and count > (limit := modalities[channel].max_per_item(max_per_item)):
        raise InvalidArgument(
            f"the item would have {count} {modalities[channel].plural} in channel {channel!r}, the limit is "
            f"{limit}; replace it instead of adding to it", "contents",
        )  # fmt: skip
    size = len(item.document.dump())
    if size > MAX_DOCUMENT:
        raise InvalidArgument(
            f"texts, attributes and relations of the item have {size} characters, the limit is {MAX_DOCUMENT}"
        )
    for i in item.inputs:
        if i.vector is None:
            raise FailedPrecondition(f"the item has no vector in channel {i.channel!r}; send it whole")


def replacing(item: ItemInput, inputs: tuple[StoredInput, ...]) -> NewItem:
    """The item to store in place of whatever is there."""
    texts = {c.channel: c.value for c in item.contents if isinstance(c.value, str)}
    return NewItem(item.item_id, Document(texts, dict(item.attributes), tuple(item.relations)), inputs)


def merged(item: ItemInput, inputs: tuple[StoredInput, ...], old: StoredItem | None) -> NewItem:
    """The item to store, with what is there: pictures and relations added, texts and attributes set where given."""
    new = replacing(item, inputs)
    if old is None:
        return new
    texts = {**old.document.texts, **new.document.texts}
    relations = tuple(dict.fromkeys([*old.document.relations, *new.document.relations]))
    document = Document(texts, {**old.document.attributes, **new.document.attributes}, relations)
    # A picture that is there already is not added a second time.
    together = {(i.channel, i.digest): i for i in old.inputs if i.channel not in new.document.texts}
    together.update({(i.channel, i.digest): i for i in new.inputs})
    return NewItem(new.item_id, document, tuple(together.values()))


def _no_contents() -> InvalidArgument:
    kinds = " or ".join(modality.field for modality in MODALITIES.values())
    return InvalidArgument(f"the item has no contents; give at least one {kinds}", "contents")


def _check_facts(value: object, depth: int = 0) -> None:
    """Raise InvalidArgument for attributes that could not be given back."""
    if depth > MAX_DEPTH:
        raise InvalidArgument(f"attributes are nested more than {MAX_DEPTH} deep", "attributes")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidArgument("attributes hold NaN or infinity", "attributes")
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            _check_facts(entry, depth + 1)
