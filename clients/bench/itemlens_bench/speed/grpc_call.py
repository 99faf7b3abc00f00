"""Unary gRPC calls whose messages are bytes: made before the clock starts, and not parsed while it runs."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import grpc

from itemlens_bench.speed.target import CallFailed, Refused

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class BytesCaller:
    """Calls one unary method."""

    def __init__(self, address: str, method: str) -> None:
        """`address`: "host:port"; `method`: "/package.Service/Method"."""
        self._address = address
        self._method = method

    async def __aenter__(self) -> Self:
        self._channel = grpc.aio.insecure_channel(self._address, UNLIMITED)
        self._call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(self._method)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()

    def pack(self, content: Any) -> bytes:
        """See Caller. Here a request is bytes already."""
        packed: bytes = content
        return packed

    def unpack(self, reply: bytes) -> Any:
        """See Caller. Here a reply stays bytes."""
        return reply

    async def send(self, request: bytes) -> bytes:
        """The reply.

        Raises:
            Refused, CallFailed: see there.
        """
        try:
            reply: bytes = await self._call(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise Refused from error
            raise CallFailed(f"{self._address}: {error.code().name}: {error.details()}") from error
        return reply
