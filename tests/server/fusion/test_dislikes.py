"""A dislike takes away from what is like it, in proportion, and from nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.head import Array, Head, HeadChannel, unit
from itemlens_server.fusion.history import DISLIKED, Interaction
from itemlens_server.fusion.query import MOST_DISLIKED, Query, ask
from itemlens_server.fusion.rows import Rows
from itemlens_server.fusion.scoring import bind
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.terms import Channels
from itemlens_server.fusion.weights import DISLIKE, ChannelWeights, QuestionWeights, search_question
from support.world import TYPE_WEIGHTS

WEIGHT, THRESHOLD = 6.0, 0.5
ANGLES = np.linspace(0, np.pi, 19)
# A disliked item at 0 degrees has cosines cos(angle) with the items.
HEAD = Head(
    (HeadChannel("text", np.zeros(2, np.float32)),),
    {
        DISLIKE: QuestionWeights({"text": ChannelWeights(WEIGHT, THRESHOLD)}),
        search_question({"text": 0}): QuestionWeights({"text": ChannelWeights(5.0, 0.3)}),
    },
)


def snapshot() -> Snapshot:
    rows = Rows(HEAD.dimension)
    h = np.stack([np.cos(ANGLES), np.sin(ANGLES), np.ones_like(ANGLES), 0 * ANGLES], 1).astype(np.float32)
    rows.append(np.arange(1, len(h) + 1), [f"i{n}" for n in range(len(h))], h)
    return Snapshot("c", HEAD, rows.view(), None, np.full(len(h), -1))


def evidence(**query: Any) -> Array:
    asking = ask(snapshot(), Query(**query), TYPE_WEIGHTS)
    everywhere = np.arange(len(ANGLES))
    terms = Channels.bind(asking)
    return sum((t.evidence(0, everywhere, asking.states()) for t in terms), np.zeros(len(ANGLES), np.float32))


def test_an_item_below_the_threshold_loses_nothing_and_one_above_in_proportion() -> None:
    expected = -WEIGHT * np.maximum(0, np.cos(ANGLES) - THRESHOLD)
    np.testing.assert_allclose(evidence(disliked=["i0"]), expected, atol=1e-6)


def test_of_several_dislikes_the_one_counts_that_is_most_alike() -> None:
    together = evidence(disliked=["i0", "i9"])
    apart = np.minimum(evidence(disliked=["i0"]), evidence(disliked=["i9"]))
    np.testing.assert_allclose(together, apart, atol=1e-6)


def test_the_weight_of_the_request_multiplies_them() -> None:
    half = evidence(disliked=["i0"], source_weights={"disliked": 0.5})
    np.testing.assert_allclose(half, 0.5 * evidence(disliked=["i0"]), atol=1e-6)


def test_an_event_of_type_dislike_is_one_of_them() -> None:
    told = evidence(history=[Interaction("i0", DISLIKED)])
    np.testing.assert_array_equal(told, evidence(disliked=["i0"]))


def test_those_that_are_not_there_count_for_nothing() -> None:
    assert not evidence(disliked=["gone"]).any()


def test_the_newest_of_many_count() -> None:
    others = [f"other-{n}" for n in range(MOST_DISLIKED - 1)]
    assert evidence(disliked=["i0", *others]).any()
    assert not evidence(disliked=["i0", *others, "i18"])[:5].any()


def test_one_that_is_told_twice_counts_once() -> None:
    np.testing.assert_array_equal(evidence(disliked=["i0", "i0"]), evidence(disliked=["i0"]))


@given(st.integers(0, 18), st.floats(-np.pi, np.pi))
def test_what_is_unlike_the_disliked_item_keeps_its_score(disliked: int, direction: float) -> None:
    q = unit(np.asarray([np.cos(direction), np.sin(direction)], np.float32))
    query = Query(content={"text": q})
    positions = np.arange(len(ANGLES))
    before = bind(ask(snapshot(), query, TYPE_WEIGHTS)).scores(0, positions)
    disliking = replace(query, disliked=[f"i{disliked}"])
    after = bind(ask(snapshot(), disliking, TYPE_WEIGHTS)).scores(0, positions)
    unlike = np.cos(ANGLES - ANGLES[disliked]) < THRESHOLD - 1e-6
    np.testing.assert_array_equal(before[unlike], after[unlike])
    assert after[disliked] == pytest.approx(before[disliked] - WEIGHT * (1 - THRESHOLD), abs=1e-5)


def test_the_disliked_items_that_count_are_named_with_what_they_take() -> None:
    scorer = bind(ask(snapshot(), Query(disliked=["i0", "i18"]), TYPE_WEIGHTS))
    for position in range(len(ANGLES)):
        parts = [p for p in scorer.by_source(0, position) if p.kind == "PAST_ITEM"]
        cosines = {"i0": np.cos(ANGLES[position]), "i18": -np.cos(ANGLES[position])}
        expected = {
            i: -WEIGHT * c for i, c in cosines.items() if c > THRESHOLD + 1e-6 and c == max(cosines.values())
        }
        assert {p.past_item_id: p.value for p in parts} == pytest.approx(expected, abs=1e-5)
