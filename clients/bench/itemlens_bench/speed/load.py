"""Load processes: each packs its requests once and then sends them in a given pattern."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

from itemlens_bench.speed.patterns import Pattern, Recording, Sender
from itemlens_bench.speed.remote import Remote

START_SECONDS = 0.1  # from an order to the first call, so that all processes begin together


class Packer(Sender, Protocol):
    """The part of a Caller that a load process needs. The requests need not be texts."""

    async def __aenter__(self) -> Self:
        """Connect."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""

    def pack(self, texts: Any, /) -> Any:
        """A request, ready to be sent."""

    def unpack(self, reply: Any, /) -> Any:
        """The decoded reply."""


class Load:
    """Load processes against one server. Leaving the block ends them."""

    def __init__(
        self,
        caller: Callable[[], Packer],
        contents: Sequence[Any],
        processes: int = 1,
        awake: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`contents`: the contents of the requests, which are packed before the clock starts. `awake`: a context that
        surrounds all calls of the server."""
        self._awake = awake
        self._turn = ExitStack()
        self._workers = [Remote(partial(_Worker, caller, contents)) for _ in range(processes)]
        self._stack = ExitStack()
        self.at = 0.0
        """The start of the last pattern, in seconds of the monotonic clock."""

    def __enter__(self) -> Self:
        with self._awake():
            for worker in self._workers:
                self._stack.enter_context(worker)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def run(self, pattern: Pattern) -> Recording:
        """Run a pattern to its end. RemoteFailed: see there."""
        self.begin(pattern)
        return self.finish()

    def begin(self, pattern: Pattern) -> None:
        """Start a pattern; `finish` waits for it."""
        self._turn.enter_context(self._awake())
        self.at = at = time.monotonic() + START_SECONDS
        for worker, part in zip(self._workers, pattern.split(len(self._workers)), strict=True):
            worker.begin(_Worker.run, part, at)

    def finish(self) -> Recording:
        """The recording of the pattern that `begin` started. RemoteFailed: see there."""
        with self._turn:
            return Recording.joined([worker.finish() for worker in self._workers])

    def ask(self, content: Any) -> Any:
        """Make one call that is not measured. Return its decoded reply. RemoteFailed: see there."""
        with self._awake():
            return self._workers[0].call(_Worker.ask, content)


class _Worker:
    """A caller with its packed requests, and an event loop that runs only during `run` and `ask`."""

    def __init__(self, make: Callable[[], Packer], contents: Sequence[Any]) -> None:
        self._runner = asyncio.Runner()
        self._caller = make()
        self._runner.run(self._caller.__aenter__())
        self._requests = [self._caller.pack(content) for content in contents]
        gc.collect()
        gc.freeze()  # the requests stay; a garbage collection must not scan them in the measured time

    async def _turn(self, pattern: Pattern, at: float) -> Recording:
        # Between turns this process answers no keepalive pings, so the server may have closed the connection.
        await self._caller.__aexit__(None, None, None)
        await self._caller.__aenter__()
        return await pattern.run(self._caller, self._requests, at)

    def run(self, pattern: Pattern, at: float) -> Recording:
        before = time.process_time()
        recording = self._runner.run(self._turn(pattern, at))
        return replace(recording, cpu_seconds=time.process_time() - before)

    def ask(self, content: Any) -> Any:
        async def once() -> Any:
            return self._caller.unpack(await self._caller.send(self._caller.pack(content)))

        return self._runner.run(once())
