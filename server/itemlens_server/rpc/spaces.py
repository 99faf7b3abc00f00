"""GetSpace and GetStatistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from itemlens.v1 import itemlens_pb2
from itemlens_server.services import CallContext, Catalogue, ContentEncoder, Encoder


@dataclass(frozen=True)
class GetSpace:
    """Return the channels and dimensions of a space."""

    catalogue: Catalogue

    def __call__(
        self, request: itemlens_pb2.GetSpaceRequest, call: CallContext
    ) -> itemlens_pb2.GetSpaceResponse:
        space = self.catalogue.space(request.space)
        channels = [
            itemlens_pb2.Channel(
                name=name, kind=itemlens_pb2.ChannelKind.Value(f"CHANNEL_KIND_{encoder.modality.kind}"),
                dimension=encoder.spec.dim, provider=encoder.provider,
                precision=encoder.precision.value if encoder.provider else "",
                version=encoder.spec.external.version if encoder.spec.external else "",
            )
            for name, encoder in space.encoders.items()
        ]  # fmt: skip
        return itemlens_pb2.GetSpaceResponse(
            space_id=space.space_id, name=space.manifest.name, channels=channels,
            fused_dimension=space.head.dimension, fitted=space.head.fitted,
        )  # fmt: skip


@dataclass(frozen=True)
class GetStatistics:
    """Return the statistics of a space's encoders."""

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
    counts, plan = encoder.counts(), encoder.plan
    return itemlens_pb2.EncoderStatistics(
        channel=channel, instances=plan.instances if plan else 0, threads=plan.threads if plan else 0,
        waiting_tokens=encoder.waiting_tokens(), max_waiting_tokens=encoder.max_queue_tokens,
        inputs=counts.inputs, batches=counts.batches, tokens=counts.tokens, padded_tokens=counts.padded_tokens,
        joined_inputs=counts.joined, refused_calls=counts.refused, dropped_inputs=counts.dropped,
        run_seconds=counts.run_seconds, queue_seconds=counts.queue_seconds,
    )  # fmt: skip
