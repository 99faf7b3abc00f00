"""Weights of searches: what the words and pictures of a question say about which item is meant, in nats.

A search is a choice among the items (`choice`). Each channel c of the question adds

    w_c cos_c + b_c  for an item with content in c,      w_c r_c cos'_c + b'_c  for one whose block is imputed,

and nothing for an item with neither. b = -w theta, so theta and theta' are the cosines from which on a block speaks for
its item. Each mix of channels has weights of its own, since words and a picture of the same item say partly the same.

Every question is asked twice: of the items with all its channels, as they are; and of the items with all channels, with
one of the question's channels hidden from a random half of them. The second makes items with and without the channel
comparable, and shows what r is worth. (Items that lack a channel by nature would only pass for wrong answers: the right
ones have all channels.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from itemlens_server.fusion.channel_data import Bools, Ints, item_units
from itemlens_server.fusion.choice import ChoiceSets, fit_choices
from itemlens_server.fusion.fused import predicted
from itemlens_server.fusion.head import Array, HeadChannel, unit
from itemlens_server.fusion.held_out import Floats, Trial
from itemlens_server.fusion.regularisation import choose_l2
from itemlens_server.fusion.sampling import sample_candidates
from itemlens_server.fusion.weights import ChannelWeights, search_question

AT_ONCE = 64
"""Questions that are scored together: a matrix of cosines has this many rows."""
SLICE = 3
"""The questions about one of this many items are kept back for the choice of l2."""
MINIMUM_KEPT_BACK = 20
"""With fewer items kept back, the largest l2 is taken: the weights stay near those without data."""
L2S = (0.1, 1.0, 10.0, 100.0)
SMALLEST_SCALE = 0.1
_OWN, _PRESENT, _GUESS, _IMPUTED = range(4)
_COLUMNS = 4


@dataclass(frozen=True)
class SearchFit:
    """The weights of one mix of channels.

    question: its name in the head. channels, errors: weights and their standard errors by channel. The error of theta
    is that of b / w with w fixed, 0 if only theta' - theta matters; the error of theta' is that of theta' - theta.
    """

    question: str
    channels: Mapping[str, ChannelWeights]
    errors: Mapping[str, ChannelWeights]


@dataclass(frozen=True)
class _Asked:
    """Choice sets of one mix with the columns _OWN, _PRESENT, _GUESS and _IMPUTED of each channel; the item that each
    set asks for."""

    sets: ChoiceSets
    targets: Ints


def fit_search(
    channels: Mapping[str, HeadChannel],
    trials: Sequence[Trial],
    priors: Mapping[str, ChannelWeights],
    seed: int = 0,
) -> tuple[dict[str, float], list[SearchFit]]:
    """Return r by channel, for those with predictors, and the weights of every mix of channels.

    channels: with predictors that do not know the targets of the trials. trials: their questions must have all these
    channels. priors: the weights without any data, which l2 pulls towards. Without any question nothing is returned.
    """
    trials = [trial for trial in trials if len(trial.targets)]
    if not trials:
        return {}, []
    asked = {mix: _ask(channels, trials, mix, priors, seed) for mix in mixes(channels)}
    scales = {
        name: _scale(asked[name,].sets, priors[name], channel.imputed_scale)
        for name, channel in channels.items()
        if channel.predictors
    }
    return scales, [_weights(mix, some, scales, priors) for mix, some in asked.items()]


def mixes(names: Mapping[str, object] | Sequence[str]) -> list[tuple[str, ...]]:
    """Return the mixes of channels to fit weights for: each alone, all pairs, and all together."""
    ordered = sorted(names)
    sizes = sorted({1, 2, len(ordered)})
    return [mix for size in sizes for mix in combinations(ordered, size)]


def _ask(
    channels: Mapping[str, HeadChannel],
    trials: Sequence[Trial],
    mix: tuple[str, ...],
    priors: Mapping[str, ChannelWeights],
    seed: int,
) -> _Asked:
    made: list[ChoiceSets] = []
    targets: list[Ints] = []
    for number, trial in enumerate(trials):
        rng = np.random.default_rng((seed, number))
        blocks = {name: item_units(c, trial.data[name], trial.items) for name, c in channels.items()}
        as_they_are = _Catalogue.of(channels, blocks, trial, mix, mix, priors, rng)
        with_hidden = _Catalogue.of(channels, blocks, trial, mix, list(channels), priors, rng)
        for start in range(0, len(trial.targets), AT_ONCE):
            some = np.arange(start, min(start + AT_ONCE, len(trial.targets)))
            made.append(as_they_are.sets(some, None, seed + start))
            targets.append(trial.numbers[trial.targets[some]])
            for n, name in enumerate(mix if len(channels) > 1 else ()):
                # One channel of the mix after the other is hidden.
                mine = some[some % len(mix) == n]
                if len(mine):
                    made.append(with_hidden.sets(mine, name, seed + start))
                    targets.append(trial.numbers[trial.targets[mine]])
    return _Asked(ChoiceSets.joined(made), np.concatenate(targets))


@dataclass(frozen=True)
class _Catalogue:
    """The items of a trial that have certain channels. targets: the right answers, as numbers of these items."""

    pairs: Mapping[str, _Pair]
    targets: Ints

    @staticmethod
    def of(
        channels: Mapping[str, HeadChannel],
        blocks: Mapping[str, tuple[Array, Bools]],
        trial: Trial,
        mix: Sequence[str],
        needed: Sequence[str],
        priors: Mapping[str, ChannelWeights],
        rng: np.random.Generator,
    ) -> _Catalogue:
        whole = np.flatnonzero(np.all([blocks[name][1] for name in needed], axis=0))
        some = {name: (e[whole], has[whole]) for name, (e, has) in blocks.items()}
        pairs = {name: _Pair.of(channels[name], some, trial, priors[name], rng) for name in mix}
        return _Catalogue(pairs, np.searchsorted(whole, trial.targets))

    def sets(self, questions: Ints, hidden: str | None, seed: int) -> ChoiceSets:
        """Return the choice sets of some questions, with a channel hidden from half of the items."""
        columns = {name: pair.columns(questions, name == hidden) for name, pair in self.pairs.items()}
        ranked = [matrix for name, pair in self.pairs.items() for matrix in pair.lists(columns[name])]
        blend = sum(pair.prior(columns[name]) for name, pair in self.pairs.items())
        sample = sample_candidates([*ranked, np.asarray(blend)], self.targets[questions], seed)
        return sample.sets([matrix for some in columns.values() for matrix in some])


@dataclass(frozen=True)
class _Pair:
    """A channel's questions and its own and imputed blocks in one trial. half: the items that it is hidden from in
    every second asking."""

    channel: HeadChannel
    queries: Array
    own: Array
    has: Bools
    guess: Array
    guessed: Bools
    half: Bools
    weights: ChannelWeights

    @staticmethod
    def of(
        channel: HeadChannel,
        blocks: Mapping[str, tuple[Array, Bools]],
        trial: Trial,
        weights: ChannelWeights,
        rng: np.random.Generator,
    ) -> _Pair:
        own, has = blocks[channel.name]
        guess, guessed = predicted(channel, blocks, len(own))
        queries = unit(channel.project(trial.queries[channel.name]))
        return _Pair(channel, queries, own, has, guess, guessed, rng.random(len(own)) < 0.5, weights)

    def columns(self, questions: Ints, hidden: bool) -> list[Array]:
        """Return the columns, float32 [questions, items] each."""
        present = self.has & ~self.half if hidden else self.has
        imputed = self.guessed & ~present
        q = self.queries[questions]
        flags = [np.repeat(flag[None].astype(np.float32), len(q), axis=0) for flag in (present, imputed)]
        return [(q @ self.own.T) * present, flags[0], (q @ self.guess.T) * imputed, flags[1]]

    def lists(self, columns: Sequence[Array]) -> list[Array]:
        """Return the rankings that candidates are taken from: the items with their own block, those with an imputed
        one."""
        ranked = [np.where(columns[_PRESENT] > 0, columns[_OWN], -1.0)]
        if self.channel.predictors:
            ranked.append(np.where(columns[_IMPUTED] > 0, columns[_GUESS], -1.0))
        return ranked

    def prior(self, columns: Sequence[Array]) -> Array:
        """Return the evidence by the weights without data."""
        w = self.weights
        own = columns[_OWN] - np.float32(w.threshold) * columns[_PRESENT]
        scale = np.float32(self.channel.imputed_scale)
        guess = scale * columns[_GUESS] - np.float32(w.imputed_threshold) * columns[_IMPUTED]
        return np.asarray(np.float32(w.weight) * (own + guess), np.float32)


def _scale(sets: ChoiceSets, prior: ChannelWeights, scale: float) -> float:
    """Return r = w' / w of a channel, with separate weights of the own and the imputed cosine."""
    w = prior.weight
    centre = np.array([w, -w * prior.threshold, scale * w, -w * prior.imputed_threshold])
    fitted = fit_choices(sets, prior=centre, nonnegative=[True, False, True, False])
    if fitted.weights[_OWN] <= 0:
        return scale
    return float(np.clip(fitted.weights[_GUESS] / fitted.weights[_OWN], SMALLEST_SCALE, 1.0).round(3))


