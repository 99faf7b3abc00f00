"""The streams that are open: how many there may be, how long one may be idle, and their end when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from itemlens_server.errors import Overloaded, Unavailable

T = TypeVar("T")

STOPPING = "the server is stopping; send again what was not acknowledged, to another server or later"


@dataclass(eq=False)
class _Wait:
    """A stream that waits for its caller. `why`: what the caller is told if the wait ends early."""

    timer: asyncio.Timeout
    reading: bool
    why: str

    def end(self, why: str) -> None:
        if not self.timer.expired():
            self.why = why
            self.timer.reschedule(0)


class OpenStreams:
    """Counts open streams and knows which of them wait for their caller.

    A stream that waits takes memory, but no thread and none of the calls that may be open. Where `most` streams are
    open, the one that has waited longest is ended for a new one: a caller with many idle streams locks nobody out.
    """

    def __init__(self, most: int, idle_seconds: float) -> None:
        """`idle_seconds`: how long a stream may wait for its caller."""
        self._most = most
        self._idle_seconds = idle_seconds
        self._open = 0
        self._waits: dict[_Wait, None] = {}  # the longest first
        self._stopping = False

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Counts one stream.

        Raises:
            Overloaded: `most` are open, and none of them waits.
        """
        if self._open >= self._most:
            self._make_room()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def read(self, requests: AsyncIterator[T]) -> T | None:
        """The next request; None at the end.

        Raises:
            Unavailable: the server stops, the caller was idle for too long, or another stream needs the room.
        """
        if self._stopping:
            raise Unavailable(STOPPING)
        return await self._wait(anext(requests, None), reading=True)

    async def write(self, sending: Awaitable[None]) -> None:
        """Wait until an answer is sent, which a caller who does not read holds up.

        Raises:
            Unavailable: the caller did not read for too long, or another stream needs the room.
        """
        await self._wait(sending, reading=False)

    def stop(self) -> None:
        """End the streams that wait for a request. The others are ended after their answer."""
        self._stopping = True
        for wait in [wait for wait in self._waits if wait.reading]:
            wait.end(STOPPING)

    async def _wait(self, what: Awaitable[T], *, reading: bool) -> T:
        why = f"the stream was idle for {self._idle_seconds:g} seconds; open it again"
        wait = _Wait(asyncio.timeout(self._idle_seconds), reading, why)
        try:
            async with wait.timer:
                self._waits[wait] = None
                try:
                    return await what
                finally:
                    self._waits.pop(wait, None)
        except TimeoutError:
            raise Unavailable(wait.why) from None

    def _make_room(self) -> None:
        if not self._waits:
            raise Overloaded(f"{self._open} streams are open already", retry_seconds=1.0)
        longest = next(iter(self._waits))
        del self._waits[longest]  # it makes room once
        longest.end(f"{self._open} streams are open, and this one was idle longest; open it again")
