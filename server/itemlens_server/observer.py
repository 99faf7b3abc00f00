"""Observers of the server, for metrics: they receive calls and batches as they happen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from itemlens_server.stages import Stage

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """A call or stream that has ended.

    code:       name of the gRPC status code
    bytes:      size of all its requests and responses; a failed call has no response bytes
    request_id: what the caller gave as such, or a random one
    caller:     the key, or what the caller says to be; "" if nobody was let in
    collection: that of the (last) request; "" if it names none
    entries:    items, events, inputs of its requests
    message:    of its error
    stages:     how long it did what (see `stages`)
    ended:      when, on the monotonic clock
    traceparent: the caller's span (W3C Trace Context)
    """

    method: str
    code: str
    seconds: float
    request_bytes: int
    response_bytes: int
    request_id: str = ""
    caller: str = ""
    collection: str = ""
    entries: int = 0
    message: str = ""
    stages: Mapping[str, Stage] = field(default_factory=dict)
    ended: float = 0.0
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class FinishedBatch:
    """A batch that an encoder has run. `encoder`: its kind and the beginning of its digest; tokens: without and with
    padding; queued_seconds: sum of the inputs' waiting times."""

    encoder: str
    inputs: int
    tokens: int
    padded_tokens: int
    seconds: float
    queued_seconds: float


class Observer(Protocol):
    """Receives calls and batches, from several threads at once. The threads wait until it returns."""

    def call_started(self, method: str) -> None:
        """A call or stream of `method`, such as "/itemlens.v1.ItemLens/Encode", has arrived."""

    def call_finished(self, call: FinishedCall) -> None:
        """A call or stream has ended."""

    def batch_run(self, batch: FinishedBatch) -> None:
        """An encoder has run a batch."""


class NullObserver:
    """Ignores everything."""

    def call_started(self, method: str) -> None:
        """Nothing."""

    def call_finished(self, call: FinishedCall) -> None:
        """Nothing."""

    def batch_run(self, batch: FinishedBatch) -> None:
        """Nothing."""


class Observers:
    """Forwards to several observers."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = [GuardedObserver(observer) for observer in observers]

    def call_started(self, method: str) -> None:
        """See Observer."""
        for observer in self._observers:
            observer.call_started(method)

    def call_finished(self, call: FinishedCall) -> None:
        """See Observer."""
        for observer in self._observers:
            observer.call_finished(call)

    def batch_run(self, batch: FinishedBatch) -> None:
        """See Observer."""
        for observer in self._observers:
            observer.batch_run(batch)


class GuardedObserver:
    """Forwards to an observer and suppresses its exceptions. The first one is logged."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._raised = False

    def call_started(self, method: str) -> None:
        """See Observer."""
        self._tell(self._observer.call_started, method)

    def call_finished(self, call: FinishedCall) -> None:
        """See Observer."""
        self._tell(self._observer.call_finished, call)

    def batch_run(self, batch: FinishedBatch) -> None:
        """See Observer."""
        self._tell(self._observer.batch_run, batch)

    def _tell(self, what: Callable[[T], None], value: T) -> None:
        try:
            what(value)
        except Exception:
            if not self._raised:
                self._raised = True
                log.exception("the observer raised an exception; further ones are not logged")
