"""The question of somebody unknown is fitted to what everybody took, as popular as things were on that day."""

from __future__ import annotations

import numpy as np
import pytest

from itemlens_server.fusion.choices import Choice, HeldOut
from itemlens_server.fusion.event_log import SECONDS_PER_DAY, EventLog
from itemlens_server.fusion.prior_columns import ALL, COLUMNS, NEWNESS, RECENT, TREND
from itemlens_server.fusion.prior_fit import TREND_DAYS, PriorFit, fit_prior
from support.world import TYPE_WEIGHTS

ITEMS = [f"i{n:02d}" for n in range(60)]
DAYS, USERS = 120, 400


def shop(fashion: float, seed: int = 0) -> EventLog:
    """Users take an item a week. What is taken follows a popularity that turns over in `fashion` days."""
    rng = np.random.default_rng(seed)
    events = []
    for day in range(DAYS):
        rank = (np.arange(len(ITEMS)) - day * len(ITEMS) / fashion) % len(ITEMS)
        p = 1 / (1 + rank)
        for user in range(day % 7, USERS, 7):
            events.append((f"u{user}", str(rng.choice(ITEMS, p=p / p.sum())), 5, day * SECONDS_PER_DAY))
    return EventLog.of(sorted(events, key=lambda event: (event[0], event[3])), TYPE_WEIGHTS)


def fitted(log: EventLog, items: list[str] | None = None) -> PriorFit:
    held = HeldOut.of(log)
    choices: list[Choice] = list(held.choices())
    assert len({choice.day for choice in choices}) > 5
    return fit_prior(log, choices, items or ITEMS)


def test_the_trend_is_short_where_fashion_is_quick() -> None:
    quick, slow = fitted(shop(fashion=60)), fitted(shop(fashion=1e9))
    assert quick.trend_days == TREND_DAYS[0]
    assert quick.weights.column(ALL).new < 0.3 * quick.weights.column(TREND).new
    assert slow.recall > quick.recall  # the same items are always the popular ones


def test_what_is_taken_twice_as_often_is_about_twice_as_probable() -> None:
    scale = fitted(shop(fashion=60)).weights.column(TREND).new
    assert 0.5 < scale < 1.5


def test_what_a_user_had_makes_no_difference() -> None:
    weights = fitted(shop(fashion=60)).weights
    for name in COLUMNS:
        assert weights.column(name).new == weights.column(name).had
    assert not weights.column(RECENT).used and weights.choices > 0


def test_items_without_events_are_improbable_and_probabilities_are_calibrated() -> None:
    log, unknown = shop(fashion=60), [f"new{n}" for n in range(40)]
    weights = fitted(log, ITEMS + unknown).weights
    assert weights.column(NEWNESS).cold < 0
    assert weights.calibration is not None
    p = weights.calibration(np.asarray([0.001, 0.01, 0.1]))
    assert (np.diff(p) > 0).all() and p[2] == pytest.approx(0.1, abs=0.06)  # baskets have one item


def test_of_times_that_are_an_order_all_are_of_late() -> None:
    events = [(f"u{u}", ITEMS[(u + n) % 40], 5, float(n)) for u in range(80) for n in range(12)]
    log = EventLog.of(events, TYPE_WEIGHTS)
    assert log.times_are_an_order
    found = fit_prior(log, list(HeldOut.of(log).choices()), ITEMS)
    assert found.trend_days == TREND_DAYS[0] and 0 <= found.recall <= 1
