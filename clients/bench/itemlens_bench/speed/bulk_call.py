"""StreamUpsertItems as a load: many callers share one stream, and no text is sent twice."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import grpc
from google.rpc import code_pb2

from itemlens._transport import channel_options
from itemlens.v1 import catalog_pb2, common_pb2
from itemlens_bench.speed.target import CallFailed, Refused

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
METHOD = "/itemlens.v1.Catalog/StreamUpsertItems"
Response = catalog_pb2.StreamUpsertItemsResponse


class BulkCaller:
    """Writes requests to one stream. Responses come in the same order."""

    def __init__(self, channel: str, collection: str, address: str) -> None:
        """`channel`: the space's text channel."""
        self._text_channel, self._collection, self._address = channel, collection, address
        self._numbers = itertools.count()
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._writing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._channel = grpc.aio.insecure_channel(self._address, channel_options(self._address, UNLIMITED))
        method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(METHOD)
        self._stream = method()
        self._reading = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.done_writing()
        await self._reading
        await self._channel.close()

    def pack(self, content: Sequence[str]) -> Sequence[str]:
        """Return the texts as they are: `send` puts a new number before each text, since the server does not encode a
        stored text again."""
        return content

    def unpack(self, reply: bytes) -> Response:
        """The response."""
        return Response.FromString(reply)

    async def send(self, request: Sequence[str]) -> bytes:
        """The response to these items.

        Raises:
            Refused, CallFailed: see there. Some items may have been written.
        """
        items = []
        for text in request:
            number = next(self._numbers)
            content = common_pb2.Content(channel=self._text_channel, text=f"{number} {text}")
            items.append(catalog_pb2.Item(item_id=f"bulk-{number}", contents=[content]))
        upsert = catalog_pb2.UpsertItemsRequest(collection=self._collection, items=items)
        message = catalog_pb2.StreamUpsertItemsRequest(upsert=upsert).SerializeToString()
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        async with self._writing:
            self._waiting.append(waiting)
            await self._stream.write(message)
        reply = await waiting
        # The response has a status for each item. A failed item does not fail the stream.
        codes = {result.status.code for result in Response.FromString(reply).upsert.results}
        if code_pb2.RESOURCE_EXHAUSTED in codes:
            raise Refused
        if codes - {code_pb2.OK}:
            raise CallFailed(f"{self._address}: items failed with {sorted(codes)}")
        return reply

    async def _read(self) -> None:
        try:
            async for reply in self._stream:
                self._waiting.popleft().set_result(reply)
        except grpc.aio.AioRpcError as error:
            while self._waiting:
                self._waiting.popleft().set_exception(
                    CallFailed(f"{self._address}: {error.code().name}: {error.details()}")
                )
