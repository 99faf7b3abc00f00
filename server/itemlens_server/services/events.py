"""Checks of events, and the handling of events that were recorded before."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from itemlens_server.errors import AlreadyExists, InvalidArgument, ItemlensError, Warning
from itemlens_server.services.items import WriteOutcome
from itemlens_server.services.limits import check_id, check_reference
from itemlens_server.storage import writes
from itemlens_server.storage.records import EventRecord
from itemlens_server.storage.store import Store

# Numbers of the proto's EventType, without UNSPECIFIED.
TYPES = range(1, 8)
# The years 1 to 9999, the range of protobuf's Timestamp.
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_800


def record_events(
    store: Store,
    collection: int,
    events: Sequence[EventRecord],
    count: Callable[[Sequence[tuple[EventRecord, int]], int], None],
) -> tuple[list[WriteOutcome], int]:
    """Store the valid events. Return the outcome of each, and the sequence number.

    count: called with the new events, their rows and the sequence number, in the order of the writes, before they are
    acknowledged.
    """
    outcomes: dict[int, WriteOutcome] = {}
    valid: dict[int, EventRecord] = {}
    first: dict[str, EventRecord] = {}
    for n, event in enumerate(events):
        try:
            check(event)
            if not _same(event, first.setdefault(event.event_id, event)):
                raise AlreadyExists(
                    f"event {event.event_id!r} occurs twice in this call, with different contents", "event_id"
                )
            valid[n] = event
        except ItemlensError as error:
            outcomes[n] = WriteOutcome(event.event_id, error)
    given = list(valid.values())

    def after(result: tuple[list[int | EventRecord], int]) -> None:
        rows, sequence = result
        count(
            [(event, row) for event, row in zip(given, rows, strict=True) if isinstance(row, int)], sequence
        )

    stored, sequence = store.write(lambda c: writes.record_events(c, collection, given), after)
    for (n, event), there in zip(valid.items(), stored, strict=True):
        outcomes[n] = _outcome(event, there if isinstance(there, EventRecord) else None)
    return [outcomes[n] for n in range(len(events))], sequence


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


def _outcome(new: EventRecord, old: EventRecord | None) -> WriteOutcome:
    if old is None:
        return WriteOutcome(new.event_id)
    if _same(new, old):
        warning = Warning("DUPLICATE_EVENT", f"event {new.event_id!r} was recorded before; it counts once")
        return WriteOutcome(new.event_id, None, (warning,))
    return WriteOutcome(
        new.event_id,
        AlreadyExists(
            f"event {new.event_id!r} was recorded before with other contents; give a new id", "event_id"
        ),
    )
