"""Abusive callers: the calls of a good client at the same time are answered, and memory stays bounded.

Small sizes by default; `make trials` takes those of the issue (a minute or two on two cores).
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import re
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import grpc
import pytest

import itemlens
from itemlens.v1 import catalog_pb2, catalog_pb2_grpc, common_pb2
from itemlens_bench.speed.http2 import INITIAL_WINDOW_SIZE, PREFACE, Frame, _frame, _request_headers
from support.serving import Server
from support.sizes import size
from support.spaces import Tiny

BURST = size(1000, 8000)
IDLE = size(110, 1040)
SECONDS = size(2, 10)
CONNECTIONS = size(2, 4)
MEMORY_MIB = 400
ANSWERED = 0.99

GET_ITEMS = "/itemlens.v1.Catalog/GetItems"
GET = catalog_pb2.GetItemsRequest(item_ids=["i1"])
RST_CANCEL = struct.pack(">I", 8)


@pytest.fixture(scope="module")
def stormed(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of our own, which holds as many streams as an attacker opens, and no more."""
    data = tmp_path_factory.mktemp("storm") / "data"
    with Server(tiny.models, data, max_streams=IDLE - 16) as running:
        with running.client() as client:
            items = [itemlens.Item(f"i{n}", text=f"red shoe {n}") for n in range(100)]
            client.upsert([*items, itemlens.Item("large", text="x", attributes={"a": "x" * 300_000})])
        yield running
    assert running.process.returncode == 0
    faults = [line for line in running.log if "internal error" in line or "Traceback" in line]
    assert faults == [], "".join(running.log[-80:])


def resident(server: Server) -> float:
    """MiB of memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [kib] = re.findall(r"VmRSS:\s+(\d+)", status)
    return int(kib) / 1024


@contextlib.contextmanager
def good_client(server: Server) -> Iterator[None]:
    """Make calls one after the other while the block runs, and a few more. A share of 0.99 must be answered."""
    over = threading.Event()
    outcomes: collections.Counter[str] = collections.Counter()

    def call() -> None:
        with itemlens.Client(server.address, timeout=30) as client:
            for n in itertools.count():
                if over.is_set() and n >= 20:
                    return
                try:
                    client.get_items(["i1"])
                    client.recommend(text="red shoe", k=3)
                    outcomes["answered"] += 1
                except itemlens.ItemlensError as error:
                    outcomes[str(error)] += 1
                time.sleep(0.01)

    before = resident(server)
    calling = threading.Thread(target=call)
    calling.start()
    try:
        yield
    finally:
        over.set()
        calling.join()
    assert outcomes["answered"] >= ANSWERED * outcomes.total(), outcomes
    assert resident(server) - before < MEMORY_MIB


def test_a_burst_of_honest_calls_is_answered(stormed: Server) -> None:
    async def burst() -> list[object]:
        clients = [itemlens.AsyncClient(stormed.address, timeout=120) for _ in range(4)]
        try:
            calls = (clients[n % 4].get_items([f"i{n % 100}"]) for n in range(BURST))
            return list(await asyncio.gather(*calls, return_exceptions=True))
        finally:
            for client in clients:
                await client.close()

    before = resident(stormed)
    failed = [outcome for outcome in asyncio.run(burst()) if isinstance(outcome, BaseException)]
    assert failed == []
    assert resident(stormed) - before < MEMORY_MIB


async def opened(server: Server, settings: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """An HTTP/2 connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(PREFACE + _frame(Frame.SETTINGS, 0, 0, settings))
    return reader, writer


async def on_connections(attack: Callable[[], Awaitable[None]]) -> None:
    await asyncio.gather(*(attack() for _ in range(CONNECTIONS)))


def test_beside_rapid_resets(stormed: Server) -> None:
    headers = _request_headers("x", GET_ITEMS)

    async def resets() -> None:
        reader, writer = await opened(stormed)

        async def read() -> None:
            while await reader.read(1 << 16):
                pass

        reading = asyncio.create_task(read())
        end = time.monotonic() + SECONDS
        numbers = itertools.count(1, 2)
        with contextlib.suppress(ConnectionError):  # the server may close the connection
            while time.monotonic() < end:
                for number in itertools.islice(numbers, 300):
                    writer.write(
                        _frame(Frame.HEADERS, 4, number, headers)
                        + _frame(Frame.DATA, 1, number, b"\0" * 5)
                        + _frame(Frame.RST_STREAM, 0, number, RST_CANCEL)
                    )
                await writer.drain()
                await asyncio.sleep(0)
        reading.cancel()
        writer.close()

    with good_client(stormed):
        asyncio.run(on_connections(resets))


@pytest.mark.parametrize("how", ["deadlines of a millisecond", "cancelled calls"])
def test_beside(how: str, stormed: Server) -> None:
    async def storm() -> None:
        own_connection = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(stormed.address, options=own_connection) as channel:
            stub = catalog_pb2_grpc.CatalogStub(channel)
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                if how == "cancelled calls":
                    calls = [stub.GetItems(GET) for _ in range(300)]
                    await asyncio.sleep(0.001)
                    for call in calls:
                        call.cancel()
                else:
                    calls = [stub.GetItems(GET, timeout=0.001) for _ in range(300)]
                await asyncio.gather(*calls, return_exceptions=True)

    with good_client(stormed):
        asyncio.run(on_connections(storm))


def test_beside_idle_streams_from_few_connections(stormed: Server) -> None:
    upsert = catalog_pb2.UpsertItemsRequest(
        items=[catalog_pb2.Item(item_id="s", contents=[common_pb2.Content(channel="text", text="red shoe")])]
    )

    async def open_streams() -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            grpc.aio.insecure_channel(stormed.address, options=options) for _ in range(IDLE // 95 + 1)
        ]
        stubs = [catalog_pb2_grpc.CatalogStub(channel) for channel in channels]
        streams = [stubs[n // 95].StreamUpsertItems() for n in range(IDLE)]
        for stream in streams:
            with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):  # ended for a newer one
                await stream.write(catalog_pb2.StreamUpsertItemsRequest(upsert=upsert))
                await stream.read()
        assert sum(not stream.done() for stream in streams) > IDLE // 2
        with stormed.client() as client:  # a new stream makes room for itself
            assert client.upload([itemlens.Item(f"u{n}", text="red") for n in range(10)]).written == 10
        for channel in channels:
            await channel.close()

    with good_client(stormed):
        asyncio.run(open_streams())


def test_beside_callers_who_do_not_read(stormed: Server) -> None:
    """Their answers stay with the server as long as they are connected: 100 a connection."""
    window = struct.pack(">HI", INITIAL_WINDOW_SIZE, 100)
    body = catalog_pb2.GetItemsRequest(item_ids=["large"]).SerializeToString()
    headers = _request_headers("x", GET_ITEMS)

    async def ask() -> None:
        _, writer = await opened(stormed, window)
        for n in range(100):
            data = b"\0" + struct.pack(">I", len(body)) + body
            writer.write(
                _frame(Frame.HEADERS, 4, 2 * n + 1, headers) + _frame(Frame.DATA, 1, 2 * n + 1, data)
            )
        await writer.drain()
        await asyncio.sleep(SECONDS)
        writer.close()

    with good_client(stormed):
        asyncio.run(on_connections(ask))
