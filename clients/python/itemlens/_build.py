"""Build requests from the caller's values. Pure functions; invalid input raises ValueError or TypeError."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from numpy.typing import NDArray

from . import _values
from ._enums import ChannelKind, EventType, Role
from ._results import Space
from ._types import (
    ChannelWeight,
    Content,
    Event,
    ExternalVector,
    FuseInput,
    Interaction,
    Item,
    ItemUpdate,
    Picture,
    Relation,
    SourceWeights,
    StreamPosition,
    UserSide,
    UserSideFields,
    Vector,
)
from ._values import listed, named, one_of, optional_number, string, strings, whole
from .v1 import catalog_pb2, common_pb2, itemlens_pb2

T = TypeVar("T")


@dataclass(frozen=True)
class Names:
    """Default channel names for contents without one. If `space` is None, every content needs a channel name."""

    space: Space | None = None

    def of(self, kind: ChannelKind) -> str:
        """Name of the space's first channel of a kind."""
        if self.space is None:
            raise ValueError(f"a content without a channel name needs a space; name its {kind.name} channel")
        return self.space.first(kind)


def needs_names(given: Item | FuseInput | UserSide) -> bool:
    """Whether any content lacks a channel name."""
    unnamed_pictures = bool(given.pictures) and not isinstance(given.pictures, Mapping)
    return given.text is not None or given.picture is not None or unnamed_pictures


def picture_bytes(picture: Picture) -> bytes:
    """The encoded picture as bytes; a path is read."""
    if isinstance(picture, bytes):
        return picture
    if not isinstance(picture, str | os.PathLike):
        raise TypeError(
            f"a picture must be the bytes of an image file or its path, not a {type(picture).__name__}; "
            "save an image object as PNG to an io.BytesIO and pass its getvalue()"
        )
    try:
        return Path(picture).read_bytes()
    except OSError as error:
        cure = "correct the path, or leave the picture out"
        text = f"the picture file cannot be read ({error.strerror}); {cure}"
        raise type(error)(error.errno, text, error.filename) from error


def content(given: Content) -> common_pb2.Content:
    """One content with its channel."""
    if sum(value is not None for value in (given.text, given.picture, given.vector)) != 1:
        raise ValueError(f"Content of channel {given.channel!r}: give a text, a picture or a vector")
    if given.text is not None:
        text = string(given.text, f"the text of channel {given.channel!r}")
        return common_pb2.Content(channel=given.channel, text=text)
    if given.vector is not None:
        return common_pb2.Content(channel=given.channel, vector=_external(given.vector, given.channel))
    assert given.picture is not None
    return common_pb2.Content(channel=given.channel, picture=picture_bytes(given.picture))


def _external(given: ExternalVector, channel: str) -> common_pb2.ExternalVector:
    field = f"the vector of channel {channel!r}"
    check_kind(ExternalVector, given, field)
    values = _numbers(given.values, field)
    return common_pb2.ExternalVector(
        data=values.tobytes(), version=string(given.version, f"{field}: version")
    )


def contents(given: Item | FuseInput | UserSide, names: Names) -> list[common_pb2.Content]:
    """All contents: those without a channel name first, then those by channel."""
    return [content(named) for named in _contents(given, names)]


def _contents(given: Item | FuseInput | UserSide, names: Names) -> Iterator[Content]:
    if given.text is not None:
        yield Content(names.of(ChannelKind.TEXT), text=given.text)
    if not isinstance(given.texts, Mapping):
        raise TypeError("texts must be a dict from channel to text; use `text` for a single text")
    for channel, text in given.texts.items():
        yield Content(channel, text=string(text, f"texts[{channel!r}]"))
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
    if not isinstance(given.external, Mapping):
        raise TypeError("external must be a dict from channel to itemlens.ExternalVector")
    for channel, own in given.external.items():
        yield Content(channel, vector=own)


def _each(pictures: Sequence[Picture] | Picture) -> Sequence[Picture]:
    """A list of pictures. A single picture, as in a UserSide, becomes a list of one."""
    return [pictures] if isinstance(pictures, bytes | str | os.PathLike) else pictures


def vector(given: Vector) -> common_pb2.Vector:
    """A vector as packed little-endian float32."""
    if not isinstance(given, Vector):
        raise TypeError(
            f"expected an itemlens.Vector, which carries its space and role, not {type(given).__name__}"
        )
    values = _numbers(given.values, "a vector")
    return common_pb2.Vector(
        data=values.tobytes(),
        dimension=values.size,
        role=role(given.role),
        space_id=given.space_id,
        channel=given.channel,
    )


