"""Balanced thresholds: items without a picture get their share of the places of all kinds of users."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from itemlens_server.fusion.balance import balanced
from itemlens_server.fusion.default_weights import PAST_NATS, default_questions, spreads
from itemlens_server.fusion.fused import joined
from itemlens_server.fusion.head import Head
from itemlens_server.fusion.history import PURCHASE, Interaction
from itemlens_server.fusion.query import Query, ask
from itemlens_server.fusion.rows import Rows
from itemlens_server.fusion.scoring import bind
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.weights import NEXT, QuestionWeights
from itemlens_server.index.exact import ExactIndex
from itemlens_server.services.lists import rank, score
from itemlens_server.services.recommend_options import RecommendOptions, eligible_items
from support.two_channels import ITEMS, TYPES, Blocks, blocks, channels, types

USERS, K = 200, 10


def unbalanced(found: Blocks, predict: bool) -> QuestionWeights:
    spread = spreads(channels(found, predict), found)
    return QuestionWeights({name: s.weights(PAST_NATS) for name, s in spread.items()})


def without_picture(found: Blocks, predict: bool, weights: QuestionWeights, of: int) -> float:
    """The share of the lists that has no picture, of users with six items of each of so many types."""
    head = Head(tuple(channels(found, predict).values()), {NEXT: weights})
    rows = Rows(head.dimension)
    rows.append(np.arange(1, ITEMS + 1), [str(n) for n in range(ITEMS)], joined(head, found, ITEMS))
    snapshot = Snapshot("", head, rows.view(), None, np.full(ITEMS, -1))
    rng, kinds, has = np.random.default_rng(3), types(), found["image"][1]
    shares = []
    for _ in range(USERS):
        liked = rng.choice(TYPES, of, replace=False)
        past = [n for kind in liked for n in rng.choice(np.flatnonzero(kinds == kind), 6, replace=False)]
        history = [Interaction(str(n), PURCHASE) for n in rng.permutation(past)]
        scorer = bind(ask(snapshot, Query(history), {PURCHASE: 1.0}))
        mask, _ = eligible_items(scorer, RecommendOptions())
        scorer, scored, _ = score(scorer, ExactIndex(), mask, K)
        ranked = rank(scorer, scored, K)
        shares.append(np.mean([not has[item.position] for item in ranked]))
    return float(np.mean(shares))


@pytest.mark.parametrize("of", [1, 5])
@pytest.mark.parametrize("predict", [True, False])
def test_items_without_a_picture_get_their_share_of_the_places(predict: bool, of: int) -> None:
    found = blocks(lack=0.5)
    made = channels(found, predict)
    weights = default_questions(made, found, spreads(made, found))[NEXT]
    assert 0.33 < without_picture(found, predict, weights, of) < 0.6
    assert without_picture(found, predict, unbalanced(found, predict), of) < 0.15


def test_the_balance_is_the_same_each_time() -> None:
    found = blocks(lack=0.5)
    made, weights = channels(found, True), unbalanced(found, True)
    assert balanced("image", made, found, weights) == balanced("image", made, found, weights)


def test_one_channel_alone_has_nothing_to_balance() -> None:
    found = blocks(lack=0.5)
    made, weights = channels(found, True), unbalanced(found, True)
    alone = replace(weights, channels={"image": weights.of("image")})
    only = {"image": found["image"]}
    assert balanced("image", {"image": made["image"]}, only, alone) == weights.of("image")
