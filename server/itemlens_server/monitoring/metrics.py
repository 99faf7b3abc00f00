"""Prometheus metrics of calls and batches.

Calls only leave a note of what happened. All notes are counted every second and before each scrape, because that costs
a busy server less than to count in each call.

Labels are bounded: methods are those of the services, codes those of gRPC, encoders those of the loaded spaces.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from itemlens_server.observer import FinishedBatch, FinishedCall

log = logging.getLogger(__name__)

# Seconds. An Encode of one text takes 2 ms, an upload seconds.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
COUNT_SECONDS = 1.0
_INPUTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """An Observer that counts, in a registry of its own: several servers may run in one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._noted: deque[str | FinishedCall | FinishedBatch] = deque()
        self._counting = threading.Lock()
        self._closed = threading.Event()
        registry.register(_Before(self.count))  # collectors are asked in the order of their registration
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

        # Finding a child by its labels costs more than counting.
        self._methods: dict[str, _OfMethod] = {}
        self._encoders: dict[str, _OfEncoder] = {}

    def start(self) -> None:
        """Count every second, in a thread of its own."""
        threading.Thread(target=self._run, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Count no more."""
        self._closed.set()

    def call_started(self, method: str) -> None:
        """See Observer."""
        self._noted.append(method)

    def call_finished(self, call: FinishedCall) -> None:
        """See Observer."""
        self._noted.append(call)

    def batch_run(self, batch: FinishedBatch) -> None:
        """See Observer."""
        self._noted.append(batch)

    def count(self) -> None:
        """Count what was noted."""
        with self._counting:
            while self._noted:
                noted = self._noted.popleft()
                if isinstance(noted, str):
                    self._of(noted).open.inc()
                elif isinstance(noted, FinishedCall):
                    self._count_call(noted)
                else:
                    self._count_batch(noted)

    def _run(self) -> None:
        while not self._closed.wait(COUNT_SECONDS):
            try:
                self.count()
            except Exception:  # the other notes are to be counted, and not to be kept for ever
                log.exception("a call or batch was not counted")

    def _count_call(self, call: FinishedCall) -> None:
        own = self._of(call.method)
        own.open.dec()
        own.code(call.code).inc()
        own.seconds.observe(call.seconds)
        own.request_bytes.inc(call.request_bytes)
        own.response_bytes.inc(call.response_bytes)
        own.entries.inc(call.entries)
        for name, stage in call.stages.items():
            own.stage(name).inc(stage.seconds)

    def _count_batch(self, batch: FinishedBatch) -> None:
        own = self._encoders.get(batch.encoder)
        if own is None:
            own = self._encoders[batch.encoder] = _OfEncoder(
                self._batch_inputs.labels(batch.encoder), self._batch_seconds.labels(batch.encoder),
                self._tokens.labels(batch.encoder, "without"), self._tokens.labels(batch.encoder, "with"),
                self._queued.labels(batch.encoder),
            )  # fmt: skip
        own.inputs.observe(batch.inputs)
        own.seconds.observe(batch.seconds)
        own.tokens.inc(batch.tokens)
        own.padded.inc(batch.padded_tokens)
        own.queued.inc(batch.queued_seconds)

    def _of(self, method: str) -> _OfMethod:
        own = self._methods.get(method)
        if own is None:
            short = method.rpartition("/")[2]  # unique without its service
            own = self._methods[method] = _OfMethod(
                short, self._calls, self._stages, self._open.labels(short), self._seconds.labels(short),
                self._bytes.labels(short, "request"), self._bytes.labels(short, "response"),
                self._entries.labels(short),
            )  # fmt: skip
        return own


class _Before(Collector):
    """Does something before the metrics are collected."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do

    def describe(self) -> Iterable[Metric]:
        """No metrics."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """No metrics."""
        self._do()
        return ()


@dataclass(frozen=True, slots=True)
class _OfMethod:
    """The metrics of one method."""

    name: str
    calls: Counter
    stage_seconds: Counter
    open: Gauge
    seconds: Histogram
    request_bytes: Counter
    response_bytes: Counter
    entries: Counter
    by_code: dict[str, Counter] = field(default_factory=dict)
    by_stage: dict[str, Counter] = field(default_factory=dict)

    def code(self, code: str) -> Counter:
        """Its calls with a code."""
        return self.by_code.get(code) or self.by_code.setdefault(code, self.calls.labels(self.name, code))

    def stage(self, stage: str) -> Counter:
        """The seconds of its calls in a stage."""
        return self.by_stage.get(stage) or self.by_stage.setdefault(
            stage, self.stage_seconds.labels(self.name, stage)
        )


@dataclass(frozen=True, slots=True)
class _OfEncoder:
    """The metrics of one encoder."""

    inputs: Histogram
    seconds: Histogram
    tokens: Counter
    padded: Counter
    queued: Counter
