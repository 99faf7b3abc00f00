"""Fits the question "anyone": what is taken by somebody of whom nothing is known.

    alpha_i = scale (ln(1 + takers of late) + share ln(1 + all takers)),      or a constant for an item without events

At each day of the choices, takers are counted before that day. So the fit sees the popularity that the server has at
the next read. What a user had is not known either: everybody chooses among all items, and all choices of a day are one
set. How late "of late" is, and the share, order the list, so they are chosen by what lists find; the scale and the
constant say how probable the items are, so they are chosen by likelihood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.calibration import calibrate
from itemlens_server.fusion.choice import ChoiceSets, fit_choices
from itemlens_server.fusion.choices import Choice
from itemlens_server.fusion.event_log import EventLog, days
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.prior_columns import ALL, NEWNESS, TREND
from itemlens_server.fusion.ranking import top
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.weights import ColumnWeights, QuestionWeights

TREND_DAYS = (7.0, 14.0, 28.0, 56.0)
SHARES = (0.01, 0.1, 0.25, 0.5, 1.0)
"""The least share breaks ties."""
LISTED = 20
MOST_ROWS = 2_000_000
"""Items times days that are looked at."""


@dataclass(frozen=True)
class PriorFit:
    """The weights, the days of the trend, and the mean share of a choice that the first 20 items hold."""

    weights: QuestionWeights
    trend_days: float
    recall: float


def fit_prior(log: EventLog, choices: Sequence[Choice], item_ids: Sequence[str]) -> PriorFit:
    """Return the weights and the days of the trend that fit the choices. log: all events. item_ids: the catalogue."""
    by_day = _Days.of(log, choices, item_ids)
    lengths = TREND_DAYS[:1] if log.times_are_an_order else TREND_DAYS
    trends = {length: by_day.trends(length) for length in lengths}
    found = {
        (length, share): by_day.recall(trends[length] + np.float32(share) * by_day.takers)
        for length in lengths
        for share in SHARES
    }
    length, share = max(found, key=lambda option: round(found[option], 6))
    sets = by_day.sets(trends[length] + np.float32(share) * by_day.takers)
    scale, new = (fitted := fit_choices(sets, 1.0).weights).tolist()
    neutral = by_day.takers.mean(dtype=np.float64), trends[length].mean(dtype=np.float64)
    threshold = scale * (share * neutral[0] + neutral[1])
    weights = QuestionWeights(
        columns={
            ALL: ColumnWeights(scale * share, scale * share, neutral=float(neutral[0])),
            TREND: ColumnWeights(scale, scale, neutral=float(neutral[1])),
            NEWNESS: ColumnWeights(cold=float(new - threshold)),
        },
        choices=len(choices),
        calibration=calibrate(sets, fitted, np.asarray([len(own) for own in by_day.chosen], np.float64)),
    )
    return PriorFit(weights, length, found[length, share])


@dataclass(frozen=True, eq=False)
class _Days:
    """What was known and what was chosen, by day and by number of the item in the catalogue.

    users, items, days: of the events, ordered by day, int64 [events]; items that are gone are left out
    asked: the days of the choices, ascending. takers: ln(1 + takers before the day), float32 [days, items]
    chosen: the choices of each day, as lists of items
    """

    users: Ints
    items: Ints
    days: Ints
    asked: Sequence[int]
    takers: Array
    chosen: Sequence[Sequence[Ints]]
    times_are_an_order: bool

    @staticmethod
    def of(log: EventLog, choices: Sequence[Choice], item_ids: Sequence[str]) -> _Days:
        """Return what a log and its choices say of the catalogue."""
        count, numbers = len(item_ids), {item_id: n for n, item_id in enumerate(item_ids)}
        codes = np.asarray([numbers.get(item_id, -1) for item_id in log.item_ids], np.int64)
        day = days(log.times)
        order = np.argsort(day, kind="stable")
        order = order[codes[log.items[order]] >= 0]
        users, items, day = log.users[order].astype(np.int64), codes[log.items[order]], day[order]
        _, first = np.unique(users * count + items, return_index=True)
        by_day = _by_day(choices, numbers)
        takers = [np.bincount(items[first][day[first] < at], minlength=count) for at in by_day]
        return _Days(
            users, items, day, tuple(by_day), np.log1p(np.stack(takers)).astype(np.float32),
            tuple(by_day.values()), log.times_are_an_order,
        )  # fmt: skip

    def trends(self, length: float) -> Array:
        """Return ln(1 + users who took an item on the `length` days before each day), float32 [days, items]."""
        if self.times_are_an_order:
            return self.takers
        count, found = self.takers.shape[1], []
        for day in self.asked:
            own = slice(*np.searchsorted(self.days, (day - np.ceil(length), day)).tolist())
            pairs = np.unique(self.users[own] * count + self.items[own])
            found.append(np.bincount(pairs % count, minlength=count))
        return np.log1p(np.stack(found)).astype(np.float32)

    def recall(self, scores: Array) -> float:
        """Return the mean share of a choice that is among the first items by `scores`, float32 [days, items]."""
        shares = []
        for own, choices in zip(scores, self.chosen, strict=True):
            listed = np.zeros(len(own), np.bool_)
            listed[top(own, LISTED)] = True
            shares += [float(listed[chosen].mean()) for chosen in choices if len(chosen)]
        return float(np.mean(shares))

    def sets(self, scores: Array) -> ChoiceSets:
        """Return a set of all items for each day: the score, and whether an item has no events."""
        x = np.stack([scores, (self.takers == 0).astype(np.float32)], axis=-1)
        count = self.takers.shape[1]
        each = [np.concatenate(choices) for choices in self.chosen]
        chosen = np.concatenate([np.bincount(items, minlength=count) for items in each])
        offsets = np.arange(len(each) + 1, dtype=np.int64) * count
        return ChoiceSets(x.reshape(-1, 2), offsets, chosen.astype(np.float32))


def _by_day(choices: Sequence[Choice], numbers: Mapping[str, int]) -> dict[int, list[Ints]]:
    """Return the items of the choices by day, for as many days as are looked at, spread evenly."""
    by_day: dict[int, list[Ints]] = {}
    for choice in choices:
        chosen = [numbers[item_id] for item_id in choice.chosen if item_id in numbers]
        by_day.setdefault(choice.day, []).append(np.asarray(chosen, np.int64))
    most = max(1, MOST_ROWS // max(1, len(numbers)))
    return {day: by_day[day] for day in sorted(by_day)[:: -(-len(by_day) // most)]}
