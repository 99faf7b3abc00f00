"""The kept part of a query gives the explanation of the time of its answer, for any question."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens_server.errors import ItemlensError
from itemlens_server.fusion.history import PURCHASE, Interaction
from itemlens_server.fusion.kept import KeptAsking
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.query import CHANNEL_ITEMS, Query, ask
from itemlens_server.fusion.rows import View
from itemlens_server.fusion.scoring import Scorer, bind, bound
from support.sizes import size
from support.world import TYPE_WEIGHTS, World, random_boosts, random_query, random_world


def restored(world: World, scorer: Scorer, listed: Sequence[str]) -> Scorer:
    """The scorer from what is kept and the rows of past and listed items."""
    kept: KeptAsking = pickle.loads(pickle.dumps(KeptAsking.of(scorer.asking, listed)))
    view = world.snapshot.view
    labels = [*kept.labels.tolist(), *(int(view.labels[world.position(i)]) for i in listed)]
    h = np.stack([view.h[view.positions(np.asarray([label]))[0]] for label in labels])
    rows = View(np.asarray(labels), h, np.ones(len(h), np.bool_), [*kept.item_ids, *listed], len(h))
    return replace(bound(kept.asking("c", world.head, rows)), shifts=scorer.shifts)


def same(a: Sequence[Part], b: Sequence[Part]) -> None:
    assert [replace(p, value=0.0) for p in a] == [replace(p, value=0.0) for p in b]
    assert [p.value for p in a] == pytest.approx([p.value for p in b], abs=1e-6)


@settings(max_examples=size(50, 150))
@given(st.integers(0, 2**32 - 1))
def test_the_parts_are_those_of_the_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng, events=seed % 4 > 0)
    try:
        asking = ask(world.snapshot, random_query(rng, world), TYPE_WEIGHTS)
        scorer = bind(replace(asking, boosts=random_boosts(rng, world)))
    except ItemlensError:
        return
    explains_the_answer(world, scorer, rng)


def test_the_parts_of_a_long_past_are_those_of_the_answer() -> None:
    rng = np.random.default_rng(5)
    world = random_world(rng, 3 * CHANNEL_ITEMS)
    history = [Interaction(i, PURCHASE) for i in world.item_ids[: 2 * CHANNEL_ITEMS]]
    explains_the_answer(world, bind(ask(world.snapshot, Query(history), TYPE_WEIGHTS)), rng)


def explains_the_answer(world: World, scorer: Scorer, rng: np.random.Generator) -> None:
    scorer = replace(scorer, shifts=tuple(rng.normal(size=len(scorer.interests)).tolist()))
    listed = [str(i) for i in rng.permutation(world.item_ids)[:5]]
    later = restored(world, scorer, listed)
    first = len(later.snapshot.view.labels) - len(listed)
    for n in range(len(scorer.interests)):
        for position, item_id in enumerate(listed, first):
            at_the_time = world.position(item_id)
            same(later.by_channel(n, position), scorer.by_channel(n, at_the_time))
            same(later.by_source(n, position), scorer.by_source(n, at_the_time))
            placed, sums = later.by_place(n, position, world.inputs[item_id])
            before, sums_before = scorer.by_place(n, at_the_time, world.inputs[item_id])
            same(placed, before)
            for a, b in zip(sums, sums_before, strict=True):
                assert a.sources == b.sources
                np.testing.assert_allclose(a.values, b.values, atol=1e-6)
            score = float(scorer.scores(n, np.asarray([at_the_time]))[0])
            largest = max((abs(p.value) for p in placed), default=0.0)
            assert sum(p.value for p in placed) == pytest.approx(score, abs=max(1e-4, 1e-6 * largest))


def test_holds_only_the_part_of_the_tables_between_past_and_list() -> None:
    world = random_world(np.random.default_rng(3), 60)
    query = replace(random_query(np.random.default_rng(8), world), disliked=())
    asking = ask(world.snapshot, query, TYPE_WEIGHTS)
    listed = world.item_ids[:3]
    kept = KeptAsking.of(asking, listed)
    sources = (asking.history, asking.liked, asking.rejected)
    named = {i for source in sources for i in source.past.item_ids}
    assert kept.tables is not None and set(kept.tables.item_ids) <= named | set(listed)
    assert not kept.query.history and not kept.query.liked and kept.query.vector is None
