"""Choice of mu, P and the widths of all channels, on held-out questions of the collection itself.

Each change must pay. A recipe replaces a simpler one only if its gain exceeds CLEAR standard errors and WORTH. So the
channels of a small catalogue, whose questions tell little, stay at the cosine of the raw vectors. Then numbers move
between the channels while that improves the answers to all questions: by each channel alone, and by all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.channel_data import ChannelData
from itemlens_server.fusion.choice import ChoiceSets, fit_choices
from itemlens_server.fusion.head import Array, HeadChannel
from itemlens_server.fusion.held_out import Floats, Trial, asked_items
from itemlens_server.fusion.measures import Interval, gains
from itemlens_server.fusion.projection import MAX_DIMENSION, Directions, Recipe, equal_widths
from itemlens_server.fusion.sampling import sample_candidates

CLEAR = 2.5
"""Standard errors. Several recipes are tried, and a crop is an easier question than a photo taken elsewhere."""
WORTH = 0.002
"""Least gain of a recipe."""
EXPONENTS = (0.5, 1.0)
STEP = 64
LOSS_WEIGHT = 5.0
"""A loss against the raw cosine counts so many times as much as a gain: no kind of question shall pay for others."""


@dataclass(frozen=True)
class Tried:
    """A candidate: what it is, its mean gain over the one before it, the standard error, and whether it was taken."""

    channel: str
    what: str
    difference: float
    error: float
    taken: bool


def fit_projections(
    data: Mapping[str, ChannelData], items: int, trials: Sequence[Trial], most: int = MAX_DIMENSION
) -> tuple[dict[str, HeadChannel], list[Tried]]:
    """Return the channels that have content, with mu and P, and what was tried.

    data: all vectors by channel. trials: questions of the same collection; without any, P keeps the raw cosine.
    most: largest length of h.
    """
    used = {name: d for name, d in data.items() if len(d.vectors)}
    directions = {name: Directions(name, d, items) for name, d in used.items()}
    widths = equal_widths({name: d.vectors.shape[1] for name, d in used.items()}, most)
    recipes = {name: Recipe() for name in used}
    tried: list[Tried] = []
    asked = [trial for trial in trials if len(trial.targets)]
    if asked:
        for name in used:
            recipes[name] = _recipe(name, directions[name], widths[name], asked, tried)
        widths = _widths(used, directions, recipes, widths, asked, tried)
    return {name: directions[name].channel(recipes[name], widths[name]) for name in used}, tried


def _recipe(
    name: str, directions: Directions, width: int, trials: Sequence[Trial], tried: list[Tried]
) -> Recipe:
    groups = asked_items(trials)
    best = Recipe()
    reference = _alone(trials, directions.channel(best, width))

    def better(recipe: Recipe) -> bool:
        nonlocal best, reference
        gained = _alone(trials, directions.channel(recipe, width))
        gain = Interval.of(gained - reference, groups)
        taken = gain.mean > max(CLEAR * gain.error, WORTH)
        tried.append(Tried(name, str(recipe), gain.mean, gain.error, taken))
        if taken:
            best, reference = recipe, gained
        return taken

    for exponent in EXPONENTS:
        if not better(Recipe(best.centred, exponent)):
            break
    better(Recipe(True, best.exponent))
    return best


def _widths(
    used: Mapping[str, ChannelData],
    directions: Mapping[str, Directions],
    recipes: Mapping[str, Recipe],
    widths: dict[str, int],
    trials: Sequence[Trial],
    tried: list[Tried],
) -> dict[str, int]:
    """Move STEP numbers at a time from one channel to another, while the value rises."""
    if len(used) < 2:
        return widths
    groups = asked_items(trials)
    raw = _by_question(
        trials, [HeadChannel(n, np.zeros(d.vectors.shape[1], np.float32)) for n, d in used.items()]
    )

    def value(widths: Mapping[str, int]) -> Floats:
        made = [directions[name].channel(recipes[name], widths[name]) for name in used]
        change = np.stack(_by_question(trials, made)) - np.stack(raw)
        loss = np.minimum(change.mean(1, keepdims=True), 0.0)
        return np.asarray(change.sum(0) + (LOSS_WEIGHT - 1.0) * loss.sum())

    best, seen = value(widths), [widths]
    while True:
        moves = [
            moved
            for giver in used
            for taker in used
            if giver != taker
            and (moved := _moved(widths, giver, taker, used[taker].vectors.shape[1])) is not None
            and moved not in seen
        ]
        seen += moves
        values = [value(move) for move in moves]
        if not values:
            return widths
        top = max(range(len(moves)), key=lambda n: float(values[n].mean()))
        gain = Interval.of(values[top] - best, groups)
        what = " + ".join(f"{name} {width}" for name, width in moves[top].items())
        tried.append(Tried("", what, gain.mean, gain.error, gain.mean > 0))
        if gain.mean <= 0:
            return widths
        widths, best = moves[top], values[top]


def _moved(widths: Mapping[str, int], giver: str, taker: str, dim: int) -> dict[str, int] | None:
    step = min(STEP, dim - widths[taker])
    if step <= 0 or widths[giver] - step < STEP:
        return None
    return {**widths, giver: widths[giver] - step, taker: widths[taker] + step}


def _alone(trials: Sequence[Trial], channel: HeadChannel) -> Floats:
    """Return the gains of the questions by one channel."""
    return np.concatenate([gains(trial.cosines(channel), trial.targets) for trial in trials])


def _by_question(trials: Sequence[Trial], channels: Sequence[HeadChannel]) -> list[Floats]:
    """Return the gains of the questions by each channel alone, and by all of them with fitted weights."""
    cosines = [[trial.cosines(channel) for channel in channels] for trial in trials]
    alone = [
        np.concatenate([gains(c[n], trial.targets) for trial, c in zip(trials, cosines, strict=True)])
        for n in range(len(channels))
    ]
    if len(channels) < 2:
        return alone
    samples = [sample_candidates(_lists(c), trial.targets) for trial, c in zip(trials, cosines, strict=True)]
    sets = ChoiceSets.joined([some.sets(c) for some, c in zip(samples, cosines, strict=True)])
    weights = fit_choices(sets, nonnegative=[True] * len(channels)).weights
    together = [gains(_blend(c, weights), trial.targets) for trial, c in zip(trials, cosines, strict=True)]
    return [*alone, np.concatenate(together)]


def _lists(cosines: Sequence[Array]) -> list[Array]:
    return [*cosines, _blend(cosines, 1.0 / np.asarray([max(float(c.std()), 1e-6) for c in cosines]))]


def _blend(cosines: Sequence[Array], weights: Floats) -> Array:
    blend = np.zeros_like(cosines[0])
    for cosine, weight in zip(cosines, weights, strict=True):
        blend += np.float32(weight) * cosine
    return blend
