"""RecordEvents, ListStreams and DeleteUser."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from itemlens.v1 import catalog_pb2
from itemlens_server.rpc import messages
from itemlens_server.services import CallContext, Catalogue, EventRecord, StreamStep


@dataclass(frozen=True)
class RecordEvents:
    """Record user events."""

    catalogue: Catalogue

    def __call__(
        self, request: catalog_pb2.RecordEventsRequest, call: CallContext
    ) -> catalog_pb2.RecordEventsResponse:
        events = messages.Decoded(request.events, partial(_event, time.time()))
        step = _step(request.stream) if request.HasField("stream") else None
        outcomes, sequence = self.catalogue.record(request.collection, events, step)
        results = messages.write_results(outcomes, "events")
        return catalog_pb2.RecordEventsResponse(results=results, sequence_number=sequence)


@dataclass(frozen=True)
class DeleteUser:
    """Delete all data of a user, including kept recommendations."""

    catalogue: Catalogue

    def __call__(
        self, request: catalog_pb2.DeleteUserRequest, call: CallContext
    ) -> catalog_pb2.DeleteUserResponse:
        deleted = self.catalogue.delete_user(request.collection, request.user_id)
        return catalog_pb2.DeleteUserResponse(deleted_events=deleted)


@dataclass(frozen=True)
class ListStreams:
    """Return how far each stream of a collection was recorded."""

    catalogue: Catalogue

    def __call__(
        self, request: catalog_pb2.ListStreamsRequest, call: CallContext
    ) -> catalog_pb2.ListStreamsResponse:
        reply = catalog_pb2.ListStreamsResponse()
        for stored in self.catalogue.reads.streams(self.catalogue.collection(request.collection)):
            stream = reply.streams.add(
                stream=stored.stream, position=stored.position, event_count=stored.events, lag=stored.lag
            )
            stream.update_time.FromNanoseconds(int(stored.time * 1e9))
        return reply


def _step(message: catalog_pb2.StreamPosition) -> StreamStep:
    return StreamStep(message.stream, message.position, message.previous, message.lag)


def _event(now: float, message: catalog_pb2.Event) -> EventRecord:
    return EventRecord(
        message.event_id, message.user_id, message.item_id, int(message.type),
        messages.seconds(message.time) if message.HasField("time") else now,
        message.quantity if message.HasField("quantity") else 1.0,
        message.value if message.HasField("value") else None, message.recommendation_id,
    )  # fmt: skip
