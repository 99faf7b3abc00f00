"""Quotas: what is left of an amount per period."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.access.quotas import Meter, Meters, Quota, Used


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def wait(meter: Meter) -> tuple[Used, float] | None:
    found = meter.wait()
    return None if found is None else (found[0], round(found[1], 9))


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("100/s", Quota(100, 1)),
        ("5e6/day", Quota(5e6, 86400)),
        ("1.5/min", Quota(1.5, 60)),
        ("7/h", Quota(7, 3600)),
    ],
)
def test_are_read_and_written(text: str, quota: Quota) -> None:
    assert Quota.of(text) == quota and Quota.of(str(quota)) == quota


@pytest.mark.parametrize(
    "text", ["", "100", "100/", "/s", "0/s", "-1/s", "nan/s", "1e99/s", "100/week", " 1/s", "1_0/s"]
)
def test_others_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write an amount per s, min, h, day, such as 100/s"):
        Quota.of(text)


def test_a_full_amount_can_be_used_at_once_and_comes_back_evenly() -> None:
    clock = Clock()
    meter = Meter({Used.CALLS: Quota(10, 5)}, clock)
    for _ in range(10):
        assert meter.wait() is None
        meter.spend(Used.CALLS, 1)
    assert wait(meter) == (Used.CALLS, 0.5)
    clock.now += 0.25
    assert wait(meter) == (Used.CALLS, 0.25)
    clock.now += 0.26
    assert meter.wait() is None
    clock.now += 1000
    meter.spend(Used.CALLS, 10)
    assert wait(meter) == (Used.CALLS, 0.5), "more than the amount is never there"


def test_what_is_used_beyond_the_amount_is_paid_back() -> None:
    clock = Clock()
    meter = Meter({Used.TOKENS: Quota(100, 1)}, clock)
    meter.spend(Used.TOKENS, 150)
    assert wait(meter) == (Used.TOKENS, 0.51)
    clock.now += 0.52
    assert meter.wait() is None
    meter.spend(Used.TOKENS, 1e9)
    assert wait(meter) == (Used.TOKENS, 1.01), "no more than one period is paid back"


def test_what_was_taken_for_nothing_is_given_back() -> None:
    meter = Meter({Used.CALLS: Quota(2, 1)}, Clock())
    meter.spend(Used.CALLS, 2)
    meter.spend(Used.CALLS, -1)
    assert meter.wait() is None
    meter.spend(Used.CALLS, -100)
    meter.spend(Used.CALLS, 2)
    assert meter.wait() is not None, "more than the amount is never there"


def test_the_longest_wait_of_several_counts_and_what_has_no_quota_is_free() -> None:
    meter = Meter({Used.CALLS: Quota(1, 1), Used.BYTES: Quota(10, 60)}, Clock())
    meter.spend(Used.ITEMS, 1e9)
    assert meter.wait() is None
    meter.spend(Used.CALLS, 1)
    meter.spend(Used.BYTES, 10)
    assert wait(meter) == (Used.BYTES, 6.0)


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 20)), max_size=60))
def test_never_more_is_used_than_the_amount_and_what_came_back_and_the_last_call(
    calls: list[tuple[float, float]],
) -> None:
    clock, used, largest = Clock(), 0.0, 0.0
    meter = Meter({Used.ITEMS: Quota(10, 2)}, clock)
    for seconds, amount in calls:
        clock.now += seconds
        if meter.wait() is None:
            meter.spend(Used.ITEMS, amount)
            used, largest = used + amount, max(largest, amount)
    assert used <= 10 + 5 * (clock.now - 100) + largest + 1e-6


def test_meters_outlive_a_reload_unless_the_quotas_change() -> None:
    meters, quotas = Meters(), {Used.CALLS: Quota(1, 60)}
    first = meters.of("a", quotas)
    assert meters.of("a", dict(quotas)) is first and meters.of("b", quotas) is not first
    assert meters.of("a", {Used.CALLS: Quota(2, 60)}) is not first
