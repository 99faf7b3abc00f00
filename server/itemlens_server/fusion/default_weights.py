"""Weights without events, in nats: what a past, liked or disliked item says of others by its content alone.

A cosine means different things in different channels: two random texts may have .3, two random pictures .45. So a
weight is given in nats for each standard deviation of the cosines between random items, and theta is their mean, so
that a channel adds nothing on average.

Of somebody of whom nothing is known, popularity says what they take next:

    alpha_i = 1/2 ln(1 + takers) + 1/2 ln(1 + takers of late)

If each taker drew an item from fixed probabilities, all equally likely beforehand, then ln P_i = ln(1 + takers) + const
by Laplace's rule: one nat for each unit, and an item that one user took stands only ln 2 above one that nobody took.
What is taken changes, so the takers of late are asked as well as all: two estimates of one probability are blended by
their mean in nats, which adds up to one nat where both say the same. Nothing of this is tuned.
Below 100 events there are no tables, and the newest items come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.balance import Units, balanced
from itemlens_server.fusion.fused import predicted
from itemlens_server.fusion.head import Head, HeadChannel
from itemlens_server.fusion.prior_columns import ALL, TREND
from itemlens_server.fusion.terms import PAST_KINDS
from itemlens_server.fusion.weights import (
    ANYONE,
    DISLIKE,
    NEXT,
    SIMILAR,
    ChannelWeights,
    ColumnWeights,
    QuestionWeights,
    TableRules,
)

PAST_NATS = 1.0
"""What is like a past item gains so much for each deviation, and what is like a disliked one loses so much."""
DISLIKE_DEVIATIONS = 2.0
"""A dislike takes away from items whose cosine is this many deviations above the mean, and from no others."""
PAST_DECAY = 0.97
ONLY_POPULARITY = TableRules(of_pairs=False, trend_days=TableRules.recent_days)
"""What a score without a fit uses of events."""
SPREAD_ITEMS = 2000


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of the cosines of random items in a channel; mean of r cos' to imputed ones."""

    mean: float = 0.0
    sd: float = 0.0
    imputed: float = 0.0

    def weights(self, nats: float, deviations: float = 0.0) -> ChannelWeights:
        """Return the weight of so many nats a deviation, with the threshold so many deviations above the mean."""
        if not self.sd:
            return ChannelWeights(0.0, self.mean, self.imputed)
        more = deviations * self.sd
        return ChannelWeights(nats / self.sd, self.mean + more, self.imputed + more)


def spreads(channels: Mapping[str, HeadChannel], units: Units, seed: int = 0) -> dict[str, Spread]:
    """Return the spread of each channel, from random items. units: e_c by channel, and which items have it."""
    found = {}
    for name, channel in channels.items():
        e, has = units[name]
        rng = np.random.default_rng(seed)
        some = rng.permutation(np.flatnonzero(has))[:SPREAD_ITEMS]
        if len(some) < 2:
            found[name] = Spread()
            continue
        cosines = (e[some] @ e[some].T)[np.triu_indices(len(some), 1)].astype(np.float64)
        imputed = 0.0
        if channel.predictors:
            guess, known = predicted(channel, units, len(has))
            others = rng.permutation(np.flatnonzero(known))[:SPREAD_ITEMS]
            if len(others):
                imputed = channel.imputed_scale * float((e[some].mean(0) @ guess[others].T).mean())
        # Equal items have no spread, up to rounding.
        sd = float(cosines.std())
        found[name] = Spread(float(cosines.mean()), sd if sd > 1e-4 else 0.0, imputed)
    return found


def search_priors(nats: Mapping[str, float], spread: Mapping[str, Spread]) -> dict[str, ChannelWeights]:
    """Return the weights of searches without any data. nats: for each deviation, by channel (see `Modality`)."""
    return {name: own.weights(nats[name]) for name, own in spread.items()}


def default_prior() -> QuestionWeights:
    """Return the weights of "anyone" without a fit."""
    return QuestionWeights(columns=dict.fromkeys((ALL, TREND), ColumnWeights(0.5, 0.5)))


def unfitted(dims: Mapping[str, int]) -> Head:
    """Return the head of a space before `itemlens fit`. dims: of the encoders' vectors, by channel."""
    return replace(Head.identity(dims), questions={ANYONE: default_prior()}, table_rules=ONLY_POPULARITY)


def default_questions(
    channels: Mapping[str, HeadChannel], units: Units, spread: Mapping[str, Spread]
) -> dict[str, QuestionWeights]:
    """Return the weights of "next", "similar", "dislike" and "anyone" without a fit to events."""
    past = QuestionWeights(
        {name: s.weights(PAST_NATS) for name, s in spread.items()}, decays={"CHANNEL": PAST_DECAY}
    )
    for name in channels:
        past = replace(past, channels={**past.channels, name: balanced(name, channels, units, past)})
    dislike = {name: s.weights(PAST_NATS, DISLIKE_DEVIATIONS) for name, s in spread.items()}
    return {
        NEXT: past,
        SIMILAR: QuestionWeights(past.channels),
        DISLIKE: QuestionWeights(dislike),
        ANYONE: default_prior(),
    }


def restated(next_: QuestionWeights) -> QuestionWeights:
    """Return the weights of "similar" where no pairs say them: those of "next" for what is new to the user, without
    repeats and the prior."""
    columns = {name: replace(w, had=w.new) for name, w in next_.columns.items() if name in PAST_KINDS}
    return QuestionWeights(next_.channels, columns)


def rejecting(dislike: QuestionWeights, next_: QuestionWeights) -> QuestionWeights:
    """Return the weights of "dislike" where events are known: what taking the items would have added to new ones."""
    columns = {
        name: ColumnWeights(max(w.new, 0), max(w.new, 0), max(w.cold, 0), w.transform)
        for name, w in next_.columns.items()
        if name in PAST_KINDS
    }
    return replace(dislike, columns=columns, decays=next_.decays)
