"""Waiting for encoders on the event loop, so that it takes no thread."""

from __future__ import annotations

import asyncio
import contextlib

from itemlens_server.services import Encoding


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
