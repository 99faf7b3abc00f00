"""One gRPC call: parse its request and metadata, and end it with the status of an error."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2
from grpc_status import rpc_status

from itemlens_server.access.guard import Caller, Guard
from itemlens_server.access.roles import Role
from itemlens_server.errors import InvalidArgument, ItemlensError, quoted
from itemlens_server.rpc.errors import status_of
from itemlens_server.services import CallContext, FinishedCall, Priority
from itemlens_server.stages import Stages

log = logging.getLogger(__name__)

# grpc returns a huge number of seconds if the caller set no deadline.
NO_DEADLINE_SECONDS = 1e6

# Metadata keys for the caller's key, the caller's name, which counts on a server without keys, and the priority.
AUTHORIZATION_KEY = "authorization"
CALLER_KEY = "itemlens-caller"
PRIORITY_KEY = "itemlens-priority"
REQUEST_ID_KEY = "x-request-id"
TRACE_KEY = "traceparent"
# Others are not taken over: they end in logs.
_REQUEST_ID = re.compile(r"[\w.:/=+-]{1,128}", re.ASCII)
_CODES = {code.value[0]: code for code in grpc.StatusCode}
PRIORITIES = {"interactive": Priority.INTERACTIVE, "bulk": Priority.BULK}

Context = grpc.aio.ServicerContext[Any, Any]


class Received(NamedTuple):
    """The bytes of a request of a kind. They are parsed once their caller was let in."""

    data: bytes
    kind: type[Message]

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self.data)


@dataclass
class Exchange:
    """The observer's data on a call. caller, stages: once somebody was let in."""

    request_id: str = ""
    traceparent: str = ""
    code: str = "OK"
    message: str = ""
    request_bytes: int = 0
    response_bytes: int = 0
    entries: int = 0
    collection: str = ""
    caller: str = ""
    stages: Stages = field(default_factory=Stages)

    def finished(self, method: str, began: float) -> FinishedCall:
        """The call, which is over. began: on the monotonic clock"""
        ended = time.monotonic()
        return FinishedCall(
            method, self.code, ended - began, self.request_bytes, self.response_bytes, self.request_id,
            self.caller, self.collection, self.entries, self.message, self.stages.all(),
            ended, self.traceparent,
        )  # fmt: skip


def request_id(context: Context) -> str:
    """Return the caller's id of the call, or a random one, and send it back at its end."""
    given = next((value for key, value in context.invocation_metadata() or () if key == REQUEST_ID_KEY), "")
    known = isinstance(given, str) and _REQUEST_ID.fullmatch(given)
    chosen = str(given) if known else secrets.token_hex(8)
    context.set_trailing_metadata(_id_metadata(chosen))
    return chosen


def traceparent(context: Context) -> str:
    """Return the caller's span; "" if none is given."""
    given = next((value for key, value in context.invocation_metadata() or () if key == TRACE_KEY), "")
    return given if isinstance(given, str) else ""


def _id_metadata(text: str) -> tuple[tuple[str, str], ...]:
    return ((REQUEST_ID_KEY, text),) if text else ()


def receiver(kind: type[Message]) -> Callable[[bytes], Received]:
    """What makes a Received of the bytes of a request of a kind."""

    def receive(data: bytes) -> Received:
        return Received(data, kind)

    return receive


def parsed(received: Received) -> Any:
    """The request.

    Raises:
        InvalidArgument: the bytes are not one; grpc itself would answer INTERNAL.
    """
    try:
        return received.kind.FromString(received.data)
    except DecodeError as error:
        raise InvalidArgument(f"the bytes are not a {received.kind.DESCRIPTOR.name}: {error}") from error


def check_reply(size: int, most: int, done: int, asked: int, field: str) -> None:
    """Check the `size` in bytes of a reply to the first `done` of the `asked` entries of `field`.

    Raises:
        InvalidArgument: the reply is larger than a message may be (`most`).
    """
    if size > most:
        raise InvalidArgument(
            f"the reply to the first {done} of {asked} entries has {size} bytes already; a message may have {most}; "
            "ask for fewer in one call", field,
        )  # fmt: skip


def admitted(context: Context, guard: Guard, role: Role, exchange: Exchange) -> Caller:
    """Return who makes a call that needs a role.

    Raises:
        Unauthenticated, PermissionDenied, QuotaExceeded: the caller may not.
    """
    metadata = dict(context.invocation_metadata() or ())
    authorization = metadata.get(AUTHORIZATION_KEY) or ""
    claim = str(metadata.get(CALLER_KEY) or context.peer())
    caller = guard.admit(authorization if isinstance(authorization, str) else "", claim)
    exchange.caller = caller.name
    caller.check(role)
    return caller


def call_context(context: Context, priority: Priority, caller: Caller) -> CallContext:
    """The call's context: caller, priority (default: `priority`), deadline.

    Raises:
        InvalidArgument: the priority in the metadata is unknown.
    """
    remaining = context.time_remaining()
    seconds = remaining if remaining is not None and remaining < NO_DEADLINE_SECONDS else None
    metadata = dict(context.invocation_metadata() or ())
    if PRIORITY_KEY in metadata:
        named = metadata[PRIORITY_KEY]
        if named not in PRIORITIES:
            raise InvalidArgument(
                f"metadata {PRIORITY_KEY} is {quoted(named)}; it must be one of {', '.join(PRIORITIES)}"
            )
        priority = PRIORITIES[str(named)]
    return CallContext(seconds, priority=priority, caller=caller)


async def fail(context: Context, error: Exception, exchange: Exchange) -> NoReturn:
    """End the call with the status of `error`. The text of an unexpected error goes to the log only."""
    if isinstance(error, ItemlensError):
        status = status_of(error)
        exchange.code, exchange.message = code_pb2.Code.Name(status.code), status.message
        details = rpc_status.to_status(status).trailing_metadata
        await context.abort(
            _CODES[status.code], status.message, (*details, *_id_metadata(exchange.request_id))
        )
    elif isinstance(error, grpc.aio.BaseError):  # from gRPC itself: the call is over
        exchange.code = "CANCELLED"
        raise error
    else:  # a bug of the server: the caller gets a number, and the log has the details under it
        exchange.code, number = "INTERNAL", exchange.request_id or secrets.token_hex(4)
        exchange.message = f"internal error {number}; see the server's log"
        log.error("internal error %s", number, exc_info=error)
        await context.abort(grpc.StatusCode.INTERNAL, exchange.message, _id_metadata(exchange.request_id))
    raise AssertionError("abort raises")


def not_of_gone_callers(record: logging.LogRecord) -> bool:
    """Filter of gRPC's log: a reply that could not be sent because the caller is gone is not an error."""
    return not (record.exc_info and isinstance(record.exc_info[1], grpc.aio.InternalError))
