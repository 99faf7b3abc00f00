"""Requests from what callers give. Pure functions; what they refuse is ValueError or TypeError."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from ._enums import ChannelKind, EventType, Role
from ._results import Space
from ._types import (
    ChannelWeight,
    Content,
    Event,
    FuseInput,
    Interaction,
    Item,
    Picture,
    UserSide,
    UserSideFields,
    Vector,
)
from .v1 import catalog_pb2, common_pb2, itemlens_pb2


@dataclass(frozen=True)
class Names:
    """Channel names for contents that come without one. Without a space only named contents can be built."""

    space: Space | None = None

    def of(self, kind: ChannelKind) -> str:
        """Name of the space's first channel of a kind."""
        if self.space is None:
            raise ValueError(f"name a channel of kind {kind.name}")
        return self.space.first(kind)


def needs_names(given: Item | FuseInput | UserSide) -> bool:
    """Whether anything comes without the name of its channel."""
    unnamed_pictures = bool(given.pictures) and not isinstance(given.pictures, Mapping)
    return given.text is not None or given.picture is not None or unnamed_pictures


def picture_bytes(picture: Picture) -> bytes:
    """An encoded picture, from memory or from its file."""
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()


def content(given: Content) -> common_pb2.Content:
    """One content with its channel."""
    if (given.text is None) == (given.picture is None):
        raise ValueError(f"Content of channel {given.channel!r}: give either a text or a picture")
    if given.text is not None:
        return common_pb2.Content(channel=given.channel, text=given.text)
    assert given.picture is not None
    return common_pb2.Content(channel=given.channel, picture=picture_bytes(given.picture))


def contents(given: Item | FuseInput | UserSide, names: Names) -> list[common_pb2.Content]:
    """All contents: those without a channel's name first, then by channel."""
    return [content(named) for named in _contents(given, names)]


def _contents(given: Item | FuseInput | UserSide, names: Names) -> Iterator[Content]:
    if given.text is not None:
        yield Content(names.of(ChannelKind.TEXT), text=given.text)
    for channel, text in given.texts.items():
        yield Content(channel, text=text)
    if given.picture is not None:
        yield Content(names.of(ChannelKind.IMAGE), picture=given.picture)
    by_channel: Mapping[str, Sequence[Picture] | Picture]
    if isinstance(given.pictures, Mapping):
        by_channel = given.pictures
    else:
        by_channel = {names.of(ChannelKind.IMAGE): given.pictures} if given.pictures else {}
    for channel, pictures in by_channel.items():
        for picture in _each(pictures):
            yield Content(channel, picture=picture)


def _each(pictures: Sequence[Picture] | Picture) -> Sequence[Picture]:
    """A list of pictures; one by itself, as a UserSide has it, is a list of one."""
    return [pictures] if isinstance(pictures, bytes | str | os.PathLike) else pictures


def vector(given: Vector) -> common_pb2.Vector:
    """A vector as packed little-endian float32."""
    if not isinstance(given, Vector):
        raise TypeError(
            f"expected an itemlens.Vector, which knows its space and role, not {type(given).__name__}"
        )
    values = np.ascontiguousarray(given.values, dtype="<f4")
    if values.ndim != 1:
        raise ValueError(f"a vector has one axis, not shape {values.shape}")
    return common_pb2.Vector(
        data=values.tobytes(),
        dimension=values.size,
        role=role(given.role),
        space_id=given.space_id,
        channel=given.channel,
    )


def role(given: Role | str) -> common_pb2.VectorRole.ValueType:
    """The role's number."""
    return common_pb2.VectorRole.Value(f"VECTOR_ROLE_{Role(given).name}")


def event_type(given: EventType | str) -> common_pb2.EventType.ValueType:
    """The event type's number."""
    return common_pb2.EventType.Value(f"EVENT_TYPE_{EventType(given).name}")


