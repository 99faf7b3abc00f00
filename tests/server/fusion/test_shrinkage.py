"""The score of a thin history is between that of the history and that of somebody of whom nothing is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.history import CLICK, PURCHASE, Interaction
from itemlens_server.fusion.prior_columns import COLUMNS, NEWNESS
from itemlens_server.fusion.query import Query, ask
from itemlens_server.fusion.scoring import Scorer, bound
from itemlens_server.fusion.shrinkage import trust
from itemlens_server.fusion.weights import ANYONE, NEXT, QuestionWeights
from support.world import TYPE_WEIGHTS, World, random_world

SEEDS = st.integers(0, 2**32 - 1)


def with_shrinkage(world: World, shrinkage: float) -> World:
    """The world with a prior of "anyone" that weighs what a user had as anything else, as its fit does."""
    head = world.snapshot.head
    columns = {
        name: replace(column, had=column.new)
        for name, column in head.weights(ANYONE).columns.items()
        if name in (*COLUMNS, NEWNESS)
    }
    questions = {
        **head.questions,
        ANYONE: QuestionWeights(columns=columns),
        NEXT: replace(head.weights(NEXT), shrinkage=shrinkage),
    }
    return replace(world, snapshot=replace(world.snapshot, head=replace(head, questions=questions)))


def asked(world: World, history: list[Interaction]) -> Scorer:
    return bound(ask(world.snapshot, Query(history, max_interests=1, of_user=True), TYPE_WEIGHTS))


def centred(alpha: Array) -> Array:
    return np.asarray(alpha - alpha.mean())


@given(seed=SEEDS, shrinkage=st.sampled_from([0.25, 1.0, 8.0]), events=st.booleans())
def test_it_is_their_mixture(seed: int, shrinkage: float, events: bool) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng, events=events)
    # What the user had, but is not in the tables yet, is had by no one else: "anyone" takes it for new.
    tables = world.snapshot.tables
    known = [i for i in world.item_ids if tables is None or i in tables.rows]
    taken = rng.choice(known, 3, replace=False).tolist()
    history = [Interaction(taken[0], PURCHASE), Interaction(taken[1], CLICK), Interaction(taken[2], PURCHASE)]
    positions = np.arange(len(world.item_ids))
    own = asked(with_shrinkage(world, 0.0), history).scores(0, positions)
    nobody = asked(with_shrinkage(world, 0.0), []).scores(0, positions)
    thin = asked(with_shrinkage(world, shrinkage), history)
    t = trust(sum(TYPE_WEIGHTS[event.type] for event in history), shrinkage)
    assert centred(thin.scores(0, positions)) == pytest.approx(centred(t * own + (1 - t) * nobody), abs=2e-4)
    for position in positions[:5].tolist():
        parts = thin.by_source(0, position)
        assert sum(part.value for part in parts) == pytest.approx(
            thin.scores(0, positions)[position], abs=2e-4
        )


def test_the_longer_a_history_the_more_it_counts() -> None:
    assert trust(0.0, 1.0) == trust(0.0, 0.0) == 0.0
    assert trust(1.0, 0.0) == 1.0
    assert trust(1.0, 1.0) == 0.5 < trust(5.0, 1.0) < trust(1000.0, 1.0) < 1.0


def test_items_of_which_nothing_is_known_make_no_history_longer() -> None:
    world = with_shrinkage(random_world(np.random.default_rng(3)), 1.0)
    one = [Interaction(world.item_ids[0], PURCHASE)]
    unknown = [Interaction(f"gone {n}", PURCHASE) for n in range(50)]
    assert asked(world, [*unknown, *one]).asking.history.strength == asked(world, one).asking.history.strength


def test_it_is_kept_with_the_weights() -> None:
    weights = QuestionWeights(shrinkage=2.0)
    assert QuestionWeights.from_json(weights.to_json()) == weights
    assert weights.times(0.5).shrinkage == 2.0
