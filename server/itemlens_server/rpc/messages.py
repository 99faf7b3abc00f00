"""Conversion between proto messages and the services' values. Nothing is checked or computed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, overload

import numpy as np
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from itemlens.v1 import catalog_pb2, common_pb2, itemlens_pb2
from itemlens_server.errors import Warning
from itemlens_server.rpc.errors import item_status
from itemlens_server.services import (
    ChannelChange,
    Content,
    Interaction,
    Part,
    QueryRequest,
    VectorInput,
    VersionedVector,
    WriteOutcome,
)

M = TypeVar("M")
T = TypeVar("T")
Array = np.ndarray[Any, np.dtype[np.float32]]
ROLES = {
    common_pb2.VECTOR_ROLE_CHANNEL: "CHANNEL",
    common_pb2.VECTOR_ROLE_ITEM: "ITEM",
    common_pb2.VECTOR_ROLE_QUERY: "QUERY",
}


class Decoded(Sequence[T]):
    """Messages that are decoded on access, so that a use case can refuse a batch that is too long at no cost."""

    def __init__(self, messages: Sequence[M], decode: Callable[[M], T]) -> None:
        self._messages, self._decode = messages, decode
        self._values: list[T] = []

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[T]:
        yield from self._values
        for message in self._messages[len(self._values) :]:
            self._values.append(self._decode(message))
            yield self._values[-1]

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if len(self._values) < len(self._messages):
            list(self)
        return self._values[index]


def content(message: common_pb2.Content) -> Content:
    """The content of a message, from the field that is set."""
    field = message.WhichOneof("value")
    if field is None:
        return Content(message.channel)
    if field == "vector":
        given = message.vector
        return Content(message.channel, field, VersionedVector(given.version, given.data).pack())
    return Content(message.channel, field, getattr(message, field))


def content_message(content: Content) -> common_pb2.Content:
    """A content as a message."""
    message = common_pb2.Content(channel=content.channel)
    if content.field == "vector":
        assert isinstance(content.value, bytes)
        own = VersionedVector.unpack(content.value)
        message.vector.CopyFrom(common_pb2.ExternalVector(data=own.data, version=own.version))
    elif content.field:
        setattr(message, content.field, content.value)
    return message


def purpose(value: itemlens_pb2.Purpose.ValueType) -> Literal["query", "item"]:
    """The purpose of a content; "item" if it is unspecified."""
    return "query" if value == itemlens_pb2.PURPOSE_QUERY else "item"


def vector(message: common_pb2.Vector) -> VectorInput:
    """A vector as sent, unchecked."""
    role = ROLES.get(message.role, "")
    return VectorInput(message.data, message.dimension, role, message.space_id, message.channel)


def query(message: common_pb2.UserSide) -> QueryRequest:
    """The query of a UserSide message."""
    given = QueryRequest()
    return QueryRequest(
        Decoded(message.history, _interaction),
        message.user_id,
        Decoded(message.query, content),
        message.liked_item_ids,
        message.disliked_item_ids,
        vector(message.query_vector) if message.HasField("query_vector") else None,
        {field.name: weight for field, weight in message.source_weights.ListFields()},
        changes(message.channel_weights),
        message.behaviour_weight if message.HasField("behaviour_weight") else None,
        message.max_interests if message.HasField("max_interests") else given.max_interests,
    )


def changes(messages: Sequence[common_pb2.ChannelWeight]) -> Sequence[tuple[str, ChannelChange]]:
    """The changes to channel weights, each with its channel."""
    return Decoded(messages, _change)


def _change(message: common_pb2.ChannelWeight) -> tuple[str, ChannelChange]:
    return message.channel, ChannelChange(
        message.weight if message.HasField("weight") else None,
        message.threshold if message.HasField("threshold") else None,
        message.predicted_threshold if message.HasField("predicted_threshold") else None,
    )


def matrix(
    rows: Array, role: common_pb2.VectorRole.ValueType, space_id: str, channel: str = ""
) -> common_pb2.Matrix:
    """Vectors [rows, dimension] as one message."""
    return common_pb2.Matrix(
        data=np.ascontiguousarray(rows, "<f4").tobytes(), rows=rows.shape[0], dimension=rows.shape[1], role=role,
        space_id=space_id, channel=channel,
    )  # fmt: skip


def one_vector(v: Array, role: common_pb2.VectorRole.ValueType, space_id: str) -> common_pb2.Vector:
    """One vector [dimension] as a message."""
    return common_pb2.Vector(data=v.astype("<f4").tobytes(), dimension=len(v), role=role, space_id=space_id)


def warnings(noticed: Iterable[Warning], field: str = "") -> list[common_pb2.Warning]:
    """Warnings as messages. `field` is the path of the input in the request."""
    return [
        common_pb2.Warning(
            reason=w.reason, message=w.message, field=".".join(name for name in (field, w.field) if name)
        )
        for w in noticed
    ]


def part(p: Part) -> common_pb2.Part:
    """A part of a score as a message."""
    return common_pb2.Part(
        kind=common_pb2.PartKind.Value(f"PART_KIND_{p.kind}"), channel=p.channel, value=p.value, predicted=p.imputed,
        past_item_id=p.past_item_id, source_channel=p.source_channel, text=p.text, start=p.start, end=p.end,
        picture_index=p.picture_index, row=p.row, column=p.column, is_share=p.is_share, spelling=p.spelling,
        name=p.name,
    )  # fmt: skip


def write_results(outcomes: Sequence[WriteOutcome], field: str) -> list[catalog_pb2.WriteResult]:
    """The result of each entry of a write, as messages."""
    return [_write_result(outcome, f"{field}[{n}]") for n, outcome in enumerate(outcomes)]


def _write_result(outcome: WriteOutcome, field: str) -> catalog_pb2.WriteResult:
    result = catalog_pb2.WriteResult(
        id=outcome.id, sequence_number=outcome.sequence, status=item_status(outcome.error, field)
    )
    if outcome.warnings:
        result.warnings.extend(warnings(outcome.warnings, field))
    return result


def seconds(time: Timestamp) -> float:
    """Seconds since 1970; infinite if the nanoseconds are out of range."""
    return time.seconds + time.nanos / 1e9 if 0 <= time.nanos < 10**9 else float("inf")


def timestamp(at: float | None) -> Timestamp | None:
    """Seconds since 1970 as a message, in whole microseconds, since float64 holds no more; None stays None. `seconds`
    of it are the same however often they are sent."""
    if at is None:
        return None
    stamp, (whole, part) = Timestamp(), divmod(at, 1)
    stamp.FromMicroseconds(int(whole) * 10**6 + round(part * 1e6))
    return stamp


def attributes(struct: Struct) -> dict[str, Any]:
    """Attributes as plain values. Unlike json_format, this accepts NaN, which is then refused for that item only."""
    return {key: _attribute(value) for key, value in struct.fields.items()}


def set_attributes(item: catalog_pb2.Item, values: Mapping[str, Any]) -> None:
    """Set the attributes of an item message from plain values."""
    if values:
        item.attributes.update(dict(values))


def _attribute(value: Value) -> Any:
    match kind := value.WhichOneof("kind"):
        case None | "null_value":
            return None
        case "struct_value":
            return attributes(value.struct_value)
        case "list_value":
            return [_attribute(entry) for entry in value.list_value.values]
    return getattr(value, kind)


def _interaction(message: common_pb2.Interaction) -> Interaction:
    time_ns = message.time.seconds * 10**9 + message.time.nanos if message.HasField("time") else None
    return Interaction(message.item_id, message.type or common_pb2.EVENT_TYPE_CLICK, time_ns)
