"""The frame in which every call runs: its deadline, and what becomes of an error."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status

from itemlens_server.deadline import Deadline
from itemlens_server.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidInput,
    ItemlensError,
    Overloaded,
    StorageFull,
)
from itemlens_server.rpc.errors import status_of

log = logging.getLogger(__name__)
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

# grpc gives a huge number of seconds where the caller set no deadline.
NO_DEADLINE_SECONDS = 1e6


def unary(
    handler: Callable[[Request, Deadline], Response], request_type: type[Request], max_bytes: int
) -> grpc.RpcMethodHandler[Request | InvalidInput, Response]:
    """A method with one request and one response of at most `max_bytes`, which `handler` makes."""

    def call(request: Request | InvalidInput, context: grpc.ServicerContext) -> Response:
        try:
            deadline = _deadline(context)
            deadline.check()
            return _answer(handler, request, deadline, max_bytes)
        except ItemlensError as error:
            _abort(context, error)
        except Exception as error:
            _internal(context, error)

    return grpc.unary_unary_rpc_method_handler(call, _parser(request_type), _serialise)


def stream(
    handler: Callable[[Request, Deadline], Response],
    failed: Callable[[ItemlensError], Response],
    request_type: type[Request],
    max_bytes: int,
    places: threading.Semaphore,
) -> grpc.RpcMethodHandler[Request | InvalidInput, Response]:
    """A bidirectional method: a response for each request, in order. A wrong request fails alone, as `failed` says.

    An open stream holds a thread though it may be idle; `places` keeps streams from taking all of them.
    """

    def call(requests: Iterator[Request | InvalidInput], context: grpc.ServicerContext) -> Iterator[Response]:
        if not places.acquire(blocking=False):
            _abort(
                context, Overloaded("too many streams are open; close one or try again", retry_seconds=1.0)
            )
        try:
            yield from answer(requests, context)
        finally:
            places.release()

    def answer(
        requests: Iterator[Request | InvalidInput], context: grpc.ServicerContext
    ) -> Iterator[Response]:
        for request in requests:
            try:
                deadline = _deadline(context)
                deadline.check()
                response = _answer(handler, request, deadline, max_bytes)
            except (DeadlineExceeded, Cancelled, Overloaded, StorageFull) as error:
                # These are of the stream or the server, not of the request.
                _abort(context, error)
            except ItemlensError as error:
                response = failed(error)
            except Exception as error:
                _internal(context, error)
            yield response

    return grpc.stream_stream_rpc_method_handler(call, _parser(request_type), _serialise)


def _parser(request_type: type[Request]) -> Callable[[bytes], Request | InvalidInput]:
    """Reads a request. Bytes that are none become an error, which is the caller's and not INTERNAL as grpc has it."""

    def parse(data: bytes) -> Request | InvalidInput:
        try:
            return request_type.FromString(data)
        except DecodeError as error:
            return InvalidInput(f"the bytes are no {request_type.DESCRIPTOR.name}: {error}")

    return parse


def _answer(
    handler: Callable[[Request, Deadline], Response],
    request: Request | InvalidInput,
    deadline: Deadline,
    max_bytes: int,
) -> Response:
    if isinstance(request, InvalidInput):
        raise request
    response = handler(request, deadline)
    if (size := response.ByteSize()) > max_bytes:
        raise InvalidInput(
            f"the answer would have {size} bytes, more than the {max_bytes} of a message: ask for less at once"
        )
    return response


def _serialise(message: Message) -> bytes:
    return message.SerializeToString()


def _deadline(context: grpc.ServicerContext) -> Deadline:
    remaining = context.time_remaining()
    seconds = remaining if remaining is not None and remaining < NO_DEADLINE_SECONDS else None
    return Deadline(seconds, context.is_active)


def _abort(context: grpc.ServicerContext, error: ItemlensError) -> NoReturn:
    context.abort_with_status(rpc_status.to_status(status_of(error)))
    raise AssertionError("abort_with_status raises")


def _internal(context: grpc.ServicerContext, error: Exception) -> NoReturn:
    """A fault of ours: the caller gets a number, the log under that number gets the rest."""
    if not context.is_active():
        raise error
    number = secrets.token_hex(4)
    log.error("internal error %s", number, exc_info=error)
    context.abort(grpc.StatusCode.INTERNAL, f"internal error {number}; the server's log says more")
    raise AssertionError("abort raises")
