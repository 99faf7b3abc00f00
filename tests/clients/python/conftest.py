from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest

import itemlens
from itemlens.v1 import catalog_pb2_grpc, itemlens_pb2_grpc
from support.fake_server import QUICK, Connect, Fake


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def address(fake: Fake) -> Iterator[str]:
    with futures.ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads, options=[("grpc.max_receive_message_length", 64 << 20)])
        itemlens_pb2_grpc.add_ItemLensServicer_to_server(fake, server)
        catalog_pb2_grpc.add_CatalogServicer_to_server(fake, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(0).wait()


class Awaited:
    """An AsyncClient that is called like a Client, each call in one event loop."""

    def __init__(self, target: str, **settings: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.client = itemlens.AsyncClient(target, **settings)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)

        async def listed(items: AsyncIterator[Any]) -> list[Any]:
            return [item async for item in items]

        def call(*args: Any, **kwargs: Any) -> Any:
            outcome = method(*args, **kwargs)
            return self.loop.run_until_complete(listed(outcome) if inspect.isasyncgen(outcome) else outcome)

        return call

    def __enter__(self) -> Awaited:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.run_until_complete(self.client.close())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, address: str) -> Iterator[Connect]:
    """Makes a client of either flavour with the given settings."""
    opened: list[Any] = []

    def make(**settings: Any) -> Any:
        flavour = itemlens.Client if request.param == "sync" else Awaited
        defaults: dict[str, Any] = {"retry": QUICK, "timeout": 10.0}
        opened.append(flavour(address, **defaults | settings))
        return opened[-1]

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(connect: Connect) -> Any:
    return connect()
