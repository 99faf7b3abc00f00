"""Thin histories shrink as far as users' choices say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from itemlens_server.fusion.choices import Choice
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.prior_columns import NEWNESS
from itemlens_server.fusion.shrinkage_fit import SHRINKAGES, fit_shrinkage
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.weights import ChannelWeights, ColumnWeights, QuestionWeights
from support.world import random_world


def chosen_by(weight: float, seed: int = 1) -> float:
    """The shrinkage of users who take again what they had, each once in two, if "next" gives that `weight` nats."""
    rng = np.random.default_rng(seed)
    world = random_world(rng, items=25)
    next_ = QuestionWeights(columns={"REPEAT.had": ColumnWeights(had=weight)}, choices=100)
    choices = []
    for user in range(120):
        items = rng.choice(world.item_ids, 4, replace=False).tolist()
        taken = items[0] if user % 2 else str(rng.choice(world.item_ids))
        choices.append(Choice(user, Past.equal(items), (taken,)))
    found, nll = fit_shrinkage(world.snapshot, next_, QuestionWeights(), choices)
    assert nll[found] == min(nll.values()) and set(nll) == set(SHRINKAGES)
    return found


def test_weights_that_are_too_large_for_few_events_shrink() -> None:
    assert chosen_by(30.0) > chosen_by(0.5)


def test_without_choices_nothing_shrinks() -> None:
    world = random_world(np.random.default_rng(1))
    assert fit_shrinkage(world.snapshot, QuestionWeights(), QuestionWeights(), [])[0] == 0.0


def test_a_catalogue_that_lacks_what_was_chosen_says_nothing() -> None:
    world = random_world(np.random.default_rng(1))
    choice = Choice(0, Past.equal(world.item_ids[:2]), ("gone",))
    anyone = QuestionWeights(columns={NEWNESS: ColumnWeights(cold=1.0)})
    snapshot: Snapshot = replace(world.snapshot)
    assert fit_shrinkage(snapshot, QuestionWeights(), anyone, [choice])[0] == 0.0


def test_whole_histories_lose_next_to_nothing() -> None:
    """Users take what their oldest item says, which is in the whole history only."""
    world = random_world(np.random.default_rng(1), items=25)
    silent = dict.fromkeys(world.head.names, ChannelWeights(0.0))
    next_ = QuestionWeights(silent, {"REPEAT.had": ColumnWeights(had=6.0)}, choices=100)
    rng = np.random.default_rng(2)
    choices = []
    for user in range(120):
        items = rng.choice(world.item_ids, 7, replace=False).tolist()
        choices.append(Choice(user, Past.equal(items), (items[-1],)))
    found, nll = fit_shrinkage(world.snapshot, next_, QuestionWeights(), choices)
    assert min(nll, key=lambda s: nll[s]) == 8.0  # the newest items mislead, so thin histories want it
    assert (
        found == 1.0
    )  # ln(7 e^6t + 18) - 6t, t = 7 / (7 + s), grows by 0.007 at s = 1, and by 0.018 at s = 2
