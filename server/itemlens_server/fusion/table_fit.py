"""Choice of the rules by which tables are computed from events: lambda of EASE, and what counts as recent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from itemlens_server.fusion import ease
from itemlens_server.fusion.choice import ChoiceSets, fit_choices, set_nll
from itemlens_server.fusion.choices import Choice
from itemlens_server.fusion.event_log import EventLog, days
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.measures import gains
from itemlens_server.fusion.weights import TableRules

LAMBDAS = (30.0, 100.0, 300.0, 1000.0, 3000.0)
FEW_LAMBDAS = (100.0, 300.0, 1000.0)
"""With more than TRIED_ITEMS items: then only the most frequent ones are tried."""
RECENT_DAYS = (7.0, 28.0, 56.0, 182.0)
"""A week to half a year. The likelihood changes little between neighbours: by .004 to .03 nats of 8.5 on Complete
Journey, and by less on the bundled catalogue."""
TRIED_ITEMS = 3000
ASKED = 500
ASKING_DECAY = 0.9


@dataclass(frozen=True)
class TriedRule:
    """A value of a rule and how well it did; the largest `value` is taken, of equal ones the first."""

    rule: str
    option: float
    value: float


def fit_rules(earlier: EventLog, choices: Sequence[Choice]) -> tuple[TableRules, list[TriedRule]]:
    """Return the rules that answer `choices` best from the events before them, and what was tried."""
    some = choices[:: max(1, -(-len(choices) // ASKED))]
    lambdas = _lambdas(earlier, some)
    recent = [] if earlier.times_are_an_order else _recent_days(earlier, choices)
    best = {
        rule: max(tried, key=lambda t: t.value).option
        for rule, tried in (("regularisation", lambdas), ("recent_days", recent))
        if tried
    }
    rules = TableRules(
        regularisation=best.get("regularisation", TableRules.regularisation),
        recent_days=best.get("recent_days", TableRules.recent_days),
    )
    return rules, [*lambdas, *recent]


def _lambdas(earlier: EventLog, choices: Sequence[Choice]) -> list[TriedRule]:
    """Try lambda by the mean discounted gain of what is chosen and new to the user."""
    takers = earlier.takers()
    columns = ease.most_frequent(np.asarray(takers.sum(0)).ravel(), TRIED_ITEMS)
    if not len(columns):
        return []
    numbers = {earlier.item_ids[column]: n for n, column in enumerate(columns.tolist())}
    past: list[list[tuple[int, float]]] = []
    rows: list[int] = []
    targets: list[int] = []
    for choice in choices:
        own = dict(zip(choice.past.item_ids, choice.past.amounts(ASKING_DECAY).tolist(), strict=True))
        known = [(numbers[i], a) for i, a in own.items() if i in numbers]
        new = [numbers[i] for i in choice.chosen if i in numbers and i not in own]
        if known and new:
            rows += [len(past)] * len(new)
            targets += new
            past.append(known)
    if not targets:
        return []
    a = sparse.csr_matrix(
        (
            [share for known in past for _, share in known],
            [n for known in past for n, _ in known],
            np.cumsum([0, *map(len, past)]),
        ),
        (len(past), len(columns)),
        np.float32,
    )
    lambdas = LAMBDAS if takers.shape[1] <= TRIED_ITEMS else FEW_LAMBDAS
    x, tried = takers[:, columns], []
    for regularisation in lambdas:
        scores: Array = np.asarray((a @ ease.fit(x, regularisation)).todense())
        scores[a.nonzero()] = -np.inf
        value = round(float(gains(scores[rows], np.asarray(targets)).mean()), 3)
        tried.append(TriedRule("regularisation", regularisation, value))
    return tried


def _recent_days(earlier: EventLog, choices: Sequence[Choice]) -> list[TriedRule]:
    """Try what is recent by the likelihood of what is chosen, by popularity alone. Everybody's list is the same, so all
    choices are one set."""
    numbers = {item_id: n for n, item_id in enumerate(earlier.item_ids)}
    chosen = np.zeros(len(numbers), np.float32)
    for choice in choices:
        there = [numbers[i] for i in choice.chosen if i in numbers and i not in choice.past.item_ids]
        chosen[there] += 1
    if not len(earlier) or not chosen.any():
        return []
    takers = np.log1p(np.asarray(earlier.takers().sum(0), np.float32).ravel())
    offsets, tried, day = np.asarray([0, len(numbers)]), [], days(earlier.times)
    for option in RECENT_DAYS:
        recent = earlier.take(day > day.max() - option).takers().sum(0)
        x = np.stack([takers, np.log1p(np.asarray(recent, np.float32).ravel())], axis=1)
        sets = ChoiceSets(x, offsets, chosen)
        nll = set_nll(sets, fit_choices(sets, 1.0).weights).sum() / chosen.sum()
        tried.append(TriedRule("recent_days", option, -float(nll)))
    return tried
