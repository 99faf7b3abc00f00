"""Choice of weights and thresholds by kind of query, on held-out queries with known answers.

A channel is hidden from half of the items. The choice must serve both halves: it maximises the smaller of the two
recalls, each relative to the best recall of its half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.fit import recall
from itemlens_server.fusion.head import Array, ChannelWeights

WEIGHTS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
OFFSETS = tuple(np.round(np.arange(-0.2, 1.01, 0.05), 2).tolist())
HISTORY_OFFSETS = tuple(np.round(np.arange(-0.3, 0.71, 0.025), 3).tolist())
K = 10


@dataclass(frozen=True)
class Similarities:
    """Cosines of queries to items in one channel, float32 [queries, items].

    own: to the items' own block. imputed: to the imputed block; None if nothing predicts it. hidden: the items that the
    channel is hidden from."""

    own: Array
    imputed: Array | None
    hidden: np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True)
class Choice:
    """The choice for one channel, with recall@10 of targets that have it and of targets that it is hidden from."""

    weights: ChannelWeights
    shown: float
    hidden: float


def choose(
    base: Array | None,
    channel: Similarities,
    targets: np.ndarray,
    scale: float,
    fixed_weight: float | None = None,
) -> Choice:
    """Choose w, theta and theta' of a channel that is added to `base` (the score from other channels, or None).

    theta' is the mean score of a right answer's imputed block, so that an imputed block adds nothing on average. theta
    is theta' plus an offset; w and the offset are found by search.
    """
    if base is None and channel.imputed is None:
        # Nothing can find an item without the channel, so it gets score 0, below all similar items.
        hit_rate = float(recall(channel.own, targets, K).mean())
        return Choice(ChannelWeights(fixed_weight or 1.0, 0.0, 0.0), hit_rate, 0.0)
    hidden_targets = channel.hidden[targets]
    rows = np.arange(len(targets))
    guess = None if channel.imputed is None else scale * channel.imputed
    mean = 0.0
    if guess is not None and hidden_targets.any():
        mean = float(guess[rows, targets][hidden_targets].mean())
    shown_columns, hidden_columns = np.flatnonzero(~channel.hidden), np.flatnonzero(channel.hidden)
    tried: list[Choice] = []
    for w in (fixed_weight,) if fixed_weight is not None else WEIGHTS:
        score = np.empty_like(channel.own)
        own = w * channel.own[:, shown_columns] + (0.0 if base is None else base[:, shown_columns])
        other = np.zeros((len(rows), len(hidden_columns)), np.float32)
        if guess is not None:
            other = other + w * (guess[:, hidden_columns] - mean)
        if base is not None:
            other = other + base[:, hidden_columns]
        score[:, hidden_columns] = other
        for offset in OFFSETS:
            theta = (mean if guess is not None else 0.0) + offset
            score[:, shown_columns] = own - w * theta
            hit = recall(score, targets, K)
            shown = float(hit[~hidden_targets].mean()) if (~hidden_targets).any() else 0.0
            lost = float(hit[hidden_targets].mean()) if hidden_targets.any() else 0.0
            tried.append(Choice(ChannelWeights(w, round(theta, 4), round(mean, 4)), shown, lost))
    best_shown = max(max(t.shown for t in tried), 1e-9)
    best_hidden = max(max(t.hidden for t in tried), 1e-9)
    return max(tried, key=lambda t: (min(t.shown / best_shown, t.hidden / best_hidden), t.shown + t.hidden))


def balance_history(
    base: Sequence[Array], channel: Sequence[Similarities], scale: float, neutral: float, weight: float = 1.0
) -> tuple[ChannelWeights, float]:
    """Choose theta of a channel for histories: items without the channel shall have the same share of the top 10 as of
    all items.

    `base` and `channel` hold one entry for each length of history. Return the weights and the mean error of the share.
    """
    best: tuple[float, ChannelWeights] | None = None
    for offset in HISTORY_OFFSETS:
        theta = neutral + offset
        errors = []
        for other, similarities in zip(base, channel, strict=True):
            guess = 0.0 if similarities.imputed is None else scale * similarities.imputed - neutral
            score = other + weight * np.where(similarities.hidden[None, :], guess, similarities.own - theta)
            top = np.argpartition(-score, K, axis=1)[:, :K]
            errors.append(abs(float(similarities.hidden[top].mean()) - float(similarities.hidden.mean())))
        error = float(np.mean(errors))
        if best is None or error < best[0]:
            best = (error, ChannelWeights(weight, round(theta, 4), round(neutral, 4)))
    assert best is not None
    return best[1], best[0]


def mean_cosine(e: Array, sample: int = 2000, seed: int = 0) -> float:
    """Return the mean cosine of two random rows of unit vectors [n, width], the neutral point of similarity."""
    if len(e) < 2:
        return 0.0
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, len(e), (2, sample))
    different = a != b
    return float((e[a[different]] * e[b[different]]).sum(1).mean()) if different.any() else 0.0


def search_names(channels: Mapping[str, object]) -> list[tuple[str, ...]]:
    """Return the mixes of channels to fit weights for: single channels and all pairs."""
    names = sorted(channels)
    alone: list[tuple[str, ...]] = [(n,) for n in names]
    pairs = [(a, b) for n, a in enumerate(names) for b in names[n + 1 :]]
    return [*alone, *pairs]
