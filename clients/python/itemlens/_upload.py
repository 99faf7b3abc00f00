"""Bulk operations: many items or events over one stream, with a bounded number of batches in flight."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

from . import _build, _read
from ._build import Names
from ._errors import ErrorDetails, InvalidArgument, ItemlensError, ServerError, Unavailable
from ._flavours import Awaited, Blocking, awaited, blocking
from ._steps import Finish, Open, Read, Session, Sleep, Steps, Write
from ._stored import Progress, UploadReport, WriteResult
from ._types import Event, Item, ItemUpdate
from .v1 import catalog_pb2 as pb

Entry = TypeVar("Entry")
OnProgress: TypeAlias = Callable[[Progress], None] | bool

MAX_BATCH_BYTES = 8 << 20
"""A batch ends at this size, so that pictures neither fill the memory nor exceed the message limit."""
UNREADABLE_FILE = "UNREADABLE_FILE"
"""`details.reason` of an entry whose picture file cannot be read."""
MAX_ENTRY_BYTES = 48 << 20
"""An entry of this size after almost MAX_BATCH_BYTES still fits the client's message limit."""


def upload(
    session: Session,
    items: Iterable[Item],
    *,
    merge: bool = False,
    keep_attributes: bool = False,
    batch_size: int = 64,
    in_flight: int = 4,
    progress: OnProgress = False,
    collection: str | None = None,
    timeout: float = 120.0,
) -> Steps[UploadReport]:
    """Add or replace many items over one stream.

    After UNAVAILABLE or RESOURCE_EXHAUSTED, the upload resumes after the last acknowledged batch, even if the
    server has restarted. It fails when the client's Retry allows no further try since the last acknowledgement.
    Unacknowledged batches are sent again, which is safe. Items that the server had no room for are sent again
    too; if an id occurs more than once, its last occurrence may then not be the stored one.

    Args:
        items: the items, read one by one as needed. In an AsyncClient, too, this is a plain iterable, and it
            must not block the event loop.
        merge: as in `upsert`.
        keep_attributes: as in `upsert`.
        batch_size: largest number of items in a batch. 8 MiB, or an id that is already in the batch, end a
            batch too.
        in_flight: largest number of batches that are sent but not acknowledged.
        progress: called after each batch; True writes a line to stderr.
        collection: default: the client's.
        timeout: seconds to wait for the next acknowledgement, or for the server to come back. The whole upload
            has no time limit.

    Returns:
        Counts, and the items that failed or have warnings. An item that cannot be sent (an unreadable picture
        file, an attribute that JSON cannot represent) counts as failed; the others are uploaded.

    Raises:
        ItemlensError: the error that ended the upload. A note on it says how many entries were acknowledged.
            Uploading everything again is safe.
    """
    where = session.where(collection)

    def message(item: Item) -> Steps[pb.Item]:
        names = Names()
        if _build.needs_names(item):
            names = Names((yield from session.space_of(where, session.deadline(None))))
        return _build.item(item, names)

    def wrap(messages: list[Any]) -> pb.StreamUpsertItemsRequest:
        upsert = pb.UpsertItemsRequest(
            collection=where, items=messages, merge=merge, keep_attributes=keep_attributes
        )
        return pb.StreamUpsertItemsRequest(upsert=upsert)

    bulk = _Bulk[Item](
        kind=Item,
        method="StreamUpsertItems",
        message=message,
        id_of=lambda item: item.item_id,
        wrap=wrap,
        unwrap=lambda reply: reply.upsert,
    )
    return (yield from _Upload(session, bulk, items, batch_size, in_flight, progress, timeout).run())


def upload_events(
    session: Session,
    events: Iterable[Event],
    *,
    batch_size: int = 1000,
    in_flight: int = 4,
    progress: OnProgress = False,
    collection: str | None = None,
    timeout: float = 120.0,
) -> Steps[UploadReport]:
    """Record many events over one stream. Arguments, resumption and errors are those of `upload`."""
    where = session.where(collection)

    def message(event: Event) -> Steps[pb.Event]:
        yield from ()  # a generator, as for items, but without a step
        return _build.event(event)

    def wrap(messages: list[Any]) -> pb.StreamRecordEventsRequest:
        return pb.StreamRecordEventsRequest(record=pb.RecordEventsRequest(collection=where, events=messages))

    bulk = _Bulk[Event](
        kind=Event,
        method="StreamRecordEvents",
        message=message,
        id_of=lambda event: event.event_id,
        wrap=wrap,
        unwrap=lambda reply: reply.record,
    )
    return (yield from _Upload(session, bulk, events, batch_size, in_flight, progress, timeout).run())


