"""The frame in which every call runs: who calls, where the work is done, and what becomes of an error.

Calls are taken in by one event loop. `unary` and `stream` have their handler work in a thread of the pool;
`unary_on_loop` is for a coroutine, which must not block.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status

from itemlens_server.config import Settings
from itemlens_server.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidArgument,
    ItemlensError,
    Overloaded,
    StorageFull,
)
from itemlens_server.rpc.errors import status_of
from itemlens_server.services import CallContext, Priority

log = logging.getLogger(__name__)
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Handler = Callable[[Request, CallContext], Response]
Coroutine = Callable[[Request, CallContext], Awaitable[Response]]

# grpc gives a huge number of seconds where the caller set no deadline.
NO_DEADLINE_SECONDS = 1e6

# Metadata by which a caller says who it is and how urgent its calls are.
CALLER_KEY = "itemlens-caller"
PRIORITY_KEY = "itemlens-priority"
PRIORITIES = {"interactive": Priority.INTERACTIVE, "bulk": Priority.BULK}


Context = grpc.aio.ServicerContext[Any, Any]


class RpcAdapter:
    """Makes methods of handlers.

    At most `max_calls` are open at a time. Bulk calls work in half the threads of the pool, the others wait their turn.
    No reply is larger than `max_message_bytes`.
    """

    def __init__(self, pool: Executor, settings: Settings) -> None:
        self._pool = pool
        self._max_calls = settings.max_calls
        self._max_bytes = settings.max_message_bytes
        self._open = 0
        self._bulk = asyncio.Semaphore(max(1, settings.rpc_threads // 2))

    def unary(
        self,
        handler: Handler[Request, Response],
        request_type: type[Request],
        priority: Priority = Priority.INTERACTIVE,
    ) -> grpc.RpcMethodHandler[Request | InvalidArgument, Response]:
        """A method with one request and one response, which `handler` makes in a thread."""
        return self.unary_on_loop(self._in_thread(handler), request_type, priority)

    def unary_on_loop(
        self,
        work: Coroutine[Request, Response],
        request_type: type[Request],
        priority: Priority = Priority.INTERACTIVE,
    ) -> grpc.RpcMethodHandler[Request | InvalidArgument, Response]:
        """The same, made by a coroutine on the event loop."""

        async def run(request: Request | InvalidArgument, context: Context) -> Response:
            try:
                with self._calling(context, priority) as call:
                    return await self._answer(work, request, call)
            except ItemlensError as error:
                return await _abort(context, error)
            except Exception as error:
                return await _internal(context, error)

        return grpc.unary_unary_rpc_method_handler(run, _parser(request_type), _serialise)

    def stream(
        self,
        handler: Handler[Request, Response],
        failed: Callable[[ItemlensError], Response],
        request_type: type[Request],
    ) -> grpc.RpcMethodHandler[Request | InvalidArgument, Response]:
        """A bulk method: a response for each request, in order. A wrong request fails alone, as `failed` says."""
        work = self._in_thread(handler)

        async def run(
            requests: AsyncIterator[Request | InvalidArgument], context: Context
        ) -> AsyncIterator[Response]:
            try:
                with self._calling(context, Priority.BULK) as call:
                    async for request in requests:
                        yield await answer(request, call)
            except ItemlensError as error:
                await _abort(context, error)
            except Exception as error:
                await _internal(context, error)

        async def answer(request: Request | InvalidArgument, call: CallContext) -> Response:
            try:
                return await self._answer(work, request, call)
            except (DeadlineExceeded, Cancelled, Overloaded, StorageFull):
                raise  # these are of the stream or the server, not of the request
            except ItemlensError as error:
                return failed(error)

        return grpc.stream_stream_rpc_method_handler(run, _parser(request_type), _serialise)

    @contextmanager
    def _calling(self, context: Context, priority: Priority) -> Iterator[CallContext]:
        """The call, counted as open; it ends with its answer, or when the caller hangs up."""
        if self._open >= self._max_calls:
            raise Overloaded(f"{self._open} calls are open already; try again", retry_seconds=0.25)
        call = _call(context, priority)
        self._open += 1
        try:
            yield call
        finally:
            self._open -= 1
            call.end()

    def _in_thread(self, handler: Handler[Request, Response]) -> Coroutine[Request, Response]:
        async def work(request: Request, call: CallContext) -> Response:
            loop = asyncio.get_running_loop()
            if call.priority is Priority.INTERACTIVE:
                return await loop.run_in_executor(self._pool, handler, request, call)
            async with self._bulk:
                return await loop.run_in_executor(self._pool, handler, request, call)

        return work

    async def _answer(
        self,
        work: Coroutine[Request, Response],
        request: Request | InvalidArgument,
        call: CallContext,
    ) -> Response:
        if isinstance(request, InvalidArgument):
            raise request
        call.check()
        response = await work(request, call)
        if (size := response.ByteSize()) > self._max_bytes:
            raise InvalidArgument(
                f"the answer would have {size} bytes, more than the {self._max_bytes} of a message: "
                "ask for less at once"
            )
        return response


def _parser(request_type: type[Request]) -> Callable[[bytes], Request | InvalidArgument]:
    """Reads a request. Bytes that are none become an error, which is the caller's and not INTERNAL as grpc has it."""

    def parse(data: bytes) -> Request | InvalidArgument:
        try:
            return request_type.FromString(data)
        except DecodeError as error:
            return InvalidArgument(f"the bytes are no {request_type.DESCRIPTOR.name}: {error}")

    return parse


def _serialise(message: Message) -> bytes:
    return message.SerializeToString()


def _call(context: Context, priority: Priority) -> CallContext:
    remaining = context.time_remaining()
    seconds = remaining if remaining is not None and remaining < NO_DEADLINE_SECONDS else None
    said = dict(context.invocation_metadata() or ())
    if PRIORITY_KEY in said:
        named = said[PRIORITY_KEY]
        if named not in PRIORITIES:
            raise InvalidArgument(
                f"metadata {PRIORITY_KEY} is {named!r}; it must be one of {', '.join(PRIORITIES)}"
            )
        priority = PRIORITIES[str(named)]
    return CallContext(seconds, priority=priority, caller=str(said.get(CALLER_KEY) or context.peer()))


async def _abort(context: Context, error: ItemlensError) -> NoReturn:
    await context.abort_with_status(rpc_status.to_status(status_of(error)))
    raise AssertionError("abort_with_status raises")


async def _internal(context: Context, error: Exception) -> NoReturn:
    """A fault of ours: the caller gets a number, the log under that number gets the rest."""
    if isinstance(error, grpc.aio.BaseError):  # of gRPC itself, such as the abort of a call that is over
        raise error
    number = secrets.token_hex(4)
    log.error("internal error %s", number, exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, f"internal error {number}; the server's log says more")
    raise AssertionError("abort raises")
