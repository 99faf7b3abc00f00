"""From a source into a collection, each event exactly once.

A batch and the position after it are recorded in one transaction of the server, which refuses a batch that does not
begin where the last one ended. So a batch may be sent again after any failure. One batch is read ahead while another is
recorded, and no more: a slow server slows the reading.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import itemlens
from itemlens import AlreadyExists, Client, Event, InvalidArgument, StreamPosition, WriteResult
from itemlens_cli.connection import spoken
from itemlens_cli.ingest.backoff import Backoff, Stopped
from itemlens_cli.ingest.entries import Poison, event_of
from itemlens_cli.ingest.progress import Tally
from itemlens_cli.ingest.rejected import Rejected
from itemlens_cli.ingest.source import Entry, Portion, Source, SourceGone
from itemlens_server.errors import FailedPrecondition, ItemlensError

T = TypeVar("T")
# The client does not try again by itself: the pump does, for as long as it takes.
ONCE = itemlens.Retry(attempts=1)
TRIED_AGAIN = (itemlens.Unavailable, itemlens.Overloaded, itemlens.DeadlineExceeded)


@dataclass(frozen=True)
class _Batch:
    portion: Portion
    events: list[tuple[Entry, Event]]
    poison: list[tuple[Entry, Poison]]


class Pump:
    """Records a source until its end, or until `stop` is set."""

    def __init__(
        self,
        client: Client,
        target: str,
        source: Source,
        stream: str,
        rejected: Rejected,
        stop: threading.Event,
        *,
        batch_size: int = 1000,
        give_up: float | None = None,
        say: Callable[[str], None] = lambda _: None,
        progress: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        """`client` does not try again by itself (`ONCE`). `say` gets remarks, `progress` the tally after a batch.

        give_up: seconds without a source or server after which the run fails; None: never
        """
        self._client, self._target, self._source, self._stream = client, target, source, stream
        self._rejected, self._stop, self._batch_size = rejected, stop, batch_size
        self._progress = progress
        self._server, self._broker = Backoff(give_up, stop, say), Backoff(give_up, stop, say)
        self.tally = Tally()

    def run(self) -> None:
        """Record.

        Raises:
            FailedPrecondition: the source or the stream is not what it was, or cannot be reached.
            ItemlensError: the server refuses to record.
        """
        with ThreadPoolExecutor(1) as reader:
            try:
                position = self._position()
                self._try_source(lambda: self._source.seek(position))
                ahead = reader.submit(self._next)
                while (batch := ahead.result()) is not None:
                    ahead = reader.submit(self._next)
                    if batch.portion.position != position:
                        self._record(batch, position)
                        position = batch.portion.position
                        self._progress(self.tally)
            except Stopped:
                pass
            finally:
                self._stop.set()  # for the reader

    def _position(self) -> str:
        streams = self._try_server(self._client.list_streams)
        return next((stream.position for stream in streams if stream.stream == self._stream), "")

    def _next(self) -> _Batch | None:
        """Read the next batch with entries."""
        while not self._stop.is_set():
            portion = self._try_source(lambda: self._source.read(self._batch_size))
            if portion is None:
                return None
            if portion.entries:
                return self._batch(portion)
        return None

    def _batch(self, portion: Portion) -> _Batch:
        batch = _Batch(portion, [], [])
        for entry in portion.entries:
            try:
                batch.events.append((entry, event_of(entry, self._stream)))
            except Poison as poison:
                batch.poison.append((entry, poison))
        return batch

    def _record(self, batch: _Batch, previous: str) -> None:
        self._reject(batch.poison)
        events = batch.events
        step = StreamPosition(self._stream, batch.portion.position, previous, batch.portion.lag)
        while True:
            given = [event for _, event in events]
            written = self._try_server(partial(self._client.record_events, given, stream=step))
            if all(result.error is None for result in written):
                break
            refused = [(entry, _refusal(r)) for (entry, _), r in zip(events, written, strict=True)]
            self._reject([(entry, poison) for entry, poison in refused if poison])
            events = [kept for kept, (_, poison) in zip(events, refused, strict=True) if not poison]
            if len(events) == len(given):  # nothing that could be left out
                raise ItemlensError(spoken(_worst(written), self._target))
        self.tally.events += len(events)
        self.tally.warnings.update(warning.reason for result in written for warning in result.warnings)
        self.tally.lag = batch.portion.lag

    def _reject(self, poison: list[tuple[Entry, Poison]]) -> None:
        for entry, why in poison:
            self._rejected.add(entry, why)
        self._rejected.keep()
        self.tally.rejected += len(poison)

    def _try_server(self, call: Callable[[], T]) -> T:
        while True:
            try:
                result = call()
            except itemlens.ItemlensError as error:
                if not isinstance(error, TRIED_AGAIN) or "message larger than max" in error.message:
                    raise _final(error, self._target) from error
                self._server.wait(spoken(error, self._target), error.details.retry_seconds or 0.0)
            else:
                self._server.worked()
                return result

    def _try_source(self, read: Callable[[], T]) -> T:
        while True:
            try:
                result = read()
            except SourceGone as error:
                self._broker.wait(str(error))
            else:
                self._broker.worked()
                return result


def _worst(written: Iterable[WriteResult]) -> itemlens.ItemlensError:
    """The error that kept the others from being recorded."""
    errors = [result.error for result in written if result.error is not None]
    return next((error for error in errors if not isinstance(error, itemlens.FailedPrecondition)), errors[0])


def _refusal(result: WriteResult) -> Poison | None:
    """Why the server refuses an event itself; None if it is as good as the others allow."""
    error = result.error
    if isinstance(error, InvalidArgument | AlreadyExists):
        return Poison(error.code.name, error.message)
    return None


def _final(error: itemlens.ItemlensError, target: str) -> ItemlensError:
    if error.details.reason == "STREAM_MOVED":
        return FailedPrecondition(
            f"{error.message}. Another ingester may be recording the same --stream: stop one of them, and start again"
        )
    return ItemlensError(spoken(error, target))
