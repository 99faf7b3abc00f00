"""Waiting on the event loop: for encoders, so that it takes no thread, and for what must run in one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from itemlens_server.services import Encoding

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(pool: Executor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread of a pool, in the context of the call (see `stages`)."""
    run = partial(copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(pool, run)


async def ready(encoding: Encoding) -> None:
    """Wait until `encoding.results` no longer blocks. gRPC cancels this coroutine when the caller is gone."""
    loop = asyncio.get_running_loop()
    for pending in encoding.pending():
        done: asyncio.Future[None] = loop.create_future()

        def wake(done: asyncio.Future[None] = done) -> None:
            with contextlib.suppress(RuntimeError):  # the server has stopped, and its loop is closed
                loop.call_soon_threadsafe(_finish, done)

        pending.when_ready(wake)
        await done


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
