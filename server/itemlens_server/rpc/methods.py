"""The frame in which every call runs: its deadline, and what becomes of an error."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status

from itemlens_server.call import Call, Priority
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

# Threads beyond those that calls work in: they tell the next caller that there is no room, and answer health checks.
SPARE_THREADS = 4

# Metadata by which a caller says who it is and how urgent its calls are.
CALLER_KEY = "itemlens-caller"
PRIORITY_KEY = "itemlens-priority"
PRIORITIES = {"interactive": Priority.INTERACTIVE, "bulk": Priority.BULK}


class Frame:
    """Makes methods of handlers. At most `threads` calls are worked on at a time, half of them bulk ones.

    No message is larger than `max_bytes`.
    """

    def __init__(self, threads: int, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._places = threading.Semaphore(threads)
        self._bulk_places = threading.Semaphore(max(1, threads // 2))

    def unary(
        self,
        handler: Callable[[Request, Call], Response],
        request_type: type[Request],
        priority: Priority = Priority.INTERACTIVE,
    ) -> grpc.RpcMethodHandler[Request | InvalidInput, Response]:
        """A method with one request and one response, which `handler` makes."""

        def run(request: Request | InvalidInput, context: grpc.ServicerContext) -> Response:
            try:
                call = _call(context, priority)
                call.check()
                with self._place(call):
                    return self._answer(handler, request, call)
            except ItemlensError as error:
                _abort(context, error)
            except Exception as error:
                _internal(context, error)

        return grpc.unary_unary_rpc_method_handler(run, _parser(request_type), _serialise)

    def stream(
        self,
        handler: Callable[[Request, Call], Response],
        failed: Callable[[ItemlensError], Response],
        request_type: type[Request],
    ) -> grpc.RpcMethodHandler[Request | InvalidInput, Response]:
        """A bulk method: a response for each request, in order. A wrong request fails alone, as `failed` says."""

        def run(
            requests: Iterator[Request | InvalidInput], context: grpc.ServicerContext
        ) -> Iterator[Response]:
            # An open stream holds its place though it may be idle.
            try:
                call = _call(context, Priority.BULK)
                with self._place(call):
                    for request in requests:
                        yield answer(request, call)
            except ItemlensError as error:
                _abort(context, error)
            except Exception as error:
                _internal(context, error)

        def answer(request: Request | InvalidInput, call: Call) -> Response:
            try:
                call.check()
                return self._answer(handler, request, call)
            except (DeadlineExceeded, Cancelled, Overloaded, StorageFull):
                raise  # these are of the stream or the server, not of the request
            except ItemlensError as error:
                return failed(error)

        return grpc.stream_stream_rpc_method_handler(run, _parser(request_type), _serialise)

    @contextmanager
    def _place(self, call: Call) -> Iterator[None]:
        wanted = [self._bulk_places, self._places] if call.priority is Priority.BULK else [self._places]
        with ExitStack() as held:
            for places in wanted:
                if not places.acquire(blocking=False):
                    raise Overloaded(
                        "too many calls or open streams at a time; try again", retry_seconds=0.25
                    )
                held.callback(places.release)
            yield

    def _answer(
        self, handler: Callable[[Request, Call], Response], request: Request | InvalidInput, call: Call
    ) -> Response:
        if isinstance(request, InvalidInput):
            raise request
        response = handler(request, call)
        if (size := response.ByteSize()) > self._max_bytes:
            raise InvalidInput(
                f"the answer would have {size} bytes, more than the {self._max_bytes} of a message: "
                "ask for less at once"
            )
        return response


def _parser(request_type: type[Request]) -> Callable[[bytes], Request | InvalidInput]:
    """Reads a request. Bytes that are none become an error, which is the caller's and not INTERNAL as grpc has it."""

    def parse(data: bytes) -> Request | InvalidInput:
        try:
            return request_type.FromString(data)
        except DecodeError as error:
            return InvalidInput(f"the bytes are no {request_type.DESCRIPTOR.name}: {error}")

    return parse


def _serialise(message: Message) -> bytes:
    return message.SerializeToString()


def _call(context: grpc.ServicerContext, priority: Priority) -> Call:
    remaining = context.time_remaining()
    seconds = remaining if remaining is not None and remaining < NO_DEADLINE_SECONDS else None
    said = dict(context.invocation_metadata())
    if PRIORITY_KEY in said:
        named = said[PRIORITY_KEY]
        if named not in PRIORITIES:
            raise InvalidInput(
                f"metadata {PRIORITY_KEY} is {named!r}; it must be one of {', '.join(PRIORITIES)}"
            )
        priority = PRIORITIES[named]
    call = Call(seconds, priority=priority, caller=str(said.get(CALLER_KEY) or context.peer()))
    if not context.add_callback(call.end):
        call.end()
    return call


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
