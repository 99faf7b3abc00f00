"""The common part of the two clients, without input or output.

An operation (`recommend`, `upload` ...) is written once, as a generator. It yields the next `Step` (make a call,
sleep, write to the stream), receives the outcome or the typed error, and returns the result. `_client` performs
the steps with blocking grpc, `_aio` with grpc.aio. Retries are steps too.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from google.protobuf.message import Message

from . import _read
from ._errors import ItemlensError, NotFound
from ._results import Space
from ._retry import Deadline, Retry
from ._values import string
from .v1 import catalog_pb2, itemlens_pb2


@dataclass(frozen=True)
class Call:
    """Make a unary call. Its outcome is the reply."""

    method: str
    request: Message
    timeout: float | None


@dataclass(frozen=True)
class Sleep:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class Open:
    """Open a bidirectional stream. It replaces an open one: a run has at most one stream."""

    method: str
    wait_for_ready: bool
    """Wait for a connection instead of failing without one."""


@dataclass(frozen=True)
class Write:
    """Queue a request on the stream."""

    request: Message


@dataclass(frozen=True)
class Read:
    """Wait for the stream's next reply. Its outcome is the reply, or None at the end of the stream."""

    timeout: float | None
    """Seconds until DeadlineExceeded."""


@dataclass(frozen=True)
class Finish:
    """Close the sending side, and wait for the end of the stream."""

    timeout: float | None


Step: TypeAlias = Call | Sleep | Open | Write | Read | Finish
T = TypeVar("T")
Steps: TypeAlias = Generator[Step, Any, T]
R = TypeVar("R", bound=Message)


@dataclass(frozen=True)
class Done:
    """An operation's result."""

    value: Any


def advance(steps: Steps[Any], outcome: Any, error: ItemlensError | None) -> Step | Done:
    """Resume an operation with the outcome or the error of its last step."""
    try:
        return steps.throw(error) if error else steps.send(outcome)
    except StopIteration as stop:
        return Done(stop.value)


@dataclass
class Session:
    """A client's settings, and its cache of spaces and collections."""

    timeout: float
    retry: Retry
    collection: str
    space: str
    _spaces: dict[str, Space] = field(default_factory=dict)
    _space_ids: dict[str, str] = field(default_factory=dict)

    def where(self, collection: str | None) -> str:
        """The collection of a call: its own, or the client's default."""
        return string(self.collection if collection is None else collection, "collection")

    def wanted(self, space: str | None) -> str:
        """The space of a call: its own, or the client's default."""
        return string(self.space if space is None else space, "space")

    def deadline(self, timeout: float | None) -> Deadline:
        """The deadline of a call, from its own timeout or the client's default."""
        return Deadline(self.timeout if timeout is None else timeout)

    def known_space(self, name: str, deadline: Deadline) -> Steps[Space]:
        """A space by id or name, fetched once."""
        if name not in self._spaces:
            request = itemlens_pb2.GetSpaceRequest(space=name)
            reply = yield from call(self, "GetSpace", request, itemlens_pb2.GetSpaceResponse, deadline)
            self._spaces[name] = _read.space(reply)
        return self._spaces[name]

    def space_of(self, collection: str, deadline: Deadline) -> Steps[Space]:
        """The space of a collection; the server's default space if the collection does not exist yet."""
        if collection not in self._space_ids:
            request = catalog_pb2.GetCollectionRequest(name=collection)
            try:
                reply = yield from call(
                    self, "GetCollection", request, catalog_pb2.GetCollectionResponse, deadline
                )
            except NotFound:
                return (yield from self.known_space("", deadline))
            self._space_ids[collection] = reply.collection.space_id
        return (yield from self.known_space(self._space_ids[collection], deadline))

    def forget(self, collection: str) -> None:
        """Drop the cached space of a collection, because it may have changed."""
        self._space_ids.pop(collection, None)


def call(
    session: Session,
    method: str,
    request: Message,
    reply_type: type[R],
    deadline: Deadline,
    *,
    repeatable: bool = True,
) -> Steps[R]:
    """One call with its retries."""
    failures = 0
    while True:
        try:
            reply = yield Call(method, request, deadline.left())
        except ItemlensError as error:
            failures += 1
            wait = session.retry.wait(failures, error, repeatable=repeatable)
            if wait is None or not deadline.allows(wait):
                raise
        else:
            assert isinstance(reply, reply_type)
            return reply
        yield Sleep(wait)
