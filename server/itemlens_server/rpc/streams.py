"""The open streams: their limit, the limit of idle time, and their end when the server stops."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from itemlens_server.errors import Overloaded, Unavailable

T = TypeVar("T")

STOPPING = "the server is stopping; send unacknowledged requests again, later or to another server"


@dataclass(eq=False)
class _Wait:
    """A stream that waits for its caller. `why`: message of the error if the wait ends early."""

    timer: asyncio.Timeout
    caller: str
    reading: bool
    why: str

    def end(self, why: str) -> None:
        if not self.timer.expired():
            self.why = why
            self.timer.reschedule(0)


class OpenStreams:
    """Counts open streams, and tracks which of them wait for their caller.

    A waiting stream takes memory, but no thread, and does not count as an open call. When `most` streams are open, a
    new one ends the stream that has waited longest, of the caller with the most streams, so that a caller with many
    streams cannot lock others out.
    """

    def __init__(self, most: int, idle_seconds: float) -> None:
        """`idle_seconds`: how long a stream may wait for its caller."""
        self._most = most
        self._idle_seconds = idle_seconds
        self._open: Counter[str] = Counter()  # by caller
        self._waits: dict[_Wait, None] = {}  # the longest first
        self._stopping = False

    @contextmanager
    def opened(self, caller: str) -> Iterator[OpenStream]:
        """Count one stream of a caller as open for the duration of the block.

        Raises:
            Overloaded: `most` are open, and none of them waits.
        """
        if self._open.total() >= self._most:
            self._make_room(caller)
        self._open[caller] += 1
        try:
            yield OpenStream(self, caller)
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]

    def stop(self) -> None:
        """End the streams that wait for a request. The others end after their reply."""
        self._stopping = True
        for wait in [wait for wait in self._waits if wait.reading]:
            wait.end(STOPPING)

    async def wait(self, caller: str, what: Awaitable[T], *, reading: bool) -> T:
        """Wait for a stream's caller: until a request comes, or a reply is sent."""
        why = f"the stream was idle for {self._idle_seconds:g} seconds; open it again"
        wait = _Wait(asyncio.timeout(self._idle_seconds), caller, reading, why)
        try:
            async with wait.timer:
                self._waits[wait] = None
                try:
                    return await what
                finally:
                    self._waits.pop(wait, None)
        except TimeoutError:
            raise Unavailable(wait.why) from None

    @property
    def stopping(self) -> bool:
        """Whether no stream gets further requests."""
        return self._stopping

    def _make_room(self, caller: str) -> None:
        count, own = self._open.total(), self._open[caller]
        # Not from a caller who has fewer than the new stream's caller would have.
        found = [wait for wait in self._waits if wait.caller == caller or self._open[wait.caller] > own]
        if not found:
            raise Overloaded(f"{count} streams are open already", retry_seconds=1.0)
        longest = max(found, key=lambda wait: self._open[wait.caller])  # the first of equal ones
        del self._waits[longest]  # it makes room only once
        longest.end(f"{count} streams are open and this one was idle longest of its caller's; open it again")


@dataclass(frozen=True)
class OpenStream:
    """One open stream."""

    streams: OpenStreams
    caller: str

    async def read(self, requests: AsyncIterator[T]) -> T | None:
        """The next request; None at the end.

        Raises:
            Unavailable: the server stops, the caller was idle for too long, or a new stream replaces this one.
        """
        if self.streams.stopping:
            raise Unavailable(STOPPING)
        return await self.streams.wait(self.caller, anext(requests, None), reading=True)

    async def write(self, sending: Awaitable[None]) -> None:
        """Wait until a reply is sent. A caller that does not read delays it.

        Raises:
            Unavailable: the caller did not read for too long, or a new stream replaces this one.
        """
        await self.streams.wait(self.caller, sending, reading=False)
