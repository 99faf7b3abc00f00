"""Inputs of calls: items, events, the user side, and vectors, which are results too."""

from __future__ import annotations

import os
import secrets
import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._enums import EventType, Role

Floats: TypeAlias = NDArray[np.float32]

Picture: TypeAlias = bytes | str | os.PathLike[str]
"""An encoded picture (JPEG, PNG, WebP, GIF, BMP or TIFF), or the path of its file. The file is read on sending."""


def new_id() -> str:
    """Return a new unique id: 32 hexadecimal digits, the milliseconds since 1970 first, as in a UUID of version 7."""
    return f"{clock.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


@dataclass(frozen=True, eq=False, repr=False)
class Vector:
    """One vector with its space and role. `np.asarray(vector)` returns the numbers."""

    values: Floats
    """float32, shape (dimension,)."""
    role: Role
    space_id: str
    """Id of the space that made it. Vectors of different spaces are not comparable."""
    channel: str = ""
    """Set for Role.CHANNEL only."""

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        of = f" of channel {self.channel}" if self.channel else ""
        return f"<Vector {self.role.name}{of}, {len(self)} numbers, space {self.space_id}>"


@dataclass(frozen=True, eq=False)
class ExternalVector:
    """A vector of the caller's own, for a channel of ChannelKind.EXTERNAL. Only its direction counts."""

    values: NDArray[Any] | Sequence[float]
    """Numbers, shape (dimension of the channel,). They are sent as float32."""
    version: str
    """What made it. It must be the channel's version."""

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Content:
    """A text, a picture or a vector, with its channel. Set one of the three."""

    channel: str
    text: str | None = None
    picture: Picture | None = None
    vector: ExternalVector | None = None


@dataclass(frozen=True)
class Relation:
    """A directed link to another item. The other item does not have to exist."""

    type: str
    """The caller's name for the relation, such as "goes_with"."""
    item_id: str


@dataclass(frozen=True, kw_only=True)
class _Contents:
    text: str | None = None
    """A text in the space's first TEXT channel."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Texts by channel."""
    picture: Picture | None = None
    """A picture in the space's first IMAGE channel."""
    pictures: Mapping[str, Sequence[Picture]] | Sequence[Picture] = ()
    """Pictures by channel, or a list for the space's first IMAGE channel."""
    external: Mapping[str, ExternalVector] = field(default_factory=dict)
    """Vectors of the caller's own, by channel."""


@dataclass(frozen=True)
class Item(_Contents):
    """An item of a catalogue: `Item("a", text="red shoes", picture=Path("a.jpg"))`."""

    item_id: str
    """The caller's id, 1 to 256 characters."""
    attributes: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    """Facts such as price or brand, as JSON values; the server stores and returns them unchanged. Numbers are
    doubles: a whole number beyond 2^53 is refused, so give it as a str. Some other values are converted: tuples and
    arrays to lists; datetime, date and time to ISO 8601; an Enum to its value; a UUID to a str; a Decimal to a
    number, if a double keeps its digits."""
    relations: Sequence[Relation] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class ItemUpdate:
    """A change of a stored item: `ItemUpdate("a", set={"price": 12, "in_stock": True}, remove=["sale"])`.

    It names each attribute that it changes once. All other attributes stay, as do contents and relations.
    """

    item_id: str
    set: Mapping[str, Any] = field(default_factory=dict)
    """Attributes to set, each as a whole; as in Item."""
    remove: Sequence[str] = ()
    """Names of attributes to remove. One that the item does not have is no error."""
    add: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Texts to add to lists of texts, by attribute, such as `{"tags": ["new"]}`. Those that are there stay once."""
    remove_from: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Texts to take out of lists of texts, by attribute, before others are added."""
    if_sequence_number: int | None = None
    """Change the item only if this is its `sequence_number`, else the update's error is Aborted."""


@dataclass(frozen=True)
class FuseInput(_Contents):
    """The contents and vectors of one item or query, for `fuse`."""

    vectors: Sequence[Vector] = field(default=(), kw_only=True)
    """CHANNEL vectors as `encode` returned them, not scaled to unit length."""


@dataclass(frozen=True)
class Event:
    """An action of a user on an item."""

    user_id: str
    item_id: str
    type: EventType | str = EventType.CLICK
    time: datetime | None = None
    """With a time zone. Default: the time of arrival at the server."""
    quantity: float | None = None
    """Quantity. Default 1."""
    value: float | None = None
    """Monetary value of the whole event, not of one piece, in the caller's currency."""
    recommendation_id: str = ""
    """The recommendation that caused the event, if any: its id, unchanged. For another id the event fails."""
    event_id: str = field(default_factory=new_id)
    """Unique id. The server records each id once, so sending an Event twice is safe. Ids that ascend with time, as the
    default ones do, are stored faster than others."""
    order_id: str = ""
    """The order or basket that it belongs to. Events of one order are one basket."""
    own_type: str = ""
    """With type OWN: the name of the type in the collection's settings."""


