"""The frame in which every call runs: how many may be open, where each is worked on, and who is told of it.

Calls are taken in by one event loop. `unary` and `stream` have their handler work in a thread of the pool;
`unary_on_loop` is for a coroutine, which must not block.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from itemlens_server.config import Settings
from itemlens_server.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidArgument,
    ItemlensError,
    Overloaded,
    StorageFull,
)
from itemlens_server.rpc.calls import Context, Exchange, Received, call_context, fail, parser, said
from itemlens_server.rpc.streams import OpenStreams
from itemlens_server.services import CallContext, FinishedCall, GuardedObserver, Observer, Priority

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Handler = Callable[[Request, CallContext], Response]
Coroutine = Callable[[Request, CallContext], Awaitable[Response]]

# How long after the end of a stream's requests it may turn out that its caller has hung up.
HANG_UP_SECONDS = 0.002

# A caller who hangs up so shortly before the deadline does so because of it.
DEADLINE_SECONDS = 0.05

# The handler of a method, once the method's full name is known.
Method: TypeAlias = "Callable[[str], grpc.RpcMethodHandler[Received, Any]]"  # generic in its stubs only


class RpcAdapter:
    """Makes methods of handlers.

    At most `max_calls` are open at a time, beside streams, which `streams` bounds. Bulk calls and streams work in half
    the threads of the pool, the others wait their turn. No reply is larger than `max_message_bytes`. `observer` is told
    of every call.
    """

    def __init__(self, pool: Executor, settings: Settings, streams: OpenStreams, observer: Observer) -> None:
        self._pool = pool
        self._streams = streams
        self._max_calls = settings.max_calls
        self.max_bytes = settings.max_message_bytes
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

        async def run(method: str, received: Received, context: Context) -> bytes:
            with self._observed(method, context) as exchange:
                try:
                    with self._calling(context, priority) as call:
                        return await self._answer(work, received, call, exchange)
                except Exception as error:
                    await fail(context, error, exchange)

        return lambda method: grpc.unary_unary_rpc_method_handler(partial(run, method), parser(request_type))

    def stream(
        self,
        handler: Handler[Request, Response],
        failed: Callable[[ItemlensError], Response],
        request_type: type[Request],
    ) -> Method:
        """A bulk method: a response for each request, in order. A wrong request fails alone, as `failed` says."""
        work = self._in_thread(handler)

        async def run(method: str, requests: AsyncIterator[Received], context: Context) -> None:
            with self._observed(method, context) as exchange:
                try:
                    with self._streams.opened(), _ended(call_context(context, Priority.BULK)) as call:
                        while (received := await self._streams.read(requests)) is not None:
                            reply = await answer(received, call, exchange)
                            await self._streams.write(context.write(reply))
                        # If the caller has hung up, gRPC ends the requests, too, and cancels this a moment later.
                        await asyncio.sleep(HANG_UP_SECONDS)
                except Exception as error:
                    await fail(context, error, exchange)

        async def answer(received: Received, call: CallContext, exchange: Exchange) -> bytes:
            try:
                return await self._answer(work, received, call, exchange)
            except (DeadlineExceeded, Cancelled, Overloaded, StorageFull):
                raise  # these are of the stream or the server, not of the request
            except ItemlensError as error:
                data = failed(error).SerializeToString()
                exchange.response_bytes += len(data)
                return data

        return lambda method: grpc.stream_stream_rpc_method_handler(
            partial(run, method), parser(request_type)
        )

    @contextmanager
    def _observed(self, method: str, context: Context) -> Iterator[Exchange]:
        """Tells the observer of a call, however it ends."""
        started, exchange = time.monotonic(), Exchange()
        self._observer.call_started(method)
        try:
            yield exchange
        except asyncio.CancelledError:  # by gRPC, since the caller waits no longer
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
        """The call, counted as open until it ends."""
        if self._open >= self._max_calls:
            raise Overloaded(f"{self._open} calls are open already", retry_seconds=0.25)
        self._open += 1
        try:
            with _ended(call_context(context, priority)) as call:
                yield call
        finally:
            self._open -= 1

    def _in_thread(self, handler: Handler[Request, Response]) -> Coroutine[Request, Response]:
        def run(request: Request, call: CallContext) -> Response:
            call.check()  # it may have waited for the thread
            return handler(request, call)

        async def work(request: Request, call: CallContext) -> Response:
            loop = asyncio.get_running_loop()
            if call.priority is Priority.INTERACTIVE:
                return await loop.run_in_executor(self._pool, run, request, call)
            async with self._bulk:
                return await loop.run_in_executor(self._pool, run, request, call)

        return work

    async def _answer(
        self, work: Coroutine[Request, Response], received: Received, call: CallContext, exchange: Exchange
    ) -> bytes:
        exchange.request_bytes += received.size
        request = said(received)
        call.check()
        data = (await work(request, call)).SerializeToString()
        if len(data) > self.max_bytes:
            raise InvalidArgument(
                f"the answer would have {len(data)} bytes, more than the {self.max_bytes} of a message: "
                "ask for less at once"
            )
        exchange.response_bytes += len(data)
        return data


@contextmanager
def _ended(call: CallContext) -> Iterator[CallContext]:
    """The call, which ends with its answer, or when the caller hangs up."""
    try:
        yield call
    finally:
        call.end()
