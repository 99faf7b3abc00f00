"""The rules of tables are those that answer choices best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from itemlens_server.fusion.event_log import SECONDS_PER_DAY, EventLog
from itemlens_server.fusion.table_fit import FEW_LAMBDAS, LAMBDAS, RECENT_DAYS, fit_rules
from itemlens_server.fusion.weights import TableRules
from support import choosing


def test_the_option_with_the_largest_value_is_taken() -> None:
    events = choosing.log()
    _, choices, held = choosing.asked(events)
    rules, tried = fit_rules(events.take(held.earlier), choices)
    assert [t.option for t in tried if t.rule == "regularisation"] == list(LAMBDAS)
    assert [t.option for t in tried if t.rule == "recent_days"] == list(RECENT_DAYS)
    for rule in ("regularisation", "recent_days"):
        best = max((t for t in tried if t.rule == rule), key=lambda t: t.value)
        assert getattr(rules, rule) == best.option


def test_what_was_popular_last_week_counts_where_tastes_change_by_the_week() -> None:
    # In week w everybody takes the items of group w, but all items are equally popular over time.
    rng = np.random.default_rng(0)
    rows = []
    for user in range(200):
        for day in range(56):
            item = 8 * int(rng.integers(10)) + (day // 7 if day < 49 else 6)
            if rng.random() < 0.3:
                rows.append((f"u{user:03d}", f"i{item:03d}", 5, SECONDS_PER_DAY * (day + rng.random())))
    events = EventLog.of(rows, {5: 1.0})
    _, choices, held = choosing.asked(events)
    rules, _ = fit_rules(events.take(held.earlier), choices)
    assert rules.recent_days == 7.0


def test_times_that_are_an_order_have_no_recent_days() -> None:
    events = choosing.log()
    numbered = replace(events, times=events.times - (SECONDS_PER_DAY * (events.users % 3)))
    assert numbered.times_are_an_order
    _, choices, held = choosing.asked(numbered)
    rules, tried = fit_rules(numbered.take(held.earlier), choices)
    assert rules.recent_days == TableRules().recent_days
    assert {t.rule for t in tried} == {"regularisation"}


def test_nothing_to_choose_by_leaves_the_defaults() -> None:
    events = choosing.log()
    assert fit_rules(events, []) == (TableRules(), [])
    _, choices, _ = choosing.asked(events)
    nothing = events.take(np.zeros(len(events), bool))
    assert fit_rules(nothing, choices) == (TableRules(), [])


def test_few_lambdas_are_tried_where_each_takes_long() -> None:
    assert set(FEW_LAMBDAS) < set(LAMBDAS)
