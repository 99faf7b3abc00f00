"""Catalog's calls on events and users."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from itemlens.v1 import catalog_pb2, common_pb2
from itemlens_server.rpc import messages
from itemlens_server.rpc.adapter import Coroutine, Handler
from itemlens_server.rpc.pages import Listing, page_size
from itemlens_server.services import CallContext, Catalogue, EventRecord, StreamStep, WriteOutcome

Request: TypeAlias = catalog_pb2.RecordEventsRequest
Response: TypeAlias = catalog_pb2.RecordEventsResponse
# The event loop checks at most this many events itself, some 20 us each.
FEW_EVENTS = 16
# Rows have 64 bits in SQLite.
ROW_BYTES = 8


@dataclass(frozen=True)
class RecordEvents:
    """Record user events. With few of them, the call takes no thread while the disk writes."""

    catalogue: Catalogue
    in_thread: Callable[[Handler[Any, Any]], Coroutine[Any, Any]]

    async def __call__(self, request: Request, call: CallContext) -> Response:
        if len(request.events) > FEW_EVENTS or request.HasField("stream"):
            response: Response = await self.in_thread(self.record)(request, call)
            return response
        recording = self.catalogue.begin_record(request.collection, _events(request))
        # A caller who is gone does not cancel the write.
        await asyncio.gather(asyncio.wrap_future(recording.written), return_exceptions=True)
        return _recorded(recording.result())

    def record(self, request: Request, _: CallContext) -> Response:
        """The same in a thread."""
        step = _step(request.stream) if request.HasField("stream") else None
        return _recorded(self.catalogue.record(request.collection, _events(request), step))


def _events(request: Request) -> messages.Decoded[EventRecord]:
    return messages.Decoded(request.events, partial(_event, time.time()))


def _recorded(result: tuple[Sequence[WriteOutcome], int]) -> Response:
    outcomes, sequence = result
    return Response(results=messages.write_results(outcomes, "events"), sequence_number=sequence)


@dataclass(frozen=True)
class ListEvents:
    """Return a page of a user's events."""

    catalogue: Catalogue

    def __call__(
        self, request: catalog_pb2.ListEventsRequest, call: CallContext
    ) -> catalog_pb2.ListEventsResponse:
        collection = self.catalogue.collection(request.collection)
        size, listing = (
            page_size(request.page_size),
            Listing("ListEvents", (collection.record.id, request.user_id)),
        )
        after = int.from_bytes(listing.after(request.page_token)[:ROW_BYTES], signed=True)
        found = self.catalogue.event_changes.page(collection, request.user_id, after, size + 1)
        last = found[size - 1][0].to_bytes(ROW_BYTES) if len(found) > size else None
        return catalog_pb2.ListEventsResponse(
            events=[_message(event) for _, event in found[:size]],
            next_page_token="" if last is None else listing.token(last),
        )


@dataclass(frozen=True)
class DeleteEvents:
    """Delete events by id."""

    catalogue: Catalogue

    def __call__(
        self, request: catalog_pb2.DeleteEventsRequest, call: CallContext
    ) -> catalog_pb2.DeleteEventsResponse:
        collection = self.catalogue.collection(request.collection)
        outcomes, sequence = self.catalogue.event_changes.delete(collection, request.event_ids)
        results = messages.write_results(outcomes, "event_ids")
        return catalog_pb2.DeleteEventsResponse(results=results, sequence_number=sequence)


@dataclass(frozen=True)
class MergeUsers:
    """Give the events of one user to another."""

    catalogue: Catalogue

    def __call__(
        self, request: catalog_pb2.MergeUsersRequest, call: CallContext
    ) -> catalog_pb2.MergeUsersResponse:
        where = self.catalogue.one_or_all(request.collection)
        moved = self.catalogue.event_changes.merge(where, request.from_user_id, request.into_user_id)
        return catalog_pb2.MergeUsersResponse(moved_events=moved)


@dataclass(frozen=True)
class GetCounts:
    """Describe the counts of a collection."""

    catalogue: Catalogue

    def __call__(
        self, request: catalog_pb2.GetCountsRequest, call: CallContext
    ) -> catalog_pb2.GetCountsResponse:
        described = self.catalogue.collection(request.collection).event_tables.describe_counts()
        if described is None:
            return catalog_pb2.GetCountsResponse()
        return catalog_pb2.GetCountsResponse(
            digest=described.digest, event_count=described.events, user_count=described.users,
            item_count=described.items, sequence_number=described.sequence, rules=described.rules,
        )  # fmt: skip


@dataclass(frozen=True)
class DeleteUser:
    """Delete all data of a user, including kept recommendations."""

    catalogue: Catalogue

    def __call__(
        self, request: catalog_pb2.DeleteUserRequest, call: CallContext
    ) -> catalog_pb2.DeleteUserResponse:
        where = self.catalogue.one_or_all(request.collection)
        deleted = self.catalogue.event_changes.delete_user(where, request.user_id)
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
            reply.streams.add(
                stream=stored.stream, position=stored.position, event_count=stored.events, lag=stored.lag,
                update_time=messages.timestamp(stored.time),
            )  # fmt: skip
        return reply


def _step(message: catalog_pb2.StreamPosition) -> StreamStep:
    return StreamStep(message.stream, message.position, message.previous, message.lag)


def _event(now: float, message: catalog_pb2.Event) -> EventRecord:
    return EventRecord(
        message.event_id, message.user_id, message.item_id, int(message.type),
        messages.seconds(message.time) if message.HasField("time") else now,
        message.quantity if message.HasField("quantity") else 1.0,
        message.value if message.HasField("value") else None, message.recommendation_id, message.order_id,
        message.own_type,
    )  # fmt: skip


def _message(event: EventRecord) -> catalog_pb2.StoredEvent:
    kind = common_pb2.EVENT_TYPE_OWN if event.own_type else common_pb2.EventType.ValueType(event.type)
    message = catalog_pb2.Event(
        event_id=event.event_id, user_id=event.user_id, item_id=event.item_id, type=kind, quantity=event.quantity,
        value=event.value, recommendation_id=event.recommendation_id, order_id=event.order_id, own_type=event.own_type,
        time=messages.timestamp(event.time),
    )  # fmt: skip
    return catalog_pb2.StoredEvent(event=message, held_back=event.held)
