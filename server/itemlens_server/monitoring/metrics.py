"""Prometheus metrics of calls and batches, counted as they happen.

Labels are bounded: methods are those of the services, codes those of gRPC, encoders those of the loaded spaces.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from itemlens_server.observer import FinishedBatch, FinishedCall

# Seconds. An Encode of one text takes 2 ms, an upload seconds.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_INPUTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """An Observer that counts, in a registry of its own: several servers may run in one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._calls = Counter(
            "itemlens_calls", "Calls and streams that have ended.", ["method", "code"], registry=registry
        )
        self._open = Gauge(
            "itemlens_open_calls", "Calls and streams that are open.", ["method"], registry=registry
        )
        self._seconds = Histogram(
            "itemlens_call_seconds", "Seconds from the arrival of a call to its end.", ["method"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._stages = Counter(
            "itemlens_stage_seconds", "Seconds of calls by what they did, such as queue or search.",
            ["method", "stage"], registry=registry,
        )  # fmt: skip
        self._bytes = Counter(
            "itemlens_call_bytes",
            "Bytes of requests and responses.",
            ["method", "direction"],
            registry=registry,
        )
        self._entries = Counter(
            "itemlens_call_entries",
            "Items, events and other entries of requests.",
            ["method"],
            registry=registry,
        )
        self._batch_inputs = Histogram(
            "itemlens_batch_inputs", "Inputs of a batch.", ["encoder"], buckets=_INPUTS, registry=registry
        )
        self._batch_seconds = Histogram(
            "itemlens_batch_seconds",
            "Seconds that a batch ran.",
            ["encoder"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._tokens = Counter(
            "itemlens_batch_tokens", "Tokens (or pictures) of batches, without and with padding.",
            ["encoder", "padding"], registry=registry,
        )  # fmt: skip
        self._queued = Counter(
            "itemlens_queue_seconds",
            "Seconds that inputs waited before they ran.",
            ["encoder"],
            registry=registry,
        )

    def call_started(self, method: str) -> None:
        """See Observer."""
        self._open.labels(_short(method)).inc()

    def call_finished(self, call: FinishedCall) -> None:
        """See Observer."""
        method = _short(call.method)
        self._open.labels(method).dec()
        self._calls.labels(method, call.code).inc()
        self._seconds.labels(method).observe(call.seconds)
        self._bytes.labels(method, "request").inc(call.request_bytes)
        self._bytes.labels(method, "response").inc(call.response_bytes)
        self._entries.labels(method).inc(call.entries)
        for name, stage in call.stages.items():
            self._stages.labels(method, name).inc(stage.seconds)

    def batch_run(self, batch: FinishedBatch) -> None:
        """See Observer."""
        self._batch_inputs.labels(batch.encoder).observe(batch.inputs)
        self._batch_seconds.labels(batch.encoder).observe(batch.seconds)
        self._tokens.labels(batch.encoder, "without").inc(batch.tokens)
        self._tokens.labels(batch.encoder, "with").inc(batch.padded_tokens)
        self._queued.labels(batch.encoder).inc(batch.queued_seconds)


def _short(method: str) -> str:
    """The name of a method, which is unique, without its service."""
    return method.rpartition("/")[2]
