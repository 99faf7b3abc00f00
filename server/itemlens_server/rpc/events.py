"""RecordEvents and DeleteUser."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from itemlens.v1 import catalog_pb2, common_pb2
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import AlreadyExists, InvalidArgument, ItemlensError
from itemlens_server.rpc import messages as convert
from itemlens_server.rpc.items import results
from itemlens_server.services.catalogue import Catalogue, same_event
from itemlens_server.services.items import MAX_ID, WriteOutcome
from itemlens_server.services.recommender import Recommendations
from itemlens_server.storage.records import EventRow

# What google.protobuf.Timestamp may hold.
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799


@dataclass(frozen=True)
class RecordEvents:
    """Add what users did."""

    catalogue: Catalogue
    settings: Settings

    def __call__(
        self, request: catalog_pb2.RecordEventsRequest, call: CallContext
    ) -> catalog_pb2.RecordEventsResponse:
        convert.at_most(request.events, self.settings.max_events, "events")
        outcomes: dict[int, WriteOutcome] = {}
        rows: dict[int, EventRow] = {}
        first: dict[str, EventRow] = {}
        now = time.time()
        for n, message in enumerate(request.events):
            try:
                row = _row(message, now)
                if not same_event(row, first.setdefault(row.event_id, row)):
                    raise AlreadyExists(
                        f"event {row.event_id!r} comes twice in this call and differs", "event_id"
                    )
                rows[n] = row
            except ItemlensError as error:
                outcomes[n] = WriteOutcome(message.event_id, error)
        stored, sequence = self.catalogue.record(request.collection, list(rows.values()))
        outcomes.update(zip(rows, stored, strict=True))
        ordered = [outcomes[n] for n in range(len(request.events))]
        return catalog_pb2.RecordEventsResponse(results=results(ordered, "events"), sequence_number=sequence)


@dataclass(frozen=True)
class DeleteUser:
    """Delete all that is known of a user, remembered recommendations included."""

    catalogue: Catalogue
    recommendations: Recommendations

    def __call__(
        self, request: catalog_pb2.DeleteUserRequest, call: CallContext
    ) -> catalog_pb2.DeleteUserResponse:
        if not request.user_id:
            raise InvalidArgument("say whose data is to go", "user_id")
        deleted = self.catalogue.delete_user(request.collection, request.user_id)
        self.recommendations.forget(request.collection, request.user_id)
        return catalog_pb2.DeleteUserResponse(deleted_events=deleted)


def _row(message: catalog_pb2.Event, now: float) -> EventRow:
    for field in ("event_id", "user_id", "item_id"):
        if not 1 <= len(getattr(message, field)) <= MAX_ID:
            raise InvalidArgument(f"{field} has 1 to {MAX_ID} characters", field)
    if message.type == common_pb2.EVENT_TYPE_UNSPECIFIED or message.type not in common_pb2.EventType.values():
        raise InvalidArgument(
            "say what was done: VIEW, CLICK, CART, PURCHASE, RETURN, DISLIKE or IMPRESSION", "type"
        )
    quantity = message.quantity if message.HasField("quantity") else 1.0
    value = message.value if message.HasField("value") else None
    for field, number in (("quantity", quantity), ("value", value)):
        if number is not None and not math.isfinite(number):
            raise InvalidArgument(f"{field} must be a finite number", field)
    when = now
    if message.HasField("time"):
        if not FIRST_SECOND <= message.time.seconds <= LAST_SECOND or not 0 <= message.time.nanos < 10**9:
            raise InvalidArgument("time must lie in the years 1 to 9999", "time")
        when = message.time.seconds + message.time.nanos / 1e9
    return EventRow(
        message.event_id, message.user_id, message.item_id, int(message.type), when, quantity, value,
        message.recommendation_id,
    )  # fmt: skip
