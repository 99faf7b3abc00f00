"""What callers give: items, events, the asking side, and the vectors that come back and go in again."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._enums import EventType, Role

Floats: TypeAlias = NDArray[np.float32]

Picture: TypeAlias = bytes | str | os.PathLike[str]
"""An encoded picture (JPEG, PNG, WebP, GIF, BMP or TIFF), or the path of its file, read when it is sent."""


@dataclass(frozen=True, eq=False, repr=False)
class Vector:
    """One vector with what makes it comparable. `np.asarray(vector)` gives the numbers."""

    values: Floats
    """float32, shape (dimension,)."""
    role: Role
    space_id: str
    """The space that made it. Vectors of two spaces are never compared."""
    channel: str = ""
    """Only with Role.CHANNEL."""

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        of = f" of channel {self.channel}" if self.channel else ""
        return f"<Vector {self.role.name}{of}, {len(self)} numbers, space {self.space_id}>"


@dataclass(frozen=True)
class Content:
    """A text or a picture, in the channel that is to understand it. Give one of the two."""

    channel: str
    text: str | None = None
    picture: Picture | None = None


@dataclass(frozen=True)
class Relation:
    """A directed link to another item, which need not be there."""

    type: str
    """The caller's word for it, such as "goes_with"."""
    item_id: str


@dataclass(frozen=True, kw_only=True)
class _Contents:
    text: str | None = None
    """Its text, in the space's first TEXT channel."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Texts by channel."""
    picture: Picture | None = None
    """Its picture, in the space's first IMAGE channel."""
    pictures: Mapping[str, Sequence[Picture]] | Sequence[Picture] = ()
    """Pictures by channel, or a list for the space's first IMAGE channel."""


@dataclass(frozen=True)
class Item(_Contents):
    """An item of a catalogue: `Item("a", text="red shoes", picture=Path("a.jpg"))`."""

    item_id: str
    """The caller's id, 1 to 256 characters."""
    attributes: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    """Facts such as price or brand, JSON-like; kept and given back as they are. Numbers are doubles: a whole number
    beyond 2^53 is refused, give it as a str. Some other values are converted: tuples and arrays to lists; datetime,
    date and time to ISO 8601; an Enum to its value; a UUID to a str; a Decimal to a number, if a double keeps its
    digits."""
    relations: Sequence[Relation] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class FuseInput(_Contents):
    """All that is known of one item, or asked for."""

    vectors: Sequence[Vector] = field(default=(), kw_only=True)
    """CHANNEL vectors as `encode` gave them, raw."""


@dataclass(frozen=True)
class Event:
    """Something that a user did."""

    user_id: str
    item_id: str
    type: EventType | str = EventType.CLICK
    time: datetime | None = None
    """With a time zone. Default: when the server gets it."""
    quantity: float | None = None
    """How many. Default 1."""
    value: float | None = None
    """What it was worth, in the caller's currency."""
    recommendation_id: str = ""
    """The recommendation that it came of, if any."""
    event_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """One that was recorded already is not recorded again, so sending an Event twice is safe."""


@dataclass(frozen=True)
class Interaction:
    """One thing that a user did with an item, told along with the question."""

    item_id: str
    type: EventType | str = EventType.CLICK
    time: datetime | None = None
    """With a time zone. Without times the list's order counts, oldest first."""


@dataclass(frozen=True, kw_only=True)
class ChannelWeight:
    """Overrides the fitted weight of one channel for one request. What is None stays as fitted."""

    weight: float | None = None
    """How much the channel's cosine counts. 0 leaves the channel out."""
    threshold: float | None = None
    """The cosine below which an item's own content counts against it."""
    predicted_threshold: float | None = None
    """The same for content that is predicted from the item's other channels."""


@dataclass(frozen=True, kw_only=True)
class SourceWeights:
    """How much each source of a UserSide counts; each is 1 unless set, negative is refused."""

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
    liked: Sequence[str]
    disliked: Sequence[str]
    query_vector: Vector | None
    source_weights: SourceWeights
    channel_weights: Mapping[str, ChannelWeight]
    behaviour_weight: float | None
    max_interests: int | None


@dataclass(frozen=True, kw_only=True)
class UserSide:
    """Who or what is asking: any mix of these sources. Their scores are added, each times its weight."""

    history: Sequence[Interaction | str] = ()
    """Items the user dealt with, oldest first; a bare item id counts as a click."""
    user_id: str = ""
    """A user whose recorded events are the history. Added before `history`."""
    text: str | None = None
    """Words that are looked for, in the space's first TEXT channel."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Words that are looked for, by channel."""
    picture: Picture | None = None
    """A picture that is looked for, in the space's first IMAGE channel."""
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    """Pictures that are looked for, by channel."""
    liked: Sequence[str] = ()
    """Items to find more of. They are taken as one interest."""
    disliked: Sequence[str] = ()
    """Items to keep away from, and what is like them."""
    query_vector: Vector | None = None
    """A ready vector of Role.QUERY, from `fuse` or from an earlier reply."""
    source_weights: SourceWeights = SourceWeights()
    channel_weights: Mapping[str, ChannelWeight] = field(default_factory=dict)
    """Changes to the fitted weights, by channel."""
    behaviour_weight: float | None = None
    """How much "who took X took Y" counts. Default: as fitted."""
    max_interests: int | None = None
    """At most so many separate interests are read from the history, 1 to 5. Default 5."""