def _weights(
    mix: tuple[str, ...],
    asked: _Asked,
    scales: Mapping[str, float],
    priors: Mapping[str, ChannelWeights],
) -> SearchFit:
    x = asked.sets.x.reshape(len(asked.sets.x), len(mix), _COLUMNS)
    r = np.array([scales.get(name, 0.0) for name in mix], np.float32)
    known = x[..., _PRESENT] + x[..., _IMPUTED]
    columns = np.stack([x[..., _OWN] + r * x[..., _GUESS], known, x[..., _IMPUTED]], axis=2)
    sets = replace(asked.sets, x=columns.reshape(len(x), -1))
    prior = np.concatenate([_coefficients(priors[name]) for name in mix])
    nonnegative = [True, False, False] * len(mix)
    kept_back = asked.targets % SLICE == 0
    l2 = max(L2S)
    if len(np.unique(asked.targets[kept_back])) >= MINIMUM_KEPT_BACK and not kept_back.all():
        apart = (sets.take(~kept_back), sets.take(kept_back))
        l2, _ = choose_l2([apart], L2S, prior=prior, nonnegative=nonnegative)
    fitted = fit_choices(sets, l2, prior=prior, nonnegative=nonnegative)
    channels, errors = {}, {}
    for n, name in enumerate(mix):
        means = _mean_cosine(asked.sets, x[:, n])
        channels[name], errors[name] = _thresholds(
            fitted.weights[3 * n : 3 * n + 3], fitted.standard_errors[3 * n : 3 * n + 3], means
        )
    question = search_question(dict.fromkeys(mix))
    return SearchFit(question, channels, errors)


