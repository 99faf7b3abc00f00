"""Convert replies to result objects. Pure functions. Arrays are read-only views of the reply's memory."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
from google.protobuf import json_format

from . import _boosts, _errors, _results, _rules, _stored
from ._enums import AttributeType, Basis, ChannelKind, EventType, PartKind, Presence, Role
from ._results import Warning
from ._types import Event, Exploration, ExternalVector, Floats, Item, Lexical, OwnEventType, Relation, Vector
from .v1 import catalog_pb2, common_pb2, itemlens_pb2

Named = TypeVar("Named", bound=StrEnum)


def _enum(kind: type[Named], proto: Any, prefix: str, number: int) -> Named:
    """The enum member of the same name; `unspecified` for a value that only a newer server knows."""
    known = proto.values_by_number.get(number)
    name = known.name.removeprefix(prefix).lower() if known else "unspecified"
    return kind(name)


def _role(number: int) -> Role:
    return _enum(Role, common_pb2.VectorRole.DESCRIPTOR, "VECTOR_ROLE_", number)


def _floats(data: bytes, *shape: int) -> Floats:
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False).reshape(shape)


def warnings(given: Iterable[common_pb2.Warning]) -> tuple[Warning, ...]:
    """Warnings."""
    return tuple(Warning(warning.reason, warning.message, warning.field) for warning in given)


def vector(given: common_pb2.Vector) -> Vector:
    """A single vector."""
    return Vector(_floats(given.data, given.dimension), _role(given.role), given.space_id, given.channel)


def _rows(matrix: common_pb2.Matrix) -> list[Vector]:
    rows = _floats(matrix.data, matrix.rows, matrix.dimension)
    return [Vector(row, _role(matrix.role), matrix.space_id, matrix.channel) for row in rows]


def space(reply: itemlens_pb2.GetSpaceResponse) -> _results.Space:
    """The description of a space."""
    kinds = itemlens_pb2.ChannelKind.DESCRIPTOR
    channels = tuple(
        _results.Channel(
            name=channel.name,
            kind=_enum(ChannelKind, kinds, "CHANNEL_KIND_", channel.kind),
            dimension=channel.dimension,
            provider=channel.provider,
            precision=channel.precision,
            version=channel.version,
        )
        for channel in reply.channels
    )
    return _results.Space(reply.space_id, reply.name, channels, reply.fused_dimension, reply.fitted)


def statistics(reply: itemlens_pb2.GetStatisticsResponse) -> _results.Statistics:
    """The statistics of the encoders."""
    encoders = tuple(
        _results.EncoderStatistics(
            **{field.name: getattr(encoder, field.name) for field in encoder.DESCRIPTOR.fields}
        )
        for encoder in reply.encoders
    )
    return _results.Statistics(encoders, reply.cache_hits, reply.cache_misses, reply.cache_bytes)


def encoded(reply: itemlens_pb2.EncodeResponse) -> _results.Encoded:
    """One result for each input."""
    matrices = {matrix.channel: _rows(matrix) for matrix in reply.matrices}

    def encoded_input(result: itemlens_pb2.EncodeResult) -> _results.EncodedInput:
        error = _errors.from_status(result.status)
        row = None if error else matrices[result.channel][result.row]
        return _results.EncodedInput(result.channel, row, error, warnings(result.warnings))

    return _results.Encoded(tuple(encoded_input(result) for result in reply.results), reply.space_id)


def fused(reply: itemlens_pb2.FuseResponse) -> _results.Fused:
    """One result for each input."""
    rows = _rows(reply.vectors)
    names = itemlens_pb2.Presence.DESCRIPTOR

    def fused_input(result: itemlens_pb2.FuseResult) -> _results.FusedInput:
        error = _errors.from_status(result.status)
        return _results.FusedInput(
            vector=None if error else rows[result.row],
            presence={c.channel: _enum(Presence, names, "PRESENCE_", c.presence) for c in result.channels},
            error=error,
            warnings=warnings(result.warnings),
        )

    return _results.Fused(tuple(fused_input(result) for result in reply.results), reply.space_id)


def _parts(given: Iterable[common_pb2.Part]) -> tuple[_results.Part, ...]:
    kinds = common_pb2.PartKind.DESCRIPTOR
    return tuple(
        _results.Part(
            kind=_enum(PartKind, kinds, "PART_KIND_", part.kind),
            channel=part.channel,
            value=part.value,
            predicted=part.predicted,
            is_share=part.is_share,
            past_item_id=part.past_item_id,
            source_channel=part.source_channel,
            text=part.text,
            start=part.start,
            end=part.end,
            picture_index=part.picture_index,
            row=part.row,
            column=part.column,
            spelling=part.spelling,
            name=part.name,
        )
        for part in given
    )


def recommendations(reply: itemlens_pb2.RecommendResponse) -> _results.Recommendations:
    """The recommended items and the user's interests."""
    items = tuple(
        _results.Recommendation(
            item.item_id,
            item.position,
            item.score,
            item.interest,
            _parts(item.parts),
            item.reason,
            item.probability if item.HasField("probability") else None,
            item.explored,
            json_format.MessageToDict(item.attributes),
            tuple(item.other_item_ids),
            item.rank,
            tuple(item.rules),
        )
        for item in reply.items
    )
    interests = tuple(
        _results.Interest(
            weight=interest.weight,
            item_ids=tuple(interest.item_ids),
            query_vector=vector(interest.query_vector) if interest.HasField("query_vector") else None,
        )
        for interest in reply.interests
    )
    return _results.Recommendations(
        recommendation_id=reply.recommendation_id,
        space_id=reply.space_id,
        items=items,
        interests=interests,
        eligible_items=reply.eligible_items,
        warnings=warnings(reply.warnings),
        basis=_enum(Basis, itemlens_pb2.Basis.DESCRIPTOR, "BASIS_", reply.basis),
        changes=tuple(
            _results.ListChange(change.attribute, change.most, change.items, change.rule)
            for change in reply.changes
        ),
        facets={facet.attribute: _facet(facet) for facet in reply.facets},
    )


