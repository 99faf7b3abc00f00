"""GetSpace, GetStatistics and Encode."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens.v1 import common_pb2, itemlens_pb2
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.encoder import Encoder
from itemlens_server.engine.manifest import Purpose
from itemlens_server.engine.modalities import MODALITIES
from itemlens_server.engine.repository import Space
from itemlens_server.fusion.head import Array, unit
from itemlens_server.rpc import messages as convert
from itemlens_server.rpc.errors import item_status
from itemlens_server.rpc.waiting import ready
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.encoding import ContentEncoder, EncodedContent, Encoding, Outcome

# Characters of a call's texts that are prepared on the event loop: some 0.3 ms.
LIGHT_CHARACTERS = 2000


@dataclass(frozen=True)
class GetSpace:
    """What a space can do."""

    catalogue: Catalogue

    def __call__(
        self, request: itemlens_pb2.GetSpaceRequest, call: CallContext
    ) -> itemlens_pb2.GetSpaceResponse:
        space = self.catalogue.space(request.space)
        channels = [
            itemlens_pb2.Channel(
                name=name,
                kind=itemlens_pb2.ChannelKind.Value(f"CHANNEL_KIND_{e.modality.kind}"),
                dimension=e.spec.dim,
                provider=e.provider,
                precision=e.precision.value,
            )
            for name, e in space.encoders.items()
        ]
        return itemlens_pb2.GetSpaceResponse(
            space_id=space.space_id, name=space.manifest.name, channels=channels,
            fused_dimension=space.head.dimension, fitted=space.head.fitted,
        )  # fmt: skip


@dataclass(frozen=True)
class GetStatistics:
    """What the encoders of a space have done."""

    catalogue: Catalogue
    encoder: ContentEncoder

    def __call__(
        self, request: itemlens_pb2.GetStatisticsRequest, call: CallContext
    ) -> itemlens_pb2.GetStatisticsResponse:
        encoders = self.catalogue.space(request.space).encoders
        cache = self.encoder.cache
        return itemlens_pb2.GetStatisticsResponse(
            encoders=[_statistics(name, encoder) for name, encoder in encoders.items()],
            cache_hits=cache.hits, cache_misses=cache.misses, cache_bytes=cache.bytes,
        )  # fmt: skip


def _statistics(channel: str, encoder: Encoder[Any, Any]) -> itemlens_pb2.EncoderStatistics:
    counts = encoder.counts()
    return itemlens_pb2.EncoderStatistics(
        channel=channel, instances=encoder.plan.instances, threads=encoder.plan.threads,
        waiting_tokens=encoder.waiting_tokens(), max_waiting_tokens=encoder.max_queue_tokens,
        inputs=counts.inputs, batches=counts.batches, tokens=counts.tokens, padded_tokens=counts.padded_tokens,
        joined_inputs=counts.joined, refused_calls=counts.refused, dropped_inputs=counts.dropped,
        run_seconds=counts.run_seconds, queue_seconds=counts.queue_seconds,
    )  # fmt: skip


@dataclass(frozen=True)
class Encode:
    """Texts and pictures to vectors, a matrix a channel."""

    catalogue: Catalogue
    encoder: ContentEncoder
    settings: Settings
    pool: Executor

    async def __call__(
        self, request: itemlens_pb2.EncodeRequest, call: CallContext
    ) -> itemlens_pb2.EncodeResponse:
        convert.at_most(request.inputs, self.settings.max_inputs, "inputs")
        if self._light(request):
            space, encoding = self._begin(request, call)
        else:
            loop = asyncio.get_running_loop()
            space, encoding = await loop.run_in_executor(self.pool, self._begin, request, call)
        await ready(encoding)
        return _reply(request, space, encoding.results())

    def _light(self, request: itemlens_pb2.EncodeRequest) -> bool:
        """Whether preparing takes less time than handing it to a thread would."""
        if request.space:
            return False
        quick = {modality.field for modality in MODALITIES.values() if modality.quick}
        size = 0
        for message in request.inputs:
            if field := message.WhichOneof("value"):
                if field not in quick:
                    return False
                size += len(getattr(message, field))
        return size <= LIGHT_CHARACTERS

    def _begin(self, request: itemlens_pb2.EncodeRequest, call: CallContext) -> tuple[Space, Encoding]:
        space = self.catalogue.space(request.space)
        contents = [convert.content(c) for c in request.inputs]
        purpose: Purpose = "query" if request.purpose == itemlens_pb2.PURPOSE_QUERY else "item"
        return space, self.encoder.begin(space, contents, purpose, call)


def _reply(
    request: itemlens_pb2.EncodeRequest, space: Space, outcomes: Sequence[Outcome]
) -> itemlens_pb2.EncodeResponse:
    rows: dict[str, list[Array]] = {}
    results = []
    for n, (one, outcome) in enumerate(zip(request.inputs, outcomes, strict=True)):
        result = itemlens_pb2.EncodeResult(channel=one.channel)
        if isinstance(outcome, EncodedContent):
            own = rows.setdefault(one.channel, [])
            result.row = len(own)
            own.append(outcome.v)
            if outcome.warnings:
                result.warnings.extend(convert.warnings(outcome.warnings, f"inputs[{n}]"))
        else:
            result.status.CopyFrom(item_status(outcome, f"inputs[{n}]"))
        results.append(result)
    matrices = []
    for channel, vectors in rows.items():
        v = np.stack(vectors)
        v = unit(v) if request.unit_length else v
        matrices.append(convert.matrix(v, common_pb2.VECTOR_ROLE_CHANNEL, space.space_id, channel))
    return itemlens_pb2.EncodeResponse(space_id=space.space_id, results=results, matrices=matrices)
