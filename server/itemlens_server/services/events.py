"""Checks of events, and the handling of events that were recorded before."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace

from itemlens_server.errors import AlreadyExists, FailedPrecondition, InvalidArgument, ItemlensError, Warning
from itemlens_server.services.items import WriteOutcome
from itemlens_server.services.limits import check_id, check_reference
from itemlens_server.services.recommendation_ids import RecommendationIds
from itemlens_server.storage import streams, writes
from itemlens_server.storage.records import EventRecord
from itemlens_server.storage.store import Store
from itemlens_server.storage.streams import StreamStep

# Numbers of the proto's EventType, without UNSPECIFIED.
TYPES = range(1, 8)
# The years 1 to 9999, the range of protobuf's Timestamp.
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_800
# SQLite's largest whole number.
LARGEST_LAG = 2**63 - 1


def record_events(
    store: Store,
    collection: int,
    events: Sequence[EventRecord],
    ids: RecommendationIds,
    count: Callable[[Sequence[tuple[EventRecord, int]], int], None],
    step: StreamStep | None = None,
) -> tuple[list[WriteOutcome], int]:
    """Store the valid events. Return the outcome of each, and the sequence number.

    ids: recognise recommendations from the collection.
    step: the step that the events make in their stream. Then all of them are stored or none, and a step that was made
    before stores nothing.
    count: called with the new events, their rows and the sequence number, in the order of the writes, before they are
    acknowledged.
    """
    outcomes: dict[int, WriteOutcome] = {}
    valid: dict[int, EventRecord] = {}
    first: dict[str, EventRecord] = {}
    for n, event in enumerate(events):
        try:
            check(event)
            ids.check(event.recommendation_id, collection)
            if not _same(event, first.setdefault(event.event_id, event)):
                raise AlreadyExists(
                    f"event {event.event_id!r} occurs twice in this call, with different contents", "event_id"
                )
            valid[n] = event
        except ItemlensError as error:
            outcomes[n] = WriteOutcome(event.event_id, error)
    given = list(valid.values())

    def run(connection: sqlite3.Connection) -> tuple[list[int | EventRecord], int]:
        if step is not None and streams.was_made(connection, collection, step):
            raise _Repeated
        rows, sequence = writes.record_events(connection, collection, given)
        if step is not None:
            if outcomes or any(_outcome(e, there).error for e, there in zip(given, rows, strict=True)):
                raise _Refused(rows)
            streams.move(connection, collection, step, sum(isinstance(there, int) for there in rows))
        return rows, sequence

    def after(result: tuple[list[int | EventRecord], int]) -> None:
        rows, sequence = result
        count(
            [(event, row) for event, row in zip(given, rows, strict=True) if isinstance(row, int)], sequence
        )

    try:
        stored, sequence = store.write(run, after)
    except _Repeated:
        return [_repeated(event) for event in events], store.reader().sequence(collection)
    except _Refused as refused:
        for (n, event), there in zip(valid.items(), refused.stored, strict=True):
            outcome = _outcome(event, there)
            outcomes[n] = outcome if outcome.error else _not_stored(event)
        return [outcomes[n] for n in range(len(events))], store.reader().sequence(collection)
    for (n, event), there in zip(valid.items(), stored, strict=True):
        outcomes[n] = _outcome(event, there)
    return [outcomes[n] for n in range(len(events))], sequence


class _Repeated(Exception):
    """The step of the stream was made before."""


class _Refused(Exception):
    """An event cannot be stored, so the others of its stream are not stored either."""

    def __init__(self, stored: list[int | EventRecord]) -> None:
        self.stored = stored


def check_step(step: StreamStep) -> None:
    """Check a step in a stream.

    Raises:
        InvalidArgument: a field is invalid; the error names it.
    """
    check_id(step.stream, "stream.stream")
    check_id(step.position, "stream.position")
    check_reference(step.previous, "stream.previous")
    if step.lag > LARGEST_LAG:
        raise InvalidArgument(f"lag is {step.lag}; it must be below 2^63", "stream.lag")


def check(event: EventRecord) -> None:
    """Check an event.

    Raises:
        InvalidArgument: a field is invalid; the error names it.
    """
    for field in ("event_id", "user_id", "item_id"):
        check_id(getattr(event, field), field)
    check_reference(event.recommendation_id, "recommendation_id")
    if event.type not in TYPES:
        raise InvalidArgument(
            "`type` is required: VIEW, CLICK, CART, PURCHASE, RETURN, DISLIKE or IMPRESSION", "type"
        )
    for field, number in (("quantity", event.quantity), ("value", event.value)):
        if number is not None and not math.isfinite(number):
            raise InvalidArgument(f"{field} must be a finite number", field)
    if not FIRST_SECOND <= event.time < LAST_SECOND:
        raise InvalidArgument("time must be in the years 1 to 9999", "time")


def _same(a: EventRecord, b: EventRecord) -> bool:
    """Whether two events with the same id are equal except for their times, of which one may be an arrival time."""
    return replace(a, time=b.time) == b


def _outcome(new: EventRecord, there: int | EventRecord) -> WriteOutcome:
    """The outcome of an event by what the store returned for it: its row, or the stored event with its id."""
    if isinstance(there, int):
        return WriteOutcome(new.event_id)
    if _same(new, there):
        return _repeated(new)
    return WriteOutcome(
        new.event_id,
        AlreadyExists(
            f"event {new.event_id!r} was recorded before with other contents; give a new id", "event_id"
        ),
    )


def _repeated(event: EventRecord) -> WriteOutcome:
    warning = Warning("DUPLICATE_EVENT", f"event {event.event_id!r} was recorded before; it counts once")
    return WriteOutcome(event.event_id, None, (warning,))


def _not_stored(event: EventRecord) -> WriteOutcome:
    error = FailedPrecondition(
        "not recorded, because other events of this step of the stream were refused: send it again without those"
    )
    return WriteOutcome(event.event_id, error)
