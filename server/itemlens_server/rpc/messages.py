"""Between the contract's messages and the domain's values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens.v1 import common_pb2
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import Space
from itemlens_server.errors import InvalidArgument, ItemlensError, NotFound, SpaceMismatch, Warning
from itemlens_server.fusion.head import Array, KindWeights
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import Content, ContentEncoder, EncodedContent, Encoding
from itemlens_server.services.fuser import check_finite, check_raw, query_parts
from itemlens_server.services.parts import Part
from itemlens_server.services.query import ChannelChange, HistoryRules, Past, Side, changed_weights

# Of weights and thresholds that callers may set: with it, float32 scores stay finite.
LARGEST_WEIGHT = 1e6
ROLE_NAMES = {
    common_pb2.VECTOR_ROLE_CHANNEL: "CHANNEL",
    common_pb2.VECTOR_ROLE_ITEM: "ITEM",
    common_pb2.VECTOR_ROLE_QUERY: "QUERY",
}


def content(message: common_pb2.Content) -> Content:
    """A content, in whichever field it is."""
    field = message.WhichOneof("value")
    return Content(message.channel, field, getattr(message, field)) if field else Content(message.channel)


def content_message(content: Content) -> common_pb2.Content:
    """A content as a message."""
    message = common_pb2.Content(channel=content.channel)
    if content.field:
        setattr(message, content.field, content.value)
    return message


def vector(message: common_pb2.Vector, role: common_pb2.VectorRole.ValueType, space: Space) -> Array:
    """The numbers of a vector that must have this role and space: float32 [dimension].

    Raises:
        InvalidArgument: another role, or a length that is not the dimension's.
        SpaceMismatch: another space.
    """
    if message.role != role:
        got = ROLE_NAMES.get(message.role, "unspecified")
        raise InvalidArgument(
            f"a vector of role {ROLE_NAMES[role]} is needed here, this one's is {got}", "role"
        )
    if message.space_id != space.space_id:
        raise SpaceMismatch(
            f"the vector is of space {message.space_id or '(none)'}, the answer of {space.space_id}; vectors of two "
            "spaces are never compared: make it again with this space", "space_id",
        )  # fmt: skip
    if len(message.data) != 4 * message.dimension:
        raise InvalidArgument(
            f"data has {len(message.data)} bytes; {message.dimension} numbers need {4 * message.dimension}",
            "data",
        )
    return np.frombuffer(message.data, "<f4")


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


def warnings(warnings: Iterable[Warning], field: str = "") -> list[common_pb2.Warning]:
    """Warnings as messages; `field` is the path of what they are about."""
    return [
        common_pb2.Warning(
            reason=n.reason, message=n.message, field=".".join(part for part in (field, n.field) if part)
        )
        for n in warnings
    ]


def part(p: Part) -> common_pb2.Part:
    """One term of a score."""
    return common_pb2.Part(
        kind=common_pb2.PartKind.ValueType(int(p.kind)), channel=p.channel, value=p.value, predicted=p.imputed,
        past_item_id=p.past_item_id, source_channel=p.source_channel, text=p.text, start=p.start, end=p.end,
        picture_index=p.picture_index, row=p.row, column=p.column,
    )  # fmt: skip


def changes(messages: Iterable[common_pb2.ChannelWeight]) -> dict[str, ChannelChange]:
    """A caller's changes to channel weights, by channel."""
    found = {}
    for n, m in enumerate(messages):
        values = {
            name: getattr(m, name) if m.HasField(name) else None
            for name in ("weight", "threshold", "predicted_threshold")
        }
        for name, value in values.items():
            if value is not None and not abs(value) <= LARGEST_WEIGHT:
                raise InvalidArgument(
                    f"{value} is no {name}: it must be at most {LARGEST_WEIGHT:g}",
                    f"channel_weights[{n}].{name}",
                )
        if (values["weight"] or 0.0) < 0:
            raise InvalidArgument(
                "a negative weight would reward items without the channel; use disliked_item_ids",
                f"channel_weights[{n}].weight",
            )
        found[m.channel] = ChannelChange(values["weight"], values["threshold"], values["predicted_threshold"])
    return found


def at_most(values: Sequence[object], limit: int, field: str, least: int = 1) -> None:
    """Check the length of a batch.

    Raises:
        InvalidArgument: it is empty or too long.
    """
    if len(values) < least:
        raise InvalidArgument(f"nothing in {field}; send at least {least}", field)
    if len(values) > limit:
        raise InvalidArgument(f"{len(values)} in {field}, the limit is {limit}; send several calls", field)


@dataclass(frozen=True)
class EncodingQuery:
    """A query that is being encoded, and the space in which."""

    space: Space
    encoding: Encoding


