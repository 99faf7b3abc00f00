"""Checks of events, what their types mean, and the handling of events that were recorded before."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from itemlens_server.attributes.schema import FIRST_SECOND, LAST_SECOND
from itemlens_server.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    ItemlensError,
    Warning,
    quoted,
)
from itemlens_server.fusion.history import DISLIKED
from itemlens_server.services.items import WriteOutcome
from itemlens_server.services.limits import check_id, check_reference
from itemlens_server.services.recommendation_ids import RecommendationIds
from itemlens_server.storage import streams, writes
from itemlens_server.storage.collection_settings import NO_INTEREST, CollectionSettings
from itemlens_server.storage.records import CollectionRecord, EventRecord
from itemlens_server.storage.store import Store
from itemlens_server.storage.streams import StreamStep

# Numbers of the proto's EventType, without UNSPECIFIED.
TYPES = range(1, 9)
OWN = 8
# Clocks of callers may be ahead by this, seconds. What is later is a mistake.
MOST_AHEAD = 86_400
# An event as it is stored, with its new row, or None if its id was there before.
Stored = tuple[int | None, EventRecord]
# SQLite's largest whole number.
LARGEST_LAG = 2**63 - 1


@dataclass(frozen=True)
class Recorded:
    """The events of a write as they are stored, and the sequence number of the write."""

    collection: CollectionRecord
    stored: Sequence[Stored]
    sequence: int

    @property
    def new(self) -> list[tuple[EventRecord, int]]:
        """Those that were not there before, with their rows."""
        return [(event, row) for row, event in self.stored if row is not None]


@dataclass(frozen=True)
class Recording:
    """Events whose write has begun.

    valid:   those that are written, by their place among all
    refused: the outcomes of the others
    written: the write
    """

    store: Store
    collection: CollectionRecord
    valid: Mapping[int, EventRecord]
    refused: Mapping[int, WriteOutcome]
    written: Future[Recorded]

    @staticmethod
    def begin(
        store: Store,
        collection: CollectionRecord,
        events: Sequence[EventRecord],
        ids: RecommendationIds,
        count: Callable[[Sequence[Recorded]], None],
        step: StreamStep | None = None,
    ) -> Recording:
        """Check events and begin to store those that are valid.

        ids: recognise recommendations from the collection.
        step: the step that the events make in their stream. Then all of them are stored or none, and a step that was
        made before stores nothing.
        count: called in the order of the writes, before they are acknowledged, with one or more of them.
        """
        valid, refused = _checked(collection, events, ids)

        def run(connection: sqlite3.Connection) -> Recorded:
            if step is not None and streams.was_made(connection, collection.id, step):
                raise _Repeated
            stored, sequence = writes.record_events(connection, collection.id, list(valid.values()))
            if step is not None:
                if refused or any(
                    _outcome(e, there).error for e, there in zip(valid.values(), stored, strict=True)
                ):
                    raise _Refused(stored)
                streams.move(connection, collection.id, step, sum(row is not None for row, _ in stored))
            return Recorded(collection, stored, sequence)

        return Recording(store, collection, valid, refused, store.submit(run, count))

    def result(self) -> tuple[list[WriteOutcome], int]:
        """Wait for the write. Return the outcome of each event, and the sequence number.

        Raises:
            StreamMoved: the stream is at another position than that before the step. Nothing was stored.
            StorageFull: nothing was stored.
        """
        outcomes = dict(self.refused)
        try:
            recorded = self.written.result()
            stored, sequence = recorded.stored, recorded.sequence
            outcomes |= {
                n: _outcome(e, there) for (n, e), there in zip(self.valid.items(), stored, strict=True)
            }
        except _Repeated:
            sequence = self.store.reader().sequence(self.collection.id)
            outcomes = {n: _repeated(outcome.id) for n, outcome in outcomes.items()}
            outcomes |= {n: _repeated(event.event_id) for n, event in self.valid.items()}
        except _Refused as refused:
            sequence = self.store.reader().sequence(self.collection.id)
            for (n, event), there in zip(self.valid.items(), refused.stored, strict=True):
                outcome = _outcome(event, there)
                outcomes[n] = outcome if outcome.error else _not_stored(event)
        return [outcomes[n] for n in range(len(outcomes))], sequence


def _checked(
    collection: CollectionRecord, events: Sequence[EventRecord], ids: RecommendationIds
) -> tuple[dict[int, EventRecord], dict[int, WriteOutcome]]:
    """Return the valid events as they are to be stored, and the outcomes of the others, by their places."""
    valid: dict[int, EventRecord] = {}
    refused: dict[int, WriteOutcome] = {}
    first: dict[str, EventRecord] = {}
    latest = time.time() + MOST_AHEAD
    for n, given in enumerate(events):
        event = given
        try:
            check(event)
            ids.check(event.recommendation_id, collection.id)
            kind, held = meaning(event, collection.settings), event.time > latest
            if kind != event.type or held:
                event = replace(event, type=kind, held=held)
            if not _same(event, first.setdefault(event.event_id, event)):
                raise AlreadyExists(
                    f"event {event.event_id!r} occurs twice in this call, with different contents", "event_id"
                )
            valid[n] = event
        except ItemlensError as error:
            refused[n] = WriteOutcome(event.event_id, error)
    return valid, refused


class _Repeated(Exception):
    """The step of the stream was made before."""


class _Refused(Exception):
    """An event cannot be stored, so the others of its stream are not stored either."""

    def __init__(self, stored: list[Stored]) -> None:
        self.stored = stored


def check_step(step: StreamStep) -> None:
    """Check a step in a stream.

    Raises:
        InvalidArgument: a field is invalid; the error names it.
    """
    check_id(step.stream, "stream.stream")
    check_id(step.position, "stream.position")
    check_reference(step.previous, "stream.previous")
    if step.position == step.previous:
        raise InvalidArgument(
            "position is the same as previous: a step goes on in its stream", "stream.position"
        )
    if step.lag > LARGEST_LAG:
        raise InvalidArgument(f"lag is {step.lag}; it must be below 2^63", "stream.lag")


def check(event: EventRecord) -> None:
    """Check an event.

    Raises:
        InvalidArgument: a field is invalid; the error names it.
    """
    for field in ("event_id", "user_id", "item_id"):
        check_id(getattr(event, field), field)
    for field in ("recommendation_id", "order_id", "own_type"):
        check_reference(getattr(event, field), field)
    if event.type not in TYPES:
        raise InvalidArgument(
            "`type` is required: VIEW, CLICK, CART, PURCHASE, RETURN, DISLIKE, IMPRESSION or OWN", "type"
        )
    if event.own_type and event.type != OWN:
        raise InvalidArgument("own_type is given, so `type` must be OWN", "type")
    for field, number in (("quantity", event.quantity), ("value", event.value)):
        if number is not None and not math.isfinite(number):
            raise InvalidArgument(f"{field} must be a finite number", field)
    if not FIRST_SECOND <= event.time < LAST_SECOND:
        raise InvalidArgument("time must be in the years 1 to 9999", "time")


def meaning(event: EventRecord, settings: CollectionSettings) -> int:
    """Return the type that an event is stored with: a number of the proto's EventType, or of an own type.

    Raises:
        InvalidArgument: its own type is unknown, or needs a value.
    """
    if event.type != OWN:
        return event.type
    own = settings.type(event.own_type)
    if own is None:
        known = ", ".join(sorted(known.name for known in settings.event_types)) or "none"
        raise InvalidArgument(
            f"{quoted(event.own_type)} is no own type of the collection (there are: {known}); add it to its "
            "settings with UpdateCollection", "own_type",
        )  # fmt: skip
    if own.liked_from is None and own.disliked_to is None:
        return own.number
    if event.value is None:
        raise InvalidArgument(
            f"an event of type {own.name!r} needs a value, which tells what it means", "value"
        )
    if own.disliked_to is not None and event.value <= own.disliked_to:
        return DISLIKED
    return own.number if own.liked_from is None or event.value >= own.liked_from else NO_INTEREST


def _same(a: EventRecord, b: EventRecord) -> bool:
    """Whether two events with the same id are equal except for their times, of which one may be an arrival time, and
    for what an own type meant when they were recorded."""
    if a is b or a == b:
        return True
    kind = b.type if a.own_type else a.type
    return replace(a, time=b.time, held=b.held, type=kind) == b


def _outcome(new: EventRecord, stored: Stored) -> WriteOutcome:
    """The outcome of an event by what the store returned for it."""
    row, there = stored
    if row is not None:
        return _recorded(there)
    if _same(new, there):
        return _repeated(new.event_id)
    return WriteOutcome(
        new.event_id,
        AlreadyExists(
            f"event {new.event_id!r} was recorded before with other contents; give a new id", "event_id"
        ),
    )


def _recorded(event: EventRecord) -> WriteOutcome:
    if not event.held:
        return WriteOutcome(event.event_id)
    warning = Warning(
        "FUTURE_TIME", "the time is more than a day ahead: the event is stored but does not count; if the clock was "
        "wrong, delete it and record it again with the right time", "time",
    )  # fmt: skip
    return WriteOutcome(event.event_id, None, (warning,))


def _repeated(event_id: str) -> WriteOutcome:
    warning = Warning("DUPLICATE_EVENT", f"event {event_id!r} was recorded before; it counts once")
    return WriteOutcome(event_id, None, (warning,))


def _not_stored(event: EventRecord) -> WriteOutcome:
    error = FailedPrecondition(
        "not recorded, because other events of this step of the stream were refused: send it again without those"
    )
    return WriteOutcome(event.event_id, error)
