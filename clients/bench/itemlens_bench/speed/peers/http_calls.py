"""Calls over HTTP/1.1 with a minimal client: the request's bytes are made before the clock starts."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import numpy as np

from itemlens_bench.speed.target import Array, CallFailed, Refused

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

REFUSED = (429, 503)


class HttpCaller:
    """POSTs JSON to one path over connections that are kept open, one for each call in flight."""

    def __init__(self, address: str, path: str) -> None:
        """`address`: "host:port"."""
        self._address = address
        self._path = path
        self._idle: list[Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._idle:
            _, writer = self._idle.pop()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def post(self, body: object) -> bytes:
        """The bytes of a request with `body` as JSON."""
        content = json.dumps(body).encode()
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: {self._address}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    async def send(self, request: bytes) -> bytes:
        """The body of the reply.

        Raises:
            Refused, CallFailed: see there.
        """
        try:
            if self._idle:
                try:
                    return await self._exchange(self._idle.pop(), request)
                except (ConnectionError, asyncio.IncompleteReadError):
                    pass  # the server may have closed a connection that was idle
            host, _, port = self._address.partition(":")
            return await self._exchange(await asyncio.open_connection(host, int(port)), request)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise CallFailed(f"{self._address}: {error!r}") from error

    async def _exchange(self, connection: Connection, request: bytes) -> bytes:
        reader, writer = connection
        try:
            writer.write(request)
            status, length = _status_and_length(await reader.readuntil(b"\r\n\r\n"))
            body = await reader.readexactly(length)
        except BaseException:
            writer.close()  # a late reply must not be read as that of another call
            raise
        self._idle.append(connection)
        if status in REFUSED:
            raise Refused
        if status != 200:
            raise CallFailed(f"{self._address}: HTTP {status}: {body[:200].decode(errors='replace')}")
        return body


def _status_and_length(head: bytes) -> tuple[int, int]:
    """Status and body length of a reply. CallFailed if the reply has no Content-Length."""
    lines = head.decode("latin-1").split("\r\n")
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(lines[0].split()[1]), int(value)
    raise CallFailed(f"a reply without Content-Length: {lines[0]}")


class InfinityCaller(HttpCaller):
    """infinity's OpenAI-compatible call with vectors in base64, the cheapest form for both sides."""

    def __init__(self, address: str, dimension: int) -> None:
        super().__init__(address, "/embeddings")
        self._dimension = dimension

    def pack(self, texts: Sequence[str]) -> bytes:
        """See Caller."""
        return self.post({"input": list(texts), "encoding_format": "base64", "model": "texts"})

    def unpack(self, reply: bytes) -> Array:
        """See Caller."""
        rows = [base64.b64decode(row["embedding"]) for row in json.loads(reply)["data"]]
        return np.frombuffer(b"".join(rows), np.float32).reshape(-1, self._dimension)


class LitServeCaller(HttpCaller):
    """The call of our LitServe server: the request is JSON, the reply the vectors' bytes."""

    def __init__(self, address: str, dimension: int) -> None:
        super().__init__(address, "/predict")
        self._dimension = dimension

    def pack(self, texts: Sequence[str]) -> bytes:
        """See Caller."""
        return self.post({"texts": list(texts)})

    def unpack(self, reply: bytes) -> Array:
        """See Caller."""
        return np.frombuffer(reply, np.float32).reshape(-1, self._dimension)