def _facet(given: itemlens_pb2.Facet) -> _results.Facet:
    json = json_format.MessageToDict
    return _results.Facet(
        items=given.items,
        counts={json(count.value): count.items for count in given.counts},
        value_count=given.value_count,
        min=json(given.min) if given.HasField("min") else None,
        max=json(given.max) if given.HasField("max") else None,
    )


def _heat_map(given: itemlens_pb2.HeatMap) -> _results.HeatMap:
    shape = (given.rows, given.columns) if given.values else (0, 0)
    values = np.array(given.values, dtype=np.float32).reshape(shape)
    values.flags.writeable = False
    return _results.HeatMap(given.channel, given.picture_index, values, given.png)


def _sum(given: itemlens_pb2.ChannelSum) -> _results.ChannelSum:
    values = _floats(given.values, len(given.sources), len(given.places))
    return _results.ChannelSum(given.channel, tuple(given.sources), _parts(given.places), values)


def explanations(reply: itemlens_pb2.ExplainResponse) -> _results.Explanations:
    """The explanation of each item's score."""
    results = tuple(
        _results.Explanation(
            item_id=explanation.item_id,
            score=explanation.score,
            residual=explanation.residual,
            by_channel=_parts(explanation.by_channel),
            by_source=_parts(explanation.by_source),
            by_place=_parts(explanation.by_place),
            sums=tuple(_sum(each) for each in explanation.sums),
            sentence=explanation.sentence,
            heat_maps=tuple(_heat_map(each) for each in explanation.heat_maps),
            error=_errors.from_status(explanation.status),
            rules=tuple(explanation.rules),
        )
        for explanation in reply.explanations
    )
    return _results.Explanations(results, reply.space_id, warnings(reply.warnings))


