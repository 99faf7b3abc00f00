"""Traces: a span for each call in the sample, under the caller's, with its stages."""

from __future__ import annotations

import time
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from itemlens_server.monitoring.tracing import Tracing
from itemlens_server.observer import FinishedCall
from itemlens_server.stages import Stage

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def spans(share: float, *calls: FinishedCall) -> Sequence[ReadableSpan]:
    exporter = InMemorySpanExporter()
    tracing = Tracing(exporter, share)
    for call in calls:
        tracing.call_finished(call)
    tracing.close()
    return exporter.get_finished_spans()


def call(code: str = "OK", traceparent: str = "", message: str = "") -> FinishedCall:
    now = time.monotonic()
    stages = {"queue": Stage(now - 0.3, now - 0.2, 0.1), "run": Stage(now - 0.2, now - 0.1, 0.1)}
    return FinishedCall(
        "/itemlens.v1.ItemLens/Encode",
        code,
        0.4,
        1,
        1,
        "r1",
        "me",
        "shoes",
        3,
        message,
        stages,
        now,
        traceparent,
    )


def test_a_call_is_a_span_with_its_stages_inside() -> None:
    queue, run, own = spans(1.0, call())
    assert (own.name, queue.name, run.name) == ("itemlens.v1.ItemLens/Encode", "queue", "run")
    assert own.attributes is not None and own.attributes["itemlens.request_id"] == "r1"
    assert queue.parent is not None and queue.parent.span_id == own.context.span_id
    assert own.start_time and queue.start_time and queue.end_time and own.end_time
    assert own.start_time < queue.start_time < queue.end_time <= own.end_time
    assert abs(own.end_time / 1e9 - time.time()) < 5 and abs(own.end_time - own.start_time - 4e8) < 1e6


def test_it_belongs_to_the_callers_trace() -> None:
    *_, own = spans(0.0, call(traceparent=f"00-{TRACE}-{PARENT}-01"))
    assert f"{own.context.trace_id:032x}" == TRACE
    assert own.parent is not None and f"{own.parent.span_id:016x}" == PARENT


def test_the_caller_decides_and_else_the_share() -> None:
    assert not spans(1.0, call(traceparent=f"00-{TRACE}-{PARENT}-00"))
    assert not spans(0.0, call())
    some = len(spans(0.25, *[call() for _ in range(400)])) / 3
    assert 50 < some < 160


def test_a_damaged_traceparent_is_a_trace_of_its_own() -> None:
    for wrong in ("x", "00-0-0-01", "\n", "00-" + "g" * 32 + f"-{PARENT}-01", "x" * 10_000):
        *_, own = spans(1.0, call(traceparent=wrong))
        assert own.parent is None
        assert not spans(0.0, call(traceparent=wrong)), "whoever sends rubbish would have all calls traced"


def test_a_failure_says_why() -> None:
    *_, own = spans(1.0, call("NOT_FOUND", message="no such thing"))
    assert own.status.status_code is StatusCode.ERROR and own.status.description == "no such thing"
