"""Fuse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlens.v1 import itemlens_pb2
from itemlens_server.rpc import messages
from itemlens_server.rpc.errors import item_status
from itemlens_server.services import CallContext, FusedInput, FuseInput, Fuser


@dataclass(frozen=True)
class Fuse:
    """Fuse the contents and vectors of items to h, or of queries to u."""

    fuser: Fuser

    def __call__(self, request: itemlens_pb2.FuseRequest, call: CallContext) -> itemlens_pb2.FuseResponse:
        inputs = messages.Decoded(request.inputs, _input)
        role, changes = messages.ROLES.get(request.role, ""), messages.changes(request.channel_weights)
        space, fused = self.fuser.fuse(request.space, role, inputs, changes, call)
        rows = [f.vector for f in fused if f.vector is not None]
        matrix = np.stack(rows) if rows else np.zeros((0, space.head.dimension), np.float32)
        reply = itemlens_pb2.FuseResponse(
            space_id=space.space_id, vectors=messages.matrix(matrix, request.role, space.space_id)
        )
        row = 0
        for n, result in enumerate(fused):
            reply.results.append(_result(result, n, row))
            row += result.vector is not None
        return reply


def _input(message: itemlens_pb2.FuseInput) -> FuseInput:
    contents = messages.Decoded(message.contents, messages.content)
    return FuseInput(contents, messages.Decoded(message.vectors, messages.vector))


def _result(fused: FusedInput, n: int, row: int) -> itemlens_pb2.FuseResult:
    warnings = messages.warnings(fused.warnings, f"inputs[{n}]")
    if fused.error is not None:
        return itemlens_pb2.FuseResult(status=item_status(fused.error, f"inputs[{n}]"), warnings=warnings)
    channels = [
        itemlens_pb2.ChannelPresence(
            channel=name, presence=itemlens_pb2.Presence.Value(f"PRESENCE_{presence}")
        )
        for name, presence in (fused.presence or {}).items()
    ]
    return itemlens_pb2.FuseResult(row=row, channels=channels, warnings=warnings)
