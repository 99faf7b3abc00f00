"""The asyncio client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from ._catalog import AwaitedCatalog
from ._errors import DeadlineExceeded, ItemlensError, ServerError, Unavailable, from_rpc
from ._events import AwaitedEvents
from ._filter import Filter
from ._retry import Retry
from ._secure import Tls, check_key
from ._steps import Call, Done, Finish, Open, Read, Session, Sleep, Step, Steps, Write, advance
from ._stored import StoredEvent, StoredItem
from ._target import check
from ._transport import Priority, channel_options, checked, failure, headers, methods
from ._understand import AwaitedUnderstand
from ._updates import AwaitedUpdates
from ._upload import AwaitedUpload

T = TypeVar("T")


class AsyncClient(AwaitedUnderstand, AwaitedCatalog, AwaitedEvents, AwaitedUpdates, AwaitedUpload):
    """Asyncio client of an itemlens server, with the methods of `Client` as coroutines.

    A client belongs to the event loop of its first call.

        async with itemlens.AsyncClient("localhost:50051") as client:
            found = await client.recommend(text="something for a marathon")

    Arguments, limits and errors are those of `Client`. Cancelling a task cancels its call.
    """

    def __init__(
        self,
        target: str = "localhost:50051",
        *,
        timeout: float = 30.0,
        retry: Retry = Retry(),
        collection: str = "default",
        space: str = "",
        key: str = "",
        tls: Tls | None = None,
        allow_plaintext_key: bool = False,
        caller: str = "",
        priority: Priority | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self._session = Session(timeout=timeout, retry=retry, collection=collection, space=space)
        self._target, self._closed = check(target), False
        self._headers = headers(check_key(key, target, tls, allow_plaintext_key), caller, priority)
        self._options = channel_options(target, [*(tls.options() if tls else ()), *options])
        self._credentials = tls.credentials() if tls else None
        self._channel: grpc.aio.Channel | None = None
        self._methods: dict[str, Any] = {}

    async def close(self) -> None:
        """Close the connection and cancel the calls in progress."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def list_items(
        self,
        *,
        filter: str | Filter = "",
        page_size: int = 100,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[StoredItem]:
        """Iterate over all items, without pictures and vectors, ordered by id.

        Items are fetched page by page; an item that stays occurs once, whatever is written meanwhile. `page_size` is at
        most 1,000. `timeout` (seconds) applies to each page. filter: only items that match it, as in `recommend`.
        """
        token = ""
        while True:
            page, token = await self._page_of_items(page_size, token, filter, collection, timeout)
            for item in page:
                yield item
            if not token:
                return

    async def list_events(
        self,
        user_id: str,
        *,
        page_size: int = 100,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[StoredEvent]:
        """Iterate over a user's events, in the order in which they were recorded.

        Events are fetched page by page. `page_size` is at most 1,000. `timeout` (seconds) applies to each page.
        """
        token = ""
        while True:
            page, token = await self._page_of_events(user_id, page_size, token, collection, timeout)
            for event in page:
                yield event
            if not token:
                return

    async def _run(self, steps: Steps[T]) -> T:
        if self._channel is None:
            # Not in __init__: grpc.aio ties a channel to the event loop in which it is created.
            if self._credentials is None:
                self._channel = grpc.aio.insecure_channel(self._target, options=self._options)
            else:
                self._channel = grpc.aio.secure_channel(
                    self._target, self._credentials, options=self._options
                )
            self._methods = methods(self._channel, self._headers)
        transport = _Transport(self._methods)
        outcome: Any = None
        error: ItemlensError | None = None
        try:
            while not isinstance(step := advance(steps, outcome, error), Done):
                outcome = error = None
                try:
                    outcome = await transport.perform(step)
                except grpc.RpcError as failed:
                    error = failure(failed, self._target, self._closed)
                except ItemlensError as failed:
                    error = failed
        finally:
            transport.abandon()
        result: T = step.value
        return result


class _Transport:
    """Performs the steps of one run."""

    def __init__(self, methods: dict[str, Any]) -> None:
        self._methods = methods
        self._stream: Any = None

    async def perform(self, step: Step) -> Any:
        match step:
            case Call(method, request, timeout):
                return await self._methods[method](checked(request), timeout=timeout)
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Open(method, wait_for_ready):
                self.abandon()
                self._stream = self._methods[method](wait_for_ready=wait_for_ready)
            case Write(request):
                await self._write(checked(request))
            case Read(timeout):
                return await self._read(timeout)
            case Finish(timeout):
                await self._stream.done_writing()
                await self._read(timeout)
        return None

    async def _write(self, request: Message) -> None:
        try:
            await self._stream.write(request)
        except asyncio.InvalidStateError:  # the stream has ended; reading raises its status
            if await self._read(None) is None:
                raise Unavailable("the server ended the stream early") from None
        except grpc.RpcError as error:
            # A write that fails while the stream ends replaces the server's status with INTERNAL
            # (github.com/grpc/grpc/issues/36066). If the next stream breaks too, it reports the cause.
            if isinstance(from_rpc(error), ServerError):
                raise Unavailable("the stream broke") from error
            raise

    async def _read(self, timeout: float | None) -> Any:
        try:
            reply = await asyncio.wait_for(self._stream.read(), timeout)
        except TimeoutError as error:
            raise DeadlineExceeded(f"no answer on the stream for {timeout:g} seconds") from error
        return None if reply is grpc.aio.EOF else reply

    def abandon(self) -> None:
        """Cancel the stream if it is open."""
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None