def _numbers(given: Any, field: str) -> NDArray[np.float32]:
    """The numbers of a vector as little-endian float32."""
    values = np.ascontiguousarray(given, dtype="<f4")
    if values.ndim != 1:
        raise ValueError(f"{field} must have one axis, not shape {values.shape}")
    return values


def role(given: Role | str) -> common_pb2.VectorRole.ValueType:
    """The proto number of a role."""
    return common_pb2.VectorRole.Value(f"VECTOR_ROLE_{one_of(given, Role, 'role').upper()}")


def event_type(given: EventType | str) -> common_pb2.EventType.ValueType:
    """The proto number of an event type."""
    return common_pb2.EventType.Value(f"EVENT_TYPE_{one_of(given, EventType, 'type').upper()}")


def timestamp(given: datetime | None) -> Timestamp | None:
    """The protobuf timestamp of a datetime with a time zone."""
    if given is None:
        return None
    if not isinstance(given, datetime):
        raise TypeError(
            f"time must be a datetime with a time zone, not {given!r:.60} of type {type(given).__name__}; "
            "write datetime.fromtimestamp(seconds, timezone.utc), or datetime.fromisoformat(text)"
        )
    if given.tzinfo is None:
        raise ValueError(f"{given!r} has no time zone; write datetime(..., tzinfo=timezone.utc)")
    stamp = Timestamp()
    stamp.FromDatetime(given)
    return stamp


def item(given: Item, names: Names) -> catalog_pb2.Item:
    """An item to store."""
    with named(f"item {given.item_id!r:.80}"):
        message = catalog_pb2.Item(
            item_id=string(given.item_id, "item_id"),
            contents=contents(given, names),
            relations=[relation(link) for link in given.relations],
        )
        if given.attributes:
            message.attributes.update(_values.attributes(given.attributes))
    return message


def item_update(given: ItemUpdate) -> catalog_pb2.ItemUpdate:
    """A change of an item."""
    with named(f"update of item {given.item_id!r:.80}"):
        message = catalog_pb2.ItemUpdate(
            item_id=string(given.item_id, "item_id"),
            removed_attributes=strings(given.remove, "remove") if given.remove else (),
            removed_texts=_texts(given.remove_from, "remove_from") if given.remove_from else {},
            added_texts=_texts(given.add, "add") if given.add else {},
            if_sequence_number=_sequence_number(given.if_sequence_number),
        )
        if given.set:
            message.attributes.update(_values.attributes(given.set))
    return message


def _texts(given: Mapping[str, Sequence[str]], field: str) -> dict[str, catalog_pb2.Texts]:
    if not isinstance(given, Mapping):
        raise TypeError(f'{field} must be a dict from attribute to texts, such as {{"tags": ["new"]}}')
    return {
        string(name, field): catalog_pb2.Texts(texts=strings(texts, f"{field}[{name!r}]"))
        for name, texts in given.items()
    }


def _sequence_number(given: int | None) -> int | None:
    if given is None or (isinstance(given, int) and 0 <= given < 2**64):
        return given
    raise ValueError(f"if_sequence_number must be the `sequence_number` of an item, not {given!r:.60}")


def relation(given: Relation) -> catalog_pb2.Relation:
    """A link to another item."""
    check_kind(Relation, given, "a relation")
    return catalog_pb2.Relation(
        type=string(given.type, "a relation's type"), item_id=string(given.item_id, "a relation's item_id")
    )


def event(given: Event) -> catalog_pb2.Event:
    """An event to record."""
    with named(f"event {given.event_id!r:.80}"):
        return catalog_pb2.Event(
            event_id=string(given.event_id, "event_id"),
            user_id=string(given.user_id, "user_id"),
            item_id=string(given.item_id, "item_id"),
            type=event_type(given.type),
            time=timestamp(given.time),
            quantity=optional_number(given.quantity, "quantity"),
            value=optional_number(given.value, "value"),
            recommendation_id=string(given.recommendation_id, "recommendation_id"),
            order_id=string(given.order_id, "order_id"),
            own_type=string(given.own_type, "own_type"),
        )


def stream_position(given: StreamPosition | None) -> catalog_pb2.StreamPosition | None:
    """A step in a stream of events."""
    if given is None:
        return None
    check_kind(StreamPosition, given, "stream")
    if not isinstance(given.lag, int) or not 0 <= given.lag < 2**63:
        raise ValueError(f"stream.lag must be a whole number from 0 and below 2^63, not {given.lag!r:.60}")
    return catalog_pb2.StreamPosition(
        stream=string(given.stream, "stream.stream"),
        position=string(given.position, "stream.position"),
        previous=string(given.previous, "stream.previous"),
        lag=given.lag,
    )