def collection(given: catalog_pb2.Collection) -> _stored.Collection:
    """A collection and its counts."""
    return _stored.Collection(
        name=given.name,
        space_id=given.space_id,
        item_count=given.item_count,
        event_count=given.event_count,
        sequence_number=given.sequence_number,
        create_time=given.create_time.ToDatetime(UTC),
        behaviour_sequence_number=given.behaviour_sequence_number,
        event_types=tuple(
            OwnEventType(
                name=own.name,
                weight=own.weight,
                liked_from=own.liked_from if own.HasField("liked_from") else None,
                disliked_to=own.disliked_to if own.HasField("disliked_to") else None,
            )
            for own in given.settings.event_types
        ),
        exploration=Exploration(
            share=given.settings.exploration.share, max_lists=given.settings.exploration.max_lists
        )
        if given.settings.HasField("exploration")
        else None,
        lexical=Lexical(
            channels=tuple(given.settings.lexical.channels),
            attributes=tuple(given.settings.lexical.attributes),
        )
        if given.settings.HasField("lexical")
        else None,
        attributes={
            own.name: AttributeType(
                catalog_pb2.AttributeType.Name(own.type).removeprefix("ATTRIBUTE_TYPE_").lower()
            )
            for own in given.attributes
        },
        rules=tuple(_rules.read(own) for own in given.settings.rules if own.WhichOneof("kind")),
        boosts=tuple(map(_boosts.read, given.settings.boosts)),
    )


def stored_event(given: catalog_pb2.StoredEvent) -> _stored.StoredEvent:
    """A recorded event."""
    own = given.event
    name = common_pb2.EventType.Name(own.type).removeprefix("EVENT_TYPE_").lower()
    event = Event(
        user_id=own.user_id,
        item_id=own.item_id,
        type=EventType(name),
        time=own.time.ToDatetime(UTC),
        quantity=own.quantity,
        value=own.value if own.HasField("value") else None,
        recommendation_id=own.recommendation_id,
        event_id=own.event_id,
        order_id=own.order_id,
        own_type=own.own_type,
    )
    return _stored.StoredEvent(event, given.held_back)


def write_result(given: catalog_pb2.WriteResult) -> _stored.WriteResult:
    """The result of one entry of a write."""
    return _stored.WriteResult(
        given.id, _errors.from_status(given.status), warnings(given.warnings), given.sequence_number
    )


def written(
    reply: catalog_pb2.UpsertItemsResponse
    | catalog_pb2.UpdateItemsResponse
    | catalog_pb2.DeleteItemsResponse
    | catalog_pb2.RecordEventsResponse
    | catalog_pb2.DeleteEventsResponse,
) -> _stored.Written:
    """The results of all entries of a write."""
    return _stored.Written(tuple(write_result(result) for result in reply.results), reply.sequence_number)


def event_stream(given: catalog_pb2.EventStream) -> _stored.EventStream:
    """How far a stream was recorded."""
    return _stored.EventStream(
        stream=given.stream,
        position=given.position,
        event_count=given.event_count,
        lag=given.lag,
        update_time=given.update_time.ToDatetime(UTC),
    )


def _item(given: catalog_pb2.Item) -> Item:
    pictures: dict[str, list[bytes]] = {}
    for content in given.contents:
        if content.WhichOneof("value") == "picture":
            pictures.setdefault(content.channel, []).append(content.picture)
    return Item(
        given.item_id,
        texts={c.channel: c.text for c in given.contents if c.WhichOneof("value") == "text"},
        pictures={channel: tuple(listed) for channel, listed in pictures.items()},
        external={
            c.channel: ExternalVector(_floats(c.vector.data, -1), c.vector.version)
            for c in given.contents
            if c.WhichOneof("value") == "vector"
        },
        attributes=json_format.MessageToDict(given.attributes),
        relations=tuple(Relation(link.type, link.item_id) for link in given.relations),
    )


def stored_item(given: catalog_pb2.StoredItem) -> _stored.StoredItem:
    """A stored item."""
    return _stored.StoredItem(
        item=_item(given.item),
        sequence_number=given.sequence_number,
        vector=vector(given.vector) if given.HasField("vector") else None,
        error=_errors.from_status(given.status),
    )


def stored_items(reply: catalog_pb2.GetItemsResponse) -> _stored.StoredItems:
    """Stored items."""
    return _stored.StoredItems(tuple(stored_item(item) for item in reply.items), reply.space_id)
