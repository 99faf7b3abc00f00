"""Traces of calls, sent by OTLP: a span for each call, under the caller's (`traceparent`), and one for each stage.

Spans are made when a call has ended, from its stages, so a call that is not in the sample costs next to nothing.
"""

from __future__ import annotations

import random
import time

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from itemlens_server.observer import FinishedBatch, FinishedCall

_FLUSH_MILLISECONDS = 3000


class Tracing:
    """An Observer that sends spans."""

    def __init__(self, exporter: SpanExporter, share: float) -> None:
        """share: of the calls whose callers do not say whether they are in the sample."""
        self._share = share
        resource = Resource.create({SERVICE_NAME: "itemlens"})
        self._provider = TracerProvider(sampler=ParentBased(ALWAYS_ON), resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("itemlens")
        self._propagator = TraceContextTextMapPropagator()

    @staticmethod
    def to(endpoint: str, share: float) -> Tracing:
        """Send spans to an OTLP collector, such as http://localhost:4317; an https one by TLS."""
        return Tracing(OTLPSpanExporter(endpoint, insecure=not endpoint.startswith("https://")), share)

    def call_started(self, method: str) -> None:
        """See Observer."""

    def batch_run(self, batch: FinishedBatch) -> None:
        """See Observer."""

    def call_finished(self, call: FinishedCall) -> None:
        """See Observer."""
        parent = Context()
        if call.traceparent:
            parent = self._propagator.extract({"traceparent": call.traceparent}, parent)
        is_traced = get_current_span(parent).get_span_context().is_valid
        if not is_traced and random.random() >= self._share:
            return  # making a span that is not sampled costs more than all else here
        # Stages are on the monotonic clock, and traces on that of the world.
        offset = time.time() - time.monotonic()
        span = self._tracer.start_span(
            call.method.strip("/"), parent, SpanKind.SERVER,
            {
                "rpc.system": "grpc",
                "rpc.method": call.method.rpartition("/")[2],
                "rpc.grpc.status_code": call.code,
                "itemlens.request_id": call.request_id,
                "itemlens.collection": call.collection,
                "itemlens.entries": call.entries,
            },
            start_time=_nanoseconds(call.ended - call.seconds + offset),
        )  # fmt: skip
        if span.is_recording():
            if call.code != "OK":
                span.set_status(Status(StatusCode.ERROR, call.message))
            own = set_span_in_context(span, parent)
            for name, stage in call.stages.items():
                child = self._tracer.start_span(name, own, start_time=_nanoseconds(stage.began + offset))
                child.end(_nanoseconds(stage.ended + offset))
        span.end(_nanoseconds(call.ended + offset))

    def close(self) -> None:
        """Send what waits, for a short time."""
        self._provider.force_flush(_FLUSH_MILLISECONDS)
        self._provider.shutdown()


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