def timestamp(given: datetime | None) -> Timestamp | None:
    """A time with its zone."""
    if given is None:
        return None
    if given.tzinfo is None:
        raise ValueError(f"{given!r} has no time zone; write datetime(..., tzinfo=timezone.utc)")
    stamp = Timestamp()
    stamp.FromDatetime(given)
    return stamp


def item(given: Item, names: Names) -> catalog_pb2.Item:
    """An item to store."""
    message = catalog_pb2.Item(
        item_id=given.item_id,
        contents=contents(given, names),
        relations=[catalog_pb2.Relation(type=link.type, item_id=link.item_id) for link in given.relations],
    )
    if given.attributes:
        message.attributes.update(_plain(given.attributes))
    return message


def _plain(value: Any) -> Any:
    """JSON-like containers as the dicts and lists that Struct takes."""
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(child) for child in value]
    return value.item() if isinstance(value, np.generic) else value


def event(given: Event) -> catalog_pb2.Event:
    """An event to record."""
    return catalog_pb2.Event(
        event_id=given.event_id,
        user_id=given.user_id,
        item_id=given.item_id,
        type=event_type(given.type),
        time=timestamp(given.time),
        quantity=given.quantity,
        value=given.value,
        recommendation_id=given.recommendation_id,
    )


def fuse_input(given: Item | FuseInput, names: Names) -> itemlens_pb2.FuseInput:
    """What one fused vector is made of."""
    vectors = given.vectors if isinstance(given, FuseInput) else ()
    return itemlens_pb2.FuseInput(contents=contents(given, names), vectors=[vector(v) for v in vectors])


def interaction(given: Interaction | str) -> common_pb2.Interaction:
    """A past item; a bare id is a click."""
    known = Interaction(given) if isinstance(given, str) else given
    return common_pb2.Interaction(
        item_id=known.item_id, type=event_type(known.type), time=timestamp(known.time)
    )


def channel_weights(given: Mapping[str, ChannelWeight]) -> list[common_pb2.ChannelWeight]:
    """Changes to the fitted weights."""
    return [
        common_pb2.ChannelWeight(
            channel=channel,
            weight=change.weight,
            threshold=change.threshold,
            predicted_threshold=change.predicted_threshold,
        )
        for channel, change in given.items()
    ]


def merged_user_side(user: UserSide | str | None, named: UserSideFields) -> UserSide:
    """The asking side, given whole, as a user's id or by keyword arguments."""
    if unknown := named.keys() - {field.name for field in fields(UserSide)}:
        raise TypeError(f"unexpected keyword argument {sorted(unknown)[0]!r}")
    if isinstance(user, UserSide):
        if named:
            raise ValueError(f"give a UserSide or keyword arguments, not both: {', '.join(named)}")
        return user
    values = cast(dict[str, Any], named)
    return UserSide(**values) if user is None else UserSide(user_id=user, **values)


def user_side(given: UserSide, names: Names) -> common_pb2.UserSide:
    """Who or what is asking."""
    for name in ("history", "liked", "disliked"):
        if isinstance(getattr(given, name), str):
            raise TypeError(f"{name} is a list of items, not one id")
    weights = given.source_weights
    return common_pb2.UserSide(
        history=[interaction(past) for past in given.history],
        user_id=given.user_id,
        query=contents(given, names),
        liked_item_ids=given.liked,
        disliked_item_ids=given.disliked,
        query_vector=vector(given.query_vector) if given.query_vector is not None else None,
        source_weights=common_pb2.SourceWeights(
            history=weights.history,
            query=weights.query,
            liked=weights.liked,
            disliked=weights.disliked,
            query_vector=weights.query_vector,
        ),
        channel_weights=channel_weights(given.channel_weights),
        behaviour_weight=given.behaviour_weight,
        max_interests=given.max_interests,
    )


def ids(given: Iterable[str], name: str) -> list[str]:
    """A list of ids. A bare string would be taken apart into its letters."""
    if isinstance(given, str):
        raise TypeError(f"{name} is a list of ids, not one id")
    return list(given)
