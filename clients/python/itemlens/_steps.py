"""What the two clients have in common, without input or output.

An operation (`recommend`, `upload` ...) is written once, as a generator: it yields the next `Step` (make this
call, wait so long, write to the stream), is sent the outcome, or has the typed error thrown in, and returns
the result. `_client` performs the steps with blocking grpc, `_aio` with grpc.aio. Retries are steps too.
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
    """Open a bidirectional stream, in place of the one that may be open. A run has at most one."""

    method: str
    wait_for_ready: bool
    """Wait for a connection instead of failing where there is none."""


@dataclass(frozen=True)
class Write:
    """Queue a request on the stream."""

    request: Message


@dataclass(frozen=True)
class Read:
    """Wait for the stream's next reply. Its outcome is the reply, or None at the end of the stream."""

    timeout: float | None
    """DeadlineExceeded after so many seconds."""


@dataclass(frozen=True)
class Finish:
    """Say that no more requests follow, and wait for the end of the stream."""

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
    """Go on with an operation after a step that had an outcome, or an error."""
    try:
        return steps.throw(error) if error else steps.send(outcome)
    except StopIteration as stop:
        return Done(stop.value)


@dataclass
class Session:
    """A client's settings, and what it has learnt of the server."""

    timeout: float
    retry: Retry
    collection: str
    space: str
    _spaces: dict[str, Space] = field(default_factory=dict)
    _space_ids: dict[str, str] = field(default_factory=dict)

    def where(self, collection: str | None) -> str:
        """The collection that a call is about: its own, or the client's."""
        return string(self.collection if collection is None else collection, "collection")

    def wanted(self, space: str | None) -> str:
        """The space that a call is about: its own, or the client's."""
        return string(self.space if space is None else space, "space")

    def deadline(self, timeout: float | None) -> Deadline:
        """A call's deadline: its own timeout, or the client's."""
        return Deadline(self.timeout if timeout is None else timeout)

    def known_space(self, name: str, deadline: Deadline) -> Steps[Space]:
        """A space by id or name, asked for once."""
        if name not in self._spaces:
            request = itemlens_pb2.GetSpaceRequest(space=name)
            reply = yield from call(self, "GetSpace", request, itemlens_pb2.GetSpaceResponse, deadline)
            self._spaces[name] = _read.space(reply)
        return self._spaces[name]

    def space_of(self, collection: str, deadline: Deadline) -> Steps[Space]:
        """The space of a collection; the server's default space where the collection is not there yet."""
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
        """The collection has, or may have, another space now."""
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
