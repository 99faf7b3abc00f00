"""The load's own gRPC calls, against a real gRPC server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from itemlens_bench.speed.grpc_call import BytesCaller
from itemlens_bench.speed.target import CallFailed, Refused

METHOD = "/bench.Test/Reverse"


def reverse(request: bytes, context: grpc.ServicerContext) -> bytes:
    if request == b"full":
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")
    if request == b"bad":
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such channel: try another, " + "x" * 200)
    return request[::-1]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = grpc.server(
        ThreadPoolExecutor(4),
        options=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_concurrent_streams", 20),
        ],
    )
    method: Any = grpc.unary_unary_rpc_method_handler(reverse)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Test", {"Reverse": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def send(address: str, *requests: bytes) -> list[Any]:
    """The replies or errors of concurrent calls."""

    async def together() -> list[Any]:
        async with BytesCaller(address, METHOD) as caller:
            return await asyncio.gather(*map(caller.send, requests), return_exceptions=True)

    return asyncio.run(together())


def test_a_reply_is_the_messages_bytes(address: str) -> None:
    assert send(address, b"abc", b"") == [b"cba", b""]


def test_each_of_many_calls_gets_its_own_reply_though_the_server_takes_20_at_a_time(address: str) -> None:
    requests = [str(n).encode() * (n % 7) for n in range(500)]
    assert send(address, *requests) == [request[::-1] for request in requests]


def test_messages_may_be_larger_than_frames_and_windows(address: str) -> None:
    requests = [bytes([n]) * 300_000 + b"end" for n in range(8)]
    assert send(address, *requests) == [request[::-1] for request in requests]


def test_a_full_server_refuses(address: str) -> None:
    [error, reply] = send(address, b"full", b"abc")
    assert isinstance(error, Refused)
    assert reply == b"cba"


def test_a_failed_call_says_why(address: str) -> None:
    [error] = send(address, b"bad")
    assert isinstance(error, CallFailed)
    assert "status 3" in str(error) and "no such channel" in str(error)


def test_an_unknown_method_fails(address: str) -> None:
    async def once() -> bytes:
        async with BytesCaller(address, "/bench.Test/Unknown") as caller:
            return await caller.send(b"abc")

    with pytest.raises(CallFailed, match="status 12"):
        asyncio.run(once())


def test_if_the_server_closes_the_connection_calls_in_flight_and_later_ones_fail() -> None:
    async def both() -> list[Any]:
        hang_up = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        host, port = hang_up.sockets[0].getsockname()
        async with BytesCaller(f"{host}:{port}", METHOD) as caller:
            rounds = [await asyncio.gather(caller.send(b"abc"), return_exceptions=True) for _ in range(2)]
        hang_up.close()
        return [error for [error] in rounds]

    assert all(isinstance(error, CallFailed) for error in asyncio.run(both()))


def test_calls_fail_if_no_server_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    [error] = send(address, b"abc")
    assert isinstance(error, CallFailed)