class SideReader:
    """Reads the asking side of Recommend and Explain."""

    def __init__(self, catalogue: Catalogue, encoder: ContentEncoder, settings: Settings) -> None:
        self._catalogue, self._encoder, self._settings = catalogue, encoder, settings
        self.rules = HistoryRules(
            settings.history_window,
            settings.history_decay,
            settings.type_weights(),
        )

    def begin(self, collection: Collection, message: common_pb2.UserSide, call: CallContext) -> EncodingQuery:
        """Begin to encode the side's query. For `read`, which else would have to wait for it."""
        at_most(message.query, self._settings.max_inputs, "user.query")
        contents = [content(c) for c in message.query]
        return EncodingQuery(collection.space, self._encoder.begin(collection.space, contents, "query", call))

    def read(
        self,
        collection: Collection,
        message: common_pb2.UserSide,
        call: CallContext,
        begun: EncodingQuery | None = None,
    ) -> tuple[Side, list[Warning]]:
        """The side, with its user's events read and its query encoded, and what was noticed on the way."""
        space = collection.space
        at_most(message.history, self._settings.max_history, "user.history", 0)
        for field, ids in (
            ("liked_item_ids", message.liked_item_ids),
            ("disliked_item_ids", message.disliked_item_ids),
        ):
            at_most(ids, self._settings.max_items, f"user.{field}", 0)
        history = self._history(collection, message)
        warnings: list[Warning] = []
        query: dict[str, Array] = {}
        if message.query:
            if begun is None or begun.space is not space:  # the collection may have moved meanwhile
                begun = self.begin(collection, message, call)
            query, warnings = self._query(space, message, begun.encoding)
        ready = None
        if message.HasField("query_vector"):
            try:
                ready = vector(message.query_vector, common_pb2.VECTOR_ROLE_QUERY, space)
                if len(ready) != space.head.dimension:
                    raise InvalidArgument(
                        f"a QUERY vector has {space.head.dimension} numbers, not {len(ready)}", "dimension"
                    )
                check_finite(ready)
            except ItemlensError as error:
                raise error.within("user.query_vector") from None
        weights = {}
        for name in ("history", "query", "liked", "disliked", "query_vector"):
            if message.source_weights.HasField(name):
                value = getattr(message.source_weights, name)
                if not 0 <= value <= LARGEST_WEIGHT:
                    raise InvalidArgument(
                        f"{value} is no weight: it must be 0 to {LARGEST_WEIGHT:g}",
                        f"user.source_weights.{name}",
                    )
                weights[name] = value
        behaviour = message.behaviour_weight if message.HasField("behaviour_weight") else None
        if behaviour is not None and not abs(behaviour) <= LARGEST_WEIGHT:
            raise InvalidArgument(
                f"{behaviour} is no weight: it must be at most {LARGEST_WEIGHT:g}", "user.behaviour_weight"
            )
        interests = message.max_interests if message.HasField("max_interests") else 5
        if not 1 <= interests <= 5:
            raise InvalidArgument(f"max_interests is {interests}; it must be 1 to 5", "user.max_interests")
        try:
            changed = changes(message.channel_weights)
            changed_weights(space.head, KindWeights(), changed)
        except ItemlensError as error:
            raise error.within("user") from None
        side = Side(
            history, query, tuple(message.liked_item_ids), tuple(message.disliked_item_ids), ready, weights,
            changed, behaviour, interests,
        )  # fmt: skip
        return side, warnings

    def _history(self, collection: Collection, message: common_pb2.UserSide) -> list[Past]:
        recorded: list[Past] = []
        if message.user_id:
            rows = self._catalogue.store.reader().history(
                collection.row.id, message.user_id, self._settings.max_history
            )
            recorded = [Past(e.item_id, e.type) for e in rows]
            only = not (
                message.history or message.query or message.liked_item_ids or message.HasField("query_vector")
            )
            if not recorded and only:
                raise NotFound(
                    f"user {message.user_id!r} has no events in collection {collection.name!r}; record events, or add "
                    "a history, a query or liked items to the call", "user", message.user_id, "user.user_id",
                )  # fmt: skip
        given = list(message.history)
        if given and all(i.HasField("time") for i in given):
            given.sort(key=lambda i: (i.time.seconds, i.time.nanos))
        return recorded + [Past(i.item_id, i.type or common_pb2.EVENT_TYPE_CLICK) for i in given]

    def _query(
        self, space: Space, message: common_pb2.UserSide, encoding: Encoding
    ) -> tuple[dict[str, Array], list[Warning]]:
        raw: dict[str, list[Array]] = {}
        warnings: list[Warning] = []
        for n, one in enumerate(encoding.results()):
            field, channel = f"user.query[{n}]", message.query[n].channel
            if not isinstance(one, EncodedContent):
                raise one.within(field)
            if channel in raw:
                raise InvalidArgument(
                    f"channel {channel!r} comes twice; send one query for each channel", field
                )
            raw[channel] = [one.v]
            warnings += [Warning(x.reason, x.message, f"{field}.{x.field}") for x in one.warnings]
        try:
            return query_parts(space, raw), warnings
        except InvalidArgument as error:
            raise error.within("user.query") from None


def raw_vector(message: common_pb2.Vector, space: Space) -> tuple[str, Array]:
    """The channel and numbers of a CHANNEL vector.

    Raises:
        InvalidArgument, SpaceMismatch: it is not one of this space.
    """
    v = vector(message, common_pb2.VECTOR_ROLE_CHANNEL, space)
    return message.channel, check_raw(space, message.channel, v)
