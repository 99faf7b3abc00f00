"""Weights without events, in nats: what a past, liked or disliked item says of others by its content alone.

A cosine means different things in different channels: two random texts may have .3, two random pictures .45. So a
weight is given in nats for each standard deviation of the cosines between random items, and theta is their mean, so
that a channel adds nothing on average.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.channel_data import Bools
from itemlens_server.fusion.fused import predicted
from itemlens_server.fusion.head import Array, HeadChannel, unit
from itemlens_server.fusion.imputation import MINIMUM_PAIRS, predictor
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.weights import DISLIKE, NEXT, SIMILAR, ChannelWeights, QuestionWeights

Units = Mapping[str, tuple[Array, Bools]]

SEARCH_NATS: Mapping[str, float] = {"text": 1.5}
OTHER_SEARCH_NATS = 4.0
"""A few words fit many items, a picture of an item hardly any other."""
PAST_NATS = 1.0
DISLIKE_NATS = 2.0
DISLIKE_DEVIATIONS = 2.0
"""A dislike takes away from items whose cosine is this many deviations above the mean, and from no others."""
DECAY = 0.97
SAMPLE = 2000
# Simulated histories, by which the thresholds of imputed or absent channels are balanced. Each is one of five
# interests, so it has two places of a list: the first are the hardest to get for an item whose vector is a guess.
HISTORIES = 300
LENGTH = 6
PLACES = 2
ALIKE = 100
"""A history is drawn from this many items around a random one, or from a fortieth of a small catalogue."""
MOST_ITEMS = 40_000
MINIMUM_ITEMS = 50
_STEPS = 12


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
        some = rng.permutation(np.flatnonzero(has))[:SAMPLE]
        if len(some) < 2:
            found[name] = Spread()
            continue
        cosines = (e[some] @ e[some].T)[np.triu_indices(len(some), 1)].astype(np.float64)
        imputed = 0.0
        if channel.predictors:
            guess, known = predicted(channel, units, len(has))
            others = rng.permutation(np.flatnonzero(known))[:SAMPLE]
            if len(others):
                imputed = channel.imputed_scale * float((e[some].mean(0) @ guess[others].T).mean())
        # Equal items have no spread, up to rounding.
        sd = float(cosines.std())
        found[name] = Spread(float(cosines.mean()), sd if sd > 1e-4 else 0.0, imputed)
    return found


def search_priors(kinds: Mapping[str, str], spread: Mapping[str, Spread]) -> dict[str, ChannelWeights]:
    """Return the weights of searches without any data. kinds: kind of content by channel, such as "text"."""
    return {n: s.weights(SEARCH_NATS.get(kinds[n], OTHER_SEARCH_NATS)) for n, s in spread.items()}


def default_questions(
    channels: Mapping[str, HeadChannel], units: Units, spread: Mapping[str, Spread]
) -> dict[str, QuestionWeights]:
    """Return the weights of "next", "similar" and "dislike" without events."""
    past = {name: s.weights(PAST_NATS) for name, s in spread.items()}
    for name in channels:
        past[name] = balanced(name, channels, units, past)
    dislike = {name: s.weights(DISLIKE_NATS, DISLIKE_DEVIATIONS) for name, s in spread.items()}
    return {
        NEXT: QuestionWeights(past, decays={"CHANNEL": DECAY}),
        SIMILAR: QuestionWeights(past),
        DISLIKE: QuestionWeights(dislike),
    }


def restated(next_: QuestionWeights) -> QuestionWeights:
    """Return the weights of "similar" where no pairs say them: those of "next" for what is new to the user, without
    repeats and the prior."""
    columns = {
        name: replace(w, had=w.new)
        for name, w in next_.columns.items()
        if name in ("BEHAVIOUR", "SEQUENCE", "ATTRIBUTE")
    }
    return QuestionWeights(next_.channels, columns)


def balanced(
    name: str,
    channels: Mapping[str, HeadChannel],
    units: Units,
    weights: Mapping[str, ChannelWeights],
    seed: int = 0,
) -> ChannelWeights:
    """Return the weights of a channel with a threshold by which items without it are neither favoured nor hindered.

    The channel is hidden from a random half of the items. The histories are items that are alike in the other channels.
    Of their lists, half should lack the channel. If it is predicted for those, theta' is changed, otherwise theta.
    """
    own = weights[name]
    others = [n for n in channels if n != name and units[n][1].any() and weights[n].weight]
    if not others or not own.weight or not units[name][1].any():
        return own
    rng = np.random.default_rng(seed)
    there = np.flatnonzero(np.all([units[n][1] for n in others], axis=0))
    some = np.sort(rng.permutation(there)[:MOST_ITEMS])
    hidden = _hidden(units[name][1][some], rng)
    if len(some) < MINIMUM_ITEMS or hidden.all():
        return own
    part = {n: (units[n][0][some], units[n][1][some]) for n in channels}
    # Predictors that do not know the hidden items, as the head's do not know those without the channel.
    channels = {**channels, name: _unaware(channels[name], units, some[hidden])}
    trial = _simulated(name, channels, part, weights, others, hidden, rng)
    predicts = bool(channels[name].predictors)
    low, high = -1.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if predicts:  # a higher theta' takes places from items without the channel
            changed = replace(own, imputed_threshold=own.imputed_threshold + middle)
        else:  # a higher theta gives them places
            changed = replace(own, threshold=own.threshold - middle)
        share = _share(changed, trial, hidden, predicts)
        low, high = (middle, high) if share > float(hidden.mean()) else (low, middle)
    return changed


def _hidden(has: Bools, rng: np.random.Generator) -> Bools:
    """Return the items to treat as without the channel: those without it, and others up to half of all."""
    hidden = ~has
    more = max(len(has) // 2 - int(hidden.sum()), 0)
    hidden[rng.permutation(np.flatnonzero(has))[:more]] = True
    return hidden


def _unaware(channel: HeadChannel, units: Units, hidden: Ints) -> HeadChannel:
    """Return the channel with predictors fitted without some items."""
    fitted = {}
    for source, known in channel.predictors.items():
        both = units[channel.name][1] & units[source][1]
        both[hidden] = False
        enough = both.sum() >= MINIMUM_PAIRS
        fitted[source] = predictor(units[source][0][both], units[channel.name][0][both]) if enough else known
    return replace(channel, predictors=fitted)


@dataclass(frozen=True)
class _Trial:
    """Scores of simulated histories, float32 [histories, items] each: those by the other channels, and the own and
    predicted cosines."""

    base: Array
    own: Array
    guess: Array


def _simulated(
    name: str,
    channels: Mapping[str, HeadChannel],
    units: Units,
    weights: Mapping[str, ChannelWeights],
    others: list[str],
    hidden: Bools,
    rng: np.random.Generator,
) -> _Trial:
    items = len(hidden)
    anchors = rng.permutation(items)[:HISTORIES]
    alike = sum(weights[n].weight * (units[n][0][anchors] @ units[n][0].T) for n in others)
    around = np.argsort(-alike, axis=1, kind="stable")[:, : min(ALIKE, max(items // 40, 2 * LENGTH))]
    past: Ints = rng.permuted(around, axis=1)[:, :LENGTH]
    base = sum(weights[n].weight * (unit(units[n][0][past].sum(1)) @ units[n][0].T) for n in others)
    base = np.asarray(base, np.float32)
    np.put_along_axis(base, past, np.float32(-1e6), axis=1)
    e = units[name][0]
    q = unit((e[past] * ~hidden[past][..., None]).sum(1))
    shown = {**units, name: (e * ~hidden[:, None], ~hidden)}
    guess = predicted(channels[name], shown, items)[0] if channels[name].predictors else np.zeros_like(e)
    return _Trial(base, q @ e.T, np.float32(channels[name].imputed_scale) * (q @ guess.T))


def _share(weights: ChannelWeights, trial: _Trial, hidden: Bools, predicts: bool) -> float:
    """Return the share of hidden items in the lists."""
    own = weights.weight * (trial.own - weights.threshold)
    guess = weights.weight * (trial.guess - weights.imputed_threshold) if predicts else 0.0
    scores = trial.base + np.where(hidden, guess, own)
    top = np.argpartition(-scores, PLACES, axis=1)[:, :PLACES]
    return float(hidden[top].mean())
