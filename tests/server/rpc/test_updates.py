"""UpdateItems on the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from itemlens.v1 import catalog_pb2
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.rpc.adapter import Coroutine, Handler
from itemlens_server.rpc.updates import FEW_UPDATES, UpdateItems
from itemlens_server.services import CallContext
from support.live import Live
from support.spaces import Tiny


def test_calls_of_many_updates_hold_no_thread_while_the_disk_writes(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path
) -> None:
    live = Live(repository, tmp_path / "data", tiny.fitted)
    live.put("a", "red shoe")
    pool, held, go = ThreadPoolExecutor(1), threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        held.set()
        go.wait(30)

    def in_thread(handler: Handler[Any, Any]) -> Coroutine[Any, Any]:
        async def work(request: Any, call: CallContext) -> Any:
            return await asyncio.get_running_loop().run_in_executor(pool, handler, request, call)

        return work

    many = [catalog_pb2.ItemUpdate(item_id="a", removed_attributes=[str(n)]) for n in range(FEW_UPDATES + 1)]
    update = UpdateItems(live.catalogue, in_thread)

    async def main() -> None:
        request, call = catalog_pb2.UpdateItemsRequest(updates=many), CallContext()
        calls = [asyncio.create_task(update(request, call)) for _ in range(5)]
        await asyncio.sleep(0.05)
        assert (
            await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(pool, lambda: "free"), 10)
            == "free"
        )
        assert not any(one.done() for one in calls)
        go.set()
        assert [len(reply.results) for reply in await asyncio.gather(*calls)] == [len(many)] * 5

    live.store.submit(wait, lambda _: None)
    assert held.wait(30)
    try:
        asyncio.run(main())
    finally:
        go.set()
        pool.shutdown()
        live.close()
