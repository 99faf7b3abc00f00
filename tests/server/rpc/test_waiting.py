"""Waiting for encoders on the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from itemlens_server.engine.batcher import Batcher
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.entry import Input
from itemlens_server.engine.pending import Pending
from itemlens_server.engine.queue import Plan
from itemlens_server.rpc.waiting import ready


class Begun:
    """An encoding for `ready` to wait for."""

    def __init__(self, *pending: Pending[str]) -> None:
        self._pending = list(pending)

    def pending(self) -> list[Pending[str]]:
        return self._pending


def batcher(run: Callable[[list[str]], list[str]]) -> Batcher[str, str]:
    return Batcher([run], plan=Plan(), name="test")


def test_it_waits_until_all_outputs_are_there() -> None:
    upper = batcher(lambda inputs: [i.upper() for i in inputs])

    async def call() -> list[list[str]]:
        pending = [upper.submit([Input(i)], CallContext()) for i in "ab"]
        begun: Any = Begun(*pending)
        await ready(begun)
        return [p.results() for p in pending]

    assert asyncio.run(call()) == [["A"], ["B"]]
    upper.close()


def test_a_caller_who_goes_meanwhile_takes_no_worker_with_it() -> None:
    go, failures = threading.Event(), []

    def run(inputs: list[str]) -> list[str]:
        go.wait()
        return inputs

    held = batcher(run)

    async def hang_up() -> None:
        call = CallContext()
        begun: Any = Begun(held.submit([Input("a")], call))
        waiting = asyncio.create_task(ready(begun))
        await asyncio.sleep(0.01)
        waiting.cancel()
        call.end()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        go.set()
        await asyncio.sleep(0.05)

    asyncio.run(hang_up())
    assert held.submit([Input("b")], CallContext(5.0)).results() == ["b"]
    assert not failures
    held.close()
