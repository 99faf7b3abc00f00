"""Encode."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from itemlens.v1 import common_pb2, itemlens_pb2
from itemlens_server.rpc import messages
from itemlens_server.rpc.errors import item_status
from itemlens_server.rpc.waiting import in_thread, ready
from itemlens_server.services import BatchEncoder, BatchRow, CallContext, Priority


@dataclass(frozen=True)
class Encode:
    """Encode texts and pictures to vectors, as one matrix per channel."""

    encoder: BatchEncoder
    pool: Executor

    async def __call__(
        self, request: itemlens_pb2.EncodeRequest, call: CallContext
    ) -> itemlens_pb2.EncodeResponse:
        contents = messages.Decoded(request.inputs, messages.content)
        asked = (request.space, contents, messages.purpose(request.purpose), call)
        # A bulk call may wait for room in the queue, which must not hold the event loop.
        if call.priority is Priority.INTERACTIVE and self.encoder.is_light(request.space, contents):
            batch = self.encoder.begin(*asked)
        else:
            batch = await in_thread(self.pool, self.encoder.begin, *asked)
        await ready(batch.encoding)
        rows, matrices = batch.results(request.unit_length)
        role, space_id = common_pb2.VECTOR_ROLE_CHANNEL, batch.space.space_id
        return itemlens_pb2.EncodeResponse(
            space_id=space_id,
            results=[_result(request.inputs[n].channel, row, n) for n, row in enumerate(rows)],
            matrices=[messages.matrix(v, role, space_id, channel) for channel, v in matrices.items()],
        )


def _result(channel: str, row: BatchRow, n: int) -> itemlens_pb2.EncodeResult:
    if row.error is not None:
        return itemlens_pb2.EncodeResult(channel=channel, status=item_status(row.error, f"inputs[{n}]"))
    warnings = messages.warnings(row.warnings, f"inputs[{n}]") if row.warnings else ()
    return itemlens_pb2.EncodeResult(channel=channel, row=row.row, warnings=warnings)