def fuse_input(given: Item | FuseInput, names: Names) -> itemlens_pb2.FuseInput:
    """The contents and vectors for one fused vector."""
    vectors = given.vectors if isinstance(given, FuseInput) else ()
    return itemlens_pb2.FuseInput(contents=contents(given, names), vectors=[vector(v) for v in vectors])


def interaction(given: Interaction | str) -> common_pb2.Interaction:
    """A past item. A bare id counts as a click."""
    known = Interaction(given) if isinstance(given, str) else given
    if not isinstance(known, Interaction):
        raise TypeError(f"expected an item's id or an itemlens.Interaction, not a {type(given).__name__}")
    return common_pb2.Interaction(
        item_id=string(known.item_id, "item_id"), type=event_type(known.type), time=timestamp(known.time)
    )


def channel_weights(given: Mapping[str, ChannelWeight]) -> list[common_pb2.ChannelWeight]:
    """Changes to the fitted weights."""
    return [
        common_pb2.ChannelWeight(
            channel=string(channel, "the name of a channel"),
            weight=optional_number(change.weight, f"channel_weights[{channel!r}].weight"),
            threshold=optional_number(change.threshold, f"channel_weights[{channel!r}].threshold"),
            predicted_threshold=optional_number(
                change.predicted_threshold, f"channel_weights[{channel!r}].predicted_threshold"
            ),
        )
        for channel, change in given.items()
    ]


def merged_user_side(user: UserSide | str | None, named: UserSideFields) -> UserSide:
    """The user side, from a UserSide, a user's id or keyword arguments."""
    if unknown := named.keys() - {field.name for field in fields(UserSide)}:
        raise TypeError(f"unexpected keyword argument {sorted(unknown)[0]!r}")
    if isinstance(user, UserSide):
        if named:
            raise ValueError(f"give a UserSide or keyword arguments, not both: {', '.join(named)}")
        return user
    values = cast(dict[str, Any], named)
    return UserSide(**values) if user is None else UserSide(user_id=user, **values)


def user_side(given: UserSide, names: Names) -> common_pb2.UserSide:
    """The user side of a request."""
    weights = given.source_weights
    return common_pb2.UserSide(
        history=_history(given.history),
        user_id=string(given.user_id, "user_id"),
        query=contents(given, names),
        liked_item_ids=strings(given.liked, "liked"),
        disliked_item_ids=strings(given.disliked, "disliked"),
        query_vector=_query_vector(given.query_vector),
        source_weights=common_pb2.SourceWeights(
            **{
                field.name: optional_number(getattr(weights, field.name), f"source_weights.{field.name}")
                for field in fields(SourceWeights)
            }
        ),
        channel_weights=channel_weights(given.channel_weights),
        behaviour_weight=optional_number(given.behaviour_weight, "behaviour_weight"),
        max_interests=None if given.max_interests is None else whole(given.max_interests, "max_interests"),
    )


def _query_vector(given: Vector | None) -> common_pb2.Vector | None:
    if given is None:
        return None
    with named("query_vector"):
        return vector(given)


def _history(given: Sequence[Interaction | str]) -> list[common_pb2.Interaction]:
    if isinstance(given, str):
        raise TypeError(f"history must be a list of items, not one id; write [{given!r:.60}]")
    messages = []
    for place, past in enumerate(listed(given, "history")):
        with named(f"history[{place}]"):
            messages.append(interaction(past))
    return messages


def all_of(kinds: type[T] | tuple[type[T], ...], given: Iterable[T], field: str) -> list[T]:
    """The entries as a list, after a check of their types.

    Raises:
        TypeError: `given` is not a list, or an entry has another type.
    """
    if isinstance(given, kinds):
        raise TypeError(f"{field} must be a list, not one {type(given).__name__}; write [...]")
    entries = listed(given, field)
    for place, entry in enumerate(entries):
        check_kind(kinds, entry, f"{field}[{place}]")
    return entries


def check_kind(kinds: type[T] | tuple[type[T], ...], given: T, field: str) -> None:
    """Raise TypeError unless `given` is an instance of one of `kinds`."""
    if not isinstance(given, kinds):
        known = kinds if isinstance(kinds, tuple) else (kinds,)
        wanted = " or ".join(f"itemlens.{kind.__name__}" for kind in known)
        raise TypeError(f"{field} must be an {wanted}, not a {type(given).__name__}")
