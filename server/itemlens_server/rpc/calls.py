"""One call as gRPC has it: reading its request and its metadata, and ending it with an error's status."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2
from grpc_status import rpc_status

from itemlens_server.errors import InvalidArgument, ItemlensError, quoted
from itemlens_server.rpc.errors import status_of
from itemlens_server.services import CallContext, Priority

log = logging.getLogger(__name__)

# grpc gives a huge number of seconds where the caller set no deadline.
NO_DEADLINE_SECONDS = 1e6

# Metadata by which a caller says who it is and how urgent its calls are.
CALLER_KEY = "itemlens-caller"
PRIORITY_KEY = "itemlens-priority"
PRIORITIES = {"interactive": Priority.INTERACTIVE, "bulk": Priority.BULK}

Context = grpc.aio.ServicerContext[Any, Any]


class Received(NamedTuple):
    """What the bytes of a request were read as: the request, or an error."""

    request: Any
    size: int


@dataclass
class Exchange:
    """What the observer will be told of a call."""

    code: str = "OK"
    request_bytes: int = 0
    response_bytes: int = 0


def parser(request_type: type[Message]) -> Callable[[bytes], Received]:
    """Reads a request. Bytes that are none become an error, which is the caller's and not INTERNAL as grpc has it."""

    def parse(data: bytes) -> Received:
        try:
            return Received(request_type.FromString(data), len(data))
        except DecodeError as error:
            refusal = InvalidArgument(f"the bytes are no {request_type.DESCRIPTOR.name}: {error}")
            return Received(refusal, len(data))

    return parse


def said(received: Received) -> Any:
    """The request.

    Raises:
        InvalidArgument: the bytes were none.
    """
    if isinstance(received.request, InvalidArgument):
        raise received.request
    return received.request


def check_reply(size: int, most: int, done: int, asked: int, field: str) -> None:
    """Check the `size` of a reply to the first `done` of the entries that `field` asks for.

    Raises:
        InvalidArgument: it is larger than a message may be.
    """
    if size > most:
        raise InvalidArgument(
            f"the answer to the first {done} of {asked} has {size} bytes already, and a message may have {most}: "
            "ask for fewer at once", field,
        )  # fmt: skip


def call_context(context: Context, priority: Priority) -> CallContext:
    """Who calls, how urgently (`priority`, if the caller does not say), and how long.

    Raises:
        InvalidArgument: the metadata names no priority.
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
    return CallContext(seconds, priority=priority, caller=str(metadata.get(CALLER_KEY) or context.peer()))


async def fail(context: Context, error: Exception, exchange: Exchange) -> NoReturn:
    """End the call with the status of `error`. The text of an unexpected error stays in the log."""
    if isinstance(error, ItemlensError):
        status = status_of(error)
        exchange.code = code_pb2.Code.Name(status.code)
        await context.abort_with_status(rpc_status.to_status(status))
    elif isinstance(error, grpc.aio.BaseError):  # of gRPC itself: the call is over
        exchange.code = "CANCELLED"
        raise error
    else:  # a fault of ours: the caller gets a number, the log under that number gets the rest
        exchange.code, number = "INTERNAL", secrets.token_hex(4)
        log.error("internal error %s", number, exc_info=error)
        await context.abort(grpc.StatusCode.INTERNAL, f"internal error {number}; the server's log says more")
    raise AssertionError("abort raises")


def not_of_gone_callers(record: logging.LogRecord) -> bool:
    """Filters gRPC's log: that an answer could not be sent, since its caller is gone, is no fault."""
    return not (record.exc_info and isinstance(record.exc_info[1], grpc.aio.InternalError))
