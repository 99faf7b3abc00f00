"""Metrics of calls and batches, with bounded labels."""

from __future__ import annotations

from itemlens_server.monitoring.metrics import Metrics
from itemlens_server.observer import FinishedBatch, FinishedCall
from itemlens_server.stages import Stage

ENCODE = "/itemlens.v1.ItemLens/Encode"


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_calls_are_counted_by_method_and_code() -> None:
    metrics = Metrics()
    for code, seconds in (("OK", 0.004), ("OK", 0.2), ("NOT_FOUND", 0.001)):
        metrics.call_started(ENCODE)
        stages = {"queue": Stage(0, 1, 0.5)}
        metrics.call_finished(FinishedCall(ENCODE, code, seconds, 100, 50, entries=2, stages=stages))
    metrics.call_started(ENCODE)
    assert value(metrics, "itemlens_calls_total", method="Encode", code="OK") == 2
    assert value(metrics, "itemlens_calls_total", method="Encode", code="NOT_FOUND") == 1
    assert value(metrics, "itemlens_open_calls", method="Encode") == 1
    assert value(metrics, "itemlens_call_seconds_bucket", method="Encode", le="0.005") == 2
    assert value(metrics, "itemlens_call_seconds_count", method="Encode") == 3
    assert value(metrics, "itemlens_call_bytes_total", method="Encode", direction="request") == 300
    assert value(metrics, "itemlens_call_entries_total", method="Encode") == 6
    assert value(metrics, "itemlens_stage_seconds_total", method="Encode", stage="queue") == 1.5


def test_batches_are_counted_by_encoder() -> None:
    metrics = Metrics()
    metrics.batch_run(FinishedBatch("text-ab", 3, 30, 36, 0.02, 0.5))
    assert value(metrics, "itemlens_batch_inputs_bucket", encoder="text-ab", le="4.0") == 1
    assert value(metrics, "itemlens_batch_tokens_total", encoder="text-ab", padding="without") == 30
    assert value(metrics, "itemlens_batch_tokens_total", encoder="text-ab", padding="with") == 36
    assert value(metrics, "itemlens_queue_seconds_total", encoder="text-ab") == 0.5


def test_callers_and_collections_make_no_labels() -> None:
    metrics = Metrics()
    for number in range(10_000):
        metrics.call_finished(
            FinishedCall(ENCODE, "OK", 0.1, 1, 1, f"id{number}", f"caller{number}", f"collection{number}")
        )
    samples = [s for family in metrics.registry.collect() for s in family.samples]
    assert len(samples) < 200 and not any("caller" in str(s.labels) for s in samples)


def test_several_servers_in_a_process_have_their_own() -> None:
    one, other = Metrics(), Metrics()
    one.call_started(ENCODE)
    assert value(other, "itemlens_open_calls", method="Encode") is None
