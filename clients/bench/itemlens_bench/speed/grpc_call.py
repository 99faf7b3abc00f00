"""Unary gRPC calls with bytes as messages: they are made before the clock starts and not parsed while it runs."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from google.rpc import code_pb2

from itemlens_bench.speed.http2 import Connection, ConnectionFailed, connect
from itemlens_bench.speed.target import CallFailed, Refused

OK, RESOURCE_EXHAUSTED = code_pb2.OK, code_pb2.RESOURCE_EXHAUSTED


class BytesCaller:
    """Calls one unary method."""

    def __init__(self, address: str, method: str) -> None:
        """`address`: "host:port"; `method`: "/package.Service/Method"."""
        self._address = address
        self._method = method

    async def __aenter__(self) -> Self:
        try:
            self._connection: Connection | None = await connect(self._address, self._method)
        except OSError:
            self._connection = None  # the server may still be starting; until then calls fail
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()

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
        if self._connection is None:
            raise CallFailed(f"{self._address}: no server listens")
        try:
            reply = await self._connection.call(request)
        except ConnectionFailed as error:
            raise CallFailed(f"{self._address}: {error}") from error
        if reply.status == RESOURCE_EXHAUSTED:
            raise Refused
        if reply.status != OK:
            raise CallFailed(f"{self._address}: status {reply.status}: {reply.message}")
        return reply.body
