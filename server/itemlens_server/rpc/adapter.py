"""The frame of every call: the limit of open calls, the thread that runs the handler, and the observer.

One event loop accepts the calls. `unary` and `stream` run their handler in a thread of the pool; `unary_on_loop` is
for a coroutine, which must not block.
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

from itemlens_server.access.guard import Caller, Guard
from itemlens_server.access.quotas import Used
from itemlens_server.access.roles import Role
from itemlens_server.config import Settings
from itemlens_server.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidArgument,
    ItemlensError,
    Overloaded,
    PermissionDenied,
    QuotaExceeded,
    StorageFull,
)
from itemlens_server.rpc.calls import (
    Context,
    Exchange,
    Received,
    admitted,
    call_context,
    fail,
    parsed,
    receiver,
    request_id,
    traceparent,
)
from itemlens_server.rpc.scopes import collections_of, entries_of
from itemlens_server.rpc.streams import OpenStreams
from itemlens_server.rpc.waiting import in_thread
from itemlens_server.services import CallContext, GuardedObserver, Observer, Priority

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Handler = Callable[[Request, CallContext], Response]
Coroutine = Callable[[Request, CallContext], Awaitable[Response]]

# The time after the end of a stream's requests in which gRPC may report that the caller cancelled.
HANG_UP_SECONDS = 0.002

# A stream without quota waits at most so long for it.
MOST_PAUSE_SECONDS = 20.0

# A cancellation this close to the deadline is taken for the deadline.
DEADLINE_SECONDS = 0.05

# Returns the handler of a method for the method's full name.
Method: TypeAlias = "Callable[[str], grpc.RpcMethodHandler[Received, Any]]"  # generic in its stubs only


class RpcAdapter:
    """Turns handlers into gRPC methods.

    At most `max_calls` calls are open at a time, without streams, which `streams` bounds. Bulk calls and streams use at
    most half of the pool's threads and wait for a free one. No reply is larger than `max_message_bytes`. `guard` lets
    callers in, before anything else is done for them; `observer` receives every call.
    """

    def __init__(
        self, pool: Executor, settings: Settings, streams: OpenStreams, guard: Guard, observer: Observer
    ) -> None:
        self._pool = pool
        self._guard = guard
        self._streams = streams
        self._settings = settings
        self.max_bytes = settings.max_message_bytes
        self._open = 0
        self._bulk = asyncio.Semaphore(max(1, settings.rpc_threads // 2))
        self._observer = GuardedObserver(observer)

    def unary(
        self,
        role: Role,
        handler: Handler[Request, Response],
        request_type: type[Request],
        priority: Priority = Priority.INTERACTIVE,
    ) -> Method:
        """A method with one request and one response, which `handler` returns in a thread, for callers with `role`."""
        return self.unary_on_loop(role, self.in_thread(handler), request_type, priority)

    def unary_on_loop(
        self,
        role: Role,
        work: Coroutine[Request, Response],
        request_type: type[Request],
        priority: Priority = Priority.INTERACTIVE,
    ) -> Method:
        """A method with one request and one response, which a coroutine on the event loop returns."""

        async def run(method: str, received: Received, context: Context) -> bytes:
            with self._observed(method, context) as exchange:
                try:
                    with self._calling(context, priority, role, exchange) as call:
                        return await self._answer(work, received, call, exchange)
                except Exception as error:
                    await fail(context, error, exchange)

        return lambda method: grpc.unary_unary_rpc_method_handler(
            partial(run, method), receiver(request_type)
        )

    def stream(
        self,
        role: Role,
        handler: Handler[Request, Response],
        failed: Callable[[ItemlensError], Response],
        request_type: type[Request],
    ) -> Method:
        """A bulk method: a response for each request, in order. The response to a wrong request is from `failed`."""
        work = self.in_thread(handler)

        async def run(method: str, requests: AsyncIterator[Received], context: Context) -> None:
            with self._observed(method, context) as exchange:
                try:
                    caller = admitted(context, self._guard, role, exchange)
                    with (
                        self._streams.opened(caller.name) as stream,
                        _ended(call_context(context, Priority.BULK, caller)) as call,
                    ):
                        exchange.stages = call.stages
                        while (received := await stream.read(requests)) is not None:
                            await _until_let_in(caller, role)
                            reply = await answer(received, call, exchange)
                            await stream.write(context.write(reply))
                        # If the caller cancelled, gRPC first ends the requests, and cancels this task a moment later.
                        await asyncio.sleep(HANG_UP_SECONDS)
                except Exception as error:
                    await fail(context, error, exchange)

        async def answer(received: Received, call: CallContext, exchange: Exchange) -> bytes:
            try:
                return await self._answer(work, received, call, exchange)
            except (DeadlineExceeded, Cancelled, Overloaded, StorageFull, PermissionDenied):
                raise  # these concern the stream, its caller or the server, not the request
            except ItemlensError as error:
                data = failed(error).SerializeToString()
                exchange.response_bytes += len(data)
                return data

        return lambda method: grpc.stream_stream_rpc_method_handler(
            partial(run, method), receiver(request_type)
        )

    @contextmanager
    def _observed(self, method: str, context: Context) -> Iterator[Exchange]:
        """Report a call to the observer, whatever its end."""
        started, exchange = time.monotonic(), Exchange(request_id(context), traceparent(context))
        self._observer.call_started(method)
        try:
            yield exchange
        except asyncio.CancelledError:  # by gRPC, because the caller no longer waits
            remaining = context.time_remaining()
            late = remaining is not None and remaining < DEADLINE_SECONDS
            exchange.code = "DEADLINE_EXCEEDED" if late else "CANCELLED"
            raise
        finally:
            self._observer.call_finished(exchange.finished(method, started))

    @contextmanager
    def _calling(
        self, context: Context, priority: Priority, role: Role, exchange: Exchange
    ) -> Iterator[CallContext]:
        """The context of a call that needs `role`. The call counts as open until it ends."""
        caller = admitted(context, self._guard, role, exchange)
        if self._open >= self._settings.max_calls:
            raise Overloaded(f"{self._open} calls are open already", retry_seconds=0.25)
        self._open += 1
        try:
            with _ended(call_context(context, priority, caller)) as call:
                exchange.stages = call.stages
                yield call
        finally:
            self._open -= 1

    def in_thread(self, handler: Handler[Request, Response]) -> Coroutine[Request, Response]:
        """Return a coroutine for `unary_on_loop` that runs `handler` in a thread of the pool."""

        def run(request: Request, call: CallContext) -> Response:
            call.check()  # it may have ended while it waited for the thread
            return handler(request, call)

        async def work(request: Request, call: CallContext) -> Response:
            if call.priority is Priority.INTERACTIVE:
                return await in_thread(self._pool, run, request, call)
            async with self._bulk:
                return await in_thread(self._pool, run, request, call)

        return work

    async def _answer(
        self, work: Coroutine[Request, Response], received: Received, call: CallContext, exchange: Exchange
    ) -> bytes:
        exchange.request_bytes += received.size
        caller = call.caller
        caller.spend(Used.CALLS, 1)
        caller.spend(Used.BYTES, received.size)
        request = parsed(received)
        for name in collections_of(request):
            exchange.collection = name or ""
            caller.check_collection(name)
        entries = entries_of(request)
        exchange.entries += entries
        caller.spend(Used.ITEMS, entries)
        call.check()
        try:
            with call.stages.recording():
                data = (await work(request, call)).SerializeToString()
        except Overloaded:  # the server's doing: the caller will send it again
            caller.spend(Used.CALLS, -1)
            caller.spend(Used.ITEMS, -entries)
            raise
        if len(data) > self.max_bytes:
            raise InvalidArgument(
                f"the reply would have {len(data)} bytes; a message may have {self.max_bytes}; "
                "ask for less in one call"
            )
        exchange.response_bytes += len(data)
        call.caller.spend(Used.BYTES, len(data))
        return data


async def _until_let_in(caller: Caller, role: Role) -> None:
    """Check a caller before each message of a stream. A short lack of quota slows the stream down.

    Raises:
        Unauthenticated, PermissionDenied, QuotaExceeded: the caller may send no more.
    """
    while True:
        try:
            return caller.check(role)
        except QuotaExceeded as error:
            if error.retry_seconds > MOST_PAUSE_SECONDS:
                raise
            await asyncio.sleep(error.retry_seconds)


@contextmanager
def _ended(call: CallContext) -> Iterator[CallContext]:
    """The call's context. The call ends with its reply, or when the caller cancels it."""
    try:
        yield call
    finally:
        call.end()
