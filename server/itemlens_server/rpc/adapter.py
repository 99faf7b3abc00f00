"""The frame in which every call runs: who calls, where the work is done, and what becomes of an error.

Calls are taken in by one event loop. `unary` and `stream` have their handler work in a thread of the pool;
`unary_on_loop` is for a coroutine, which must not block.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2
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
from itemlens_server.rpc.errors import code_of, status_of
from itemlens_server.services import CallContext, FinishedCall, GuardedObserver, Observer, Priority

log = logging.getLogger(__name__)
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Handler = Callable[[Request, CallContext], Response]
Coroutine = Callable[[Request, CallContext], Awaitable[Response]]

# grpc gives a huge number of seconds where the caller set no deadline.
NO_DEADLINE_SECONDS = 1e6

# How long after the end of a stream's requests it may turn out that its caller has hung up.
HANG_UP_SECONDS = 0.002

# A caller who hangs up so shortly before the deadline does so because of it.
DEADLINE_SECONDS = 0.05

# Metadata by which a caller says who it is and how urgent its calls are.
CALLER_KEY = "itemlens-caller"
PRIORITY_KEY = "itemlens-priority"
PRIORITIES = {"interactive": Priority.INTERACTIVE, "bulk": Priority.BULK}


Context = grpc.aio.ServicerContext[Any, Any]


class _Received(NamedTuple):
    """What the bytes of a request were read as: the request, or an error."""

    request: Any
    size: int


@dataclass
class _Exchange:
    """What the observer will be told of a call."""

    code: str = "OK"
    request_bytes: int = 0
    response_bytes: int = 0


# The handler of a method, once the method's full name is known.
Method: TypeAlias = "Callable[[str], grpc.RpcMethodHandler[_Received, Any]]"  # generic in its stubs only


class RpcAdapter:
    """Makes methods of handlers.

    At most `max_calls` are open at a time. Bulk calls work in half the threads of the pool, the others wait their turn.
    No reply is larger than `max_message_bytes`. `observer` is told of every call.
    """

    def __init__(self, pool: Executor, settings: Settings, observer: Observer) -> None:
        self._pool = pool
        self._max_calls = settings.max_calls
        self._max_bytes = settings.max_message_bytes
        self._open = 0
        self._bulk = asyncio.Semaphore(max(1, settings.rpc_threads // 2))
        self._observer = GuardedObserver(observer)

    def unary(
        self,
        handler: Handler[Request, Response],
        request_type: type[Request],
        priority: Priority = Priority.INTERACTIVE,
    ) -> Method:
        """A method with one request and one response, which `handler` makes in a thread."""
        return self.unary_on_loop(self._in_thread(handler), request_type, priority)

    def unary_on_loop(
        self,
        work: Coroutine[Request, Response],
        request_type: type[Request],
        priority: Priority = Priority.INTERACTIVE,
    ) -> Method:
        """The same, made by a coroutine on the event loop."""

        async def run(method: str, received: _Received, context: Context) -> bytes:
            with self._observed(method, context) as exchange:
                try:
                    with self._calling(context, priority) as call:
                        return await self._answer(work, received, call, exchange)
                except Exception as error:
                    await _fail(context, error, exchange)

        return lambda method: grpc.unary_unary_rpc_method_handler(partial(run, method), _parser(request_type))

    def stream(
        self,
        handler: Handler[Request, Response],
        failed: Callable[[ItemlensError], Response],
        request_type: type[Request],
    ) -> Method:
        """A bulk method: a response for each request, in order. A wrong request fails alone, as `failed` says."""
        work = self._in_thread(handler)

        async def run(
            method: str, requests: AsyncIterator[_Received], context: Context
        ) -> AsyncIterator[bytes]:
            with self._observed(method, context) as exchange:
                try:
                    with self._calling(context, Priority.BULK) as call:
                        async for received in requests:
                            yield await answer(received, call, exchange)
                        # If the caller has hung up, gRPC ends the requests, too, and cancels this a moment later.
                        await asyncio.sleep(HANG_UP_SECONDS)
                except Exception as error:
                    await _fail(context, error, exchange)

        async def answer(received: _Received, call: CallContext, exchange: _Exchange) -> bytes:
            try:
                return await self._answer(work, received, call, exchange)
            except (DeadlineExceeded, Cancelled, Overloaded, StorageFull):
                raise  # these are of the stream or the server, not of the request
            except ItemlensError as error:
                data = failed(error).SerializeToString()
                exchange.response_bytes += len(data)
                return data

        return lambda method: grpc.stream_stream_rpc_method_handler(
            partial(run, method), _parser(request_type)
        )

    @contextmanager
    def _observed(self, method: str, context: Context) -> Iterator[_Exchange]:
        """Tells the observer of a call, however it ends."""
        started, exchange = time.monotonic(), _Exchange()
        self._observer.call_started(method)
        try:
            yield exchange
        except (asyncio.CancelledError, GeneratorExit):  # by gRPC, since the caller waits no longer
            remaining = context.time_remaining()
            late = remaining is not None and remaining < DEADLINE_SECONDS
            exchange.code = "DEADLINE_EXCEEDED" if late else "CANCELLED"
            raise
        finally:
            seconds = time.monotonic() - started
            self._observer.call_finished(
                FinishedCall(method, exchange.code, seconds, exchange.request_bytes, exchange.response_bytes)
            )

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
        self, work: Coroutine[Request, Response], received: _Received, call: CallContext, exchange: _Exchange
    ) -> bytes:
        exchange.request_bytes += received.size
        if isinstance(received.request, InvalidArgument):
            raise received.request
        call.check()
        data = (await work(received.request, call)).SerializeToString()
        if len(data) > self._max_bytes:
            raise InvalidArgument(
                f"the answer would have {len(data)} bytes, more than the {self._max_bytes} of a message: "
                "ask for less at once"
            )
        exchange.response_bytes += len(data)
        return data


def _parser(request_type: type[Message]) -> Callable[[bytes], _Received]:
    """Reads a request. Bytes that are none become an error, which is the caller's and not INTERNAL as grpc has it."""

    def parse(data: bytes) -> _Received:
        try:
            return _Received(request_type.FromString(data), len(data))
        except DecodeError as error:
            refusal = InvalidArgument(f"the bytes are no {request_type.DESCRIPTOR.name}: {error}")
            return _Received(refusal, len(data))

    return parse


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


async def _fail(context: Context, error: Exception, exchange: _Exchange) -> NoReturn:
    """End the call with the status of `error`."""
    if isinstance(error, ItemlensError):
        exchange.code = code_pb2.Code.Name(code_of(error))
        await context.abort_with_status(rpc_status.to_status(status_of(error)))
    elif isinstance(error, grpc.aio.BaseError):  # of gRPC itself: the call is over
        exchange.code = "CANCELLED"
        raise error
    else:  # a fault of ours: the caller gets a number, the log under that number gets the rest
        exchange.code = "INTERNAL"
        number = secrets.token_hex(4)
        log.error("internal error %s", number, exc_info=error)
        await context.abort(grpc.StatusCode.INTERNAL, f"internal error {number}; the server's log says more")
    raise AssertionError("abort raises")