@dataclass(frozen=True, kw_only=True)
class OwnEventType:
    """A type of event of a collection's own."""

    name: str
    """1 to 64 characters of a-z, 0-9, '_' and '-', such as "wishlist"."""
    weight: float
    """How much interest an event of the type shows. A purchase has 1, a view 0.2; 0: none."""
    liked_from: float | None = None
    """Only events with at least this `value` show interest, such as ratings of 4 or 5."""
    disliked_to: float | None = None
    """Events with at most this `value` count as a dislike."""


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """Places of lists for items without events, so that something is learnt about them.

    They are in lists for a user or a history, not in searches. An item is drawn in proportion to its probability for
    the user. Its place is drawn at random.
    """

    share: float
    """Share of the places, 0 to 1, on average over lists."""
    max_lists: int = 100
    """Lists that one item is drawn for at most."""


@dataclass(frozen=True, kw_only=True)
class Lexical:
    """Where the words of searches are looked for, so that part numbers, brands and rare words find their items."""

    channels: Sequence[str] = ()
    """Channels of texts; none: all of them."""
    attributes: Sequence[str] = ()
    """Names of attributes, such as "sku": texts, lists of texts and whole numbers count. Items need not have them."""


@dataclass(frozen=True)
class StreamPosition:
    """A step in a stream of events, such as a file or a broker's topic. It is stored together with the events."""

    stream: str
    """The stream's name."""
    position: str
    """The position after the events. Only the caller understands it."""
    previous: str = ""
    """The stored position from which the step is made. "" for a new stream."""
    lag: int = 0
    """How much is still to be read after the position, in the caller's unit, such as bytes."""


@dataclass(frozen=True)
class Interaction:
    """An action of a user on an item, sent with a request instead of recorded as an Event."""

    item_id: str
    type: EventType | str = EventType.CLICK
    time: datetime | None = None
    """With a time zone. Without times, the list's order counts, oldest first."""


@dataclass(frozen=True, kw_only=True)
class ChannelWeight:
    """Override of one channel's fitted weights for one request. A field that is None stays as fitted."""

    weight: float | None = None
    """Weight of the channel's cosine. 0 leaves the channel out."""
    threshold: float | None = None
    """Cosine below which an item's own content lowers its score."""
    predicted_threshold: float | None = None
    """The same for content predicted from the item's other channels."""


@dataclass(frozen=True, kw_only=True)
class SourceWeights:
    """Weights of the sources of a UserSide. Each is 1 by default and must not be negative."""

    history: float | None = None
    query: float | None = None
    liked: float | None = None
    disliked: float | None = None
    query_vector: float | None = None


class UserSideFields(TypedDict, total=False):
    """The fields of UserSide as keyword arguments of `recommend` and `explain`."""

    history: Sequence[Interaction | str]
    user_id: str
    text: str | None
    texts: Mapping[str, str]
    picture: Picture | None
    pictures: Mapping[str, Picture]
    external: Mapping[str, ExternalVector]
    liked: Sequence[str]
    disliked: Sequence[str]
    query_vector: Vector | None
    source_weights: SourceWeights
    channel_weights: Mapping[str, ChannelWeight]
    behaviour_weight: float | None
    max_interests: int | None


@dataclass(frozen=True, kw_only=True)
class UserSide:
    """The user or query of a request: any mix of these sources. Each adds evidence to the score."""

    history: Sequence[Interaction | str] = ()
    """Items that the user interacted with, oldest first. A bare item id counts as a click."""
    user_id: str = ""
    """A user whose recorded events are the history. Added before `history`."""
    text: str | None = None
    """Query text, in the space's first TEXT channel."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Query texts by channel."""
    picture: Picture | None = None
    """Query picture, in the space's first IMAGE channel."""
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    """Query pictures by channel."""
    external: Mapping[str, ExternalVector] = field(default_factory=dict)
    """Query vectors of the caller's own, by channel."""
    liked: Sequence[str] = ()
    """Items to find similar ones to. They form one interest."""
    disliked: Sequence[str] = ()
    """Items to avoid, together with similar ones."""
    query_vector: Vector | None = None
    """A vector of Role.QUERY, from `fuse` or from an earlier reply."""
    source_weights: SourceWeights = SourceWeights()
    channel_weights: Mapping[str, ChannelWeight] = field(default_factory=dict)
    """Changes to the fitted weights, by channel."""
    behaviour_weight: float | None = None
    """Factor of what other users' behaviour adds ("who took X took Y"). Default 1: as fitted."""
    max_interests: int | None = None
    """Largest number of separate interests in the history, 1 to 5. Default 5."""
