"""Admission to a queue: which calls may wait, and for how long."""

from __future__ import annotations

import math

import pytest

from itemlens_server.engine.admission import AdmissionControl


def test_without_limits_every_call_may_wait() -> None:
    assert AdmissionControl().max_inputs_ahead(inputs=1) == math.inf


def test_the_bound_is_given_in_tokens_or_follows_from_the_speed() -> None:
    assert AdmissionControl(queue_tokens=300, queue_seconds=2, tokens_per_second=1000).max_tokens() == 300
    assert AdmissionControl(queue_seconds=2, tokens_per_second=1000).max_tokens() == 2000


def test_a_small_call_waits_a_quarter_of_a_second_and_a_large_one_behind_seven_times_what_it_has() -> None:
    admission = AdmissionControl(wait_seconds=0.25, large_call_patience=7, inputs_per_second=500)
    assert admission.max_inputs_ahead(inputs=1) == 125
    assert admission.max_inputs_ahead(inputs=50) == 350


def test_64_callers_may_take_turns_however_long_that_takes() -> None:
    admission = AdmissionControl(wait_seconds=0.25, min_admitted_inputs=63, inputs_per_second=5)
    assert admission.max_inputs_ahead(inputs=1) == 63


def test_the_speed_follows_what_is_seen_in_a_few_seconds() -> None:
    admission = AdmissionControl(tokens_per_second=1000)
    for _ in range(100):
        admission.observe(tokens=50, inputs=2, seconds=0.1)
    assert admission.tokens_per_second == pytest.approx(500, rel=0.2)
    assert admission.inputs_per_second == pytest.approx(20, rel=0.2)
    assert admission.seconds(500) == pytest.approx(1, rel=0.2)


def test_one_odd_batch_changes_little() -> None:
    admission = AdmissionControl(tokens_per_second=1000)
    admission.observe(tokens=1, inputs=1, seconds=0.1)
    assert admission.tokens_per_second > 950