def _coefficients(weights: ChannelWeights) -> list[float]:
    """Return w, b and b' - b."""
    w = weights.weight
    return [w, -w * weights.threshold, -w * (weights.imputed_threshold - weights.threshold)]


def _thresholds(
    coefficients: Floats, errors: Floats, mean_cosine: float
) -> tuple[ChannelWeights, ChannelWeights]:
    """Return w, theta and theta', and their errors, from w, b and b' - b.

    If all items have an own or an imputed block, only the difference of the thresholds matters. Then theta is the mean
    cosine, so that the channel adds 0 on average.
    """
    (w, b, change), (w_error, b_error, change_error) = coefficients.tolist(), errors.tolist()
    if w <= 0:
        return ChannelWeights(0.0, 0.0, 0.0), ChannelWeights(w_error, 0.0, 0.0)
    theta = -b / w if b_error > 0 else mean_cosine
    return ChannelWeights(w, theta, theta - change / w), ChannelWeights(
        w_error, b_error / w, change_error / w
    )


def _mean_cosine(sets: ChoiceSets, x: Array) -> float:
    """Return the mean cosine of the questions to all items with an own block. Each row of the sample stands for 1 / q
    items."""
    stands_for = x[:, _PRESENT].astype(np.float64)
    if sets.log_q is not None:
        stands_for *= np.exp(-sets.log_q.astype(np.float64))
    return float(stands_for @ x[:, _OWN] / max(stands_for.sum(), 1e-12))