def upload_updates(
    session: Session,
    updates: Iterable[ItemUpdate],
    *,
    batch_size: int = 1000,
    in_flight: int = 4,
    progress: OnProgress = False,
    collection: str | None = None,
    timeout: float = 120.0,
) -> Steps[UploadReport]:
    """Change attributes of many items over one stream, as `update_items` does. Arguments, resumption and errors are
    those of `upload`; a batch may have several updates of an item. An update with an `if_sequence_number` that is sent
    again may have been made before: then its error is Aborted."""
    where = session.where(collection)

    def message(update: ItemUpdate) -> Steps[pb.ItemUpdate]:
        yield from ()
        return _build.item_update(update)

    def wrap(messages: list[Any]) -> pb.StreamUpdateItemsRequest:
        return pb.StreamUpdateItemsRequest(update=pb.UpdateItemsRequest(collection=where, updates=messages))

    bulk = _Bulk[ItemUpdate](
        kind=ItemUpdate,
        method="StreamUpdateItems",
        message=message,
        id_of=lambda update: update.item_id,
        wrap=wrap,
        unwrap=lambda reply: reply.update,
        once=False,
    )
    return (yield from _Upload(session, bulk, updates, batch_size, in_flight, progress, timeout).run())


@dataclass(frozen=True)
class _Bulk(Generic[Entry]):
    """The differences between uploads of items, of events and of updates."""

    kind: type[Entry]
    method: str
    message: Callable[[Entry], Steps[Any]]
    id_of: Callable[[Entry], str]
    wrap: Callable[[list[Any]], Any]
    unwrap: Callable[[Any], Any]
    once: bool = True
    """Whether an id may be in a request only once."""


@dataclass(frozen=True)
class _Batch:
    ids: list[str]
    messages: list[Any]
    tries: int = 1

    def only(self, places: list[int]) -> _Batch:
        """A batch of some of its entries, for their next try."""
        ids, messages = [self.ids[i] for i in places], [self.messages[i] for i in places]
        return replace(self, ids=ids, messages=messages, tries=self.tries + 1)


class _Upload(Generic[Entry]):
    """One upload. A batch is `fresh` or `waiting` (to be sent again), then `flying`, then acknowledged."""

    def __init__(
        self,
        session: Session,
        bulk: _Bulk[Entry],
        entries: Iterable[Entry],
        batch_size: int,
        in_flight: int,
        progress: OnProgress,
        timeout: float,
    ) -> None:
        if batch_size < 1 or in_flight < 1:
            raise ValueError("batch_size and in_flight must be at least 1")
        self.session, self.bulk, self.timeout = session, bulk, timeout
        self.batch_size, self.in_flight = batch_size, in_flight
        self.entries: Iterator[Entry] = iter(entries)
        self.held: Entry | None = None
        self.total = len(entries) if isinstance(entries, Sized) else None
        self.tell = _Line() if progress is True else progress or None
        self.waiting: deque[_Batch] = deque()
        self.flying: deque[_Batch] = deque()
        self.failed: list[WriteResult] = []
        self.warned: list[WriteResult] = []
        self.written = self.sequence_number = self.resumed = 0
        self.began = time.monotonic()

    def run(self) -> Steps[UploadReport]:
        connected, failures = False, 0
        # One batch until the first acknowledgement: a refusal then costs one batch, and its status is read.
        in_flight = 1
        while True:
            batch = (yield from self._next()) if len(self.flying) < in_flight else None
            if batch:
                self.flying.append(batch)
            elif not self.flying:
                break
            try:
                if not connected:
                    # After a break the server may be restarting. At the start, a wrong address must fail at once.
                    yield Open(self.bulk.method, wait_for_ready=self.resumed > 0 and self.written > 0)
                    connected = True
                if batch:
                    yield Write(self.bulk.wrap(batch.messages))
                    continue
                reply = yield Read(self.timeout)
                if reply is None:
                    raise Unavailable("the server ended the stream early")
            except ItemlensError as error:
                failures += 1
                wait = self.session.retry.wait(failures, error)
                if wait is None:
                    error.add_note(f"{self.written} entries were acknowledged before this ended the upload")
                    raise
                self.waiting.extendleft(reversed(self.flying))
                self.flying.clear()
                self.resumed += 1
                connected, in_flight = False, 1
            else:
                failures, in_flight = 0, self.in_flight
                wait = self._acknowledge(self.flying.popleft(), self.bulk.unwrap(reply))
                self._tell()
            if wait:
                yield Sleep(wait)
        if connected:
            # Everything is acknowledged, so the status of the stream does not matter.
            with contextlib.suppress(ItemlensError):
                yield Finish(self.timeout)
        if isinstance(self.tell, _Line):
            self.tell.end()
        return UploadReport(
            written=self.written,
            failed=tuple(self.failed),
            warned=tuple(self.warned),
            sequence_number=self.sequence_number,
            resumed=self.resumed,
            seconds=time.monotonic() - self.began,
        )

    def _next(self) -> Steps[_Batch | None]:
        if self.waiting:
            return self.waiting.popleft()
        batch, size, ids = _Batch([], []), 0, set[str]()
        while len(batch.ids) < self.batch_size and size < MAX_BATCH_BYTES:
            entry = self.held or next(self.entries, None)
            self.held = None
            if entry is None:
                break
            _build.check_kind(self.bulk.kind, entry, "an entry")
            if (
                self.bulk.once and self.bulk.id_of(entry) in ids
            ):  # a request stores only the last item of an id
                self.held = entry
                break
            try:
                message = yield from self.bulk.message(entry)
                if message.ByteSize() > MAX_ENTRY_BYTES:
                    raise ValueError(
                        f"the entry has {message.ByteSize()} bytes; at most {MAX_ENTRY_BYTES} fit into a message"
                    )
            except OSError as error:
                self._fail(entry, f"{error.strerror}: {error.filename}", ErrorDetails(reason=UNREADABLE_FILE))
                continue
            except (TypeError, ValueError) as error:
                self._fail(entry, str(error), ErrorDetails())
                continue
            ids.add(self.bulk.id_of(entry))
            batch.ids.append(self.bulk.id_of(entry))
            batch.messages.append(message)
            size += message.ByteSize()
        return batch if batch.ids else None

    def _fail(self, entry: Any, message: str, details: ErrorDetails) -> None:
        """Record a bad entry. It fails alone, like an entry that the server refuses."""
        error = InvalidArgument(message, details=details)
        self.failed.append(WriteResult(self.bulk.id_of(entry), error, ()))

    def _acknowledge(self, batch: _Batch, reply: Any) -> float | None:
        """Record the results of a batch. Return the seconds to wait if some entries must be sent again."""
        results = [_read.write_result(result) for result in reply.results]
        if len(results) == 1 and not results[0].id and results[0].error:  # the request as a whole was refused
            results = [replace(results[0], id=id) for id in batch.ids]
        if len(results) != len(batch.ids):
            raise ServerError(f"{len(results)} results for a batch of {len(batch.ids)}")
        self.sequence_number = max(self.sequence_number, reply.sequence_number)
        again, longest = [], 0.0
        for place, result in enumerate(results):
            if result.error is None:
                self.written += 1
                if result.warnings:
                    self.warned.append(result)
            elif (wait := self.session.retry.wait(batch.tries, result.error)) is not None:
                again.append(place)
                longest = max(longest, wait)
            else:
                self.failed.append(result)
        if again:
            self.waiting.append(batch.only(again))
        return longest

    def _tell(self) -> None:
        if self.tell:
            done = self.written + len(self.failed)
            self.tell(Progress(done, len(self.failed), self.total, time.monotonic() - self.began))


class _Line:
    """Progress as one line on stderr, which each update overwrites."""

    def __call__(self, progress: Progress) -> None:
        of = "" if progress.total is None else f" of {progress.total:,}"
        rate = progress.done / max(progress.seconds, 1e-9)
        sys.stderr.write(f"\r{progress.done:,}{of} uploaded, {rate:,.0f}/s, {progress.failed:,} failed ")
        sys.stderr.flush()

    def end(self) -> None:
        sys.stderr.write("\n")


class BlockingUpload(Blocking):
    """The operations as blocking methods."""

    upload = blocking(upload)
    upload_events = blocking(upload_events)
    upload_updates = blocking(upload_updates)


class AwaitedUpload(Awaited):
    """The operations as awaited methods."""

    upload = awaited(upload)
    upload_events = awaited(upload_events)
    upload_updates = awaited(upload_updates)
