"""Weights that contradict each other or are out of reach: a sane list, or an error that names them."""

from __future__ import annotations

import math
from typing import Any

import pytest

import itemlens
from itemlens import ChannelWeight, SourceWeights
from support import spaces

SIDE: dict[str, Any] = {
    "history": ["item-0000", "item-0003"],
    "text": "red shoe",
    "picture": spaces.picture("shoe", "red"),
    "liked": ["item-0008"],
    "disliked": ["item-0004"],
}
HUGE = 1e6
TINY = 1e-38


def channels(**numbers: float) -> dict[str, ChannelWeight]:
    return {name: ChannelWeight(**numbers) for name in ("text", "image")}


@pytest.mark.parametrize(
    "weights",
    [
        {"channel_weights": channels(weight=0.0)},
        {"channel_weights": channels(weight=0.0), "behaviour_weight": 0.0},
        {"channel_weights": channels(weight=0.0, threshold=HUGE)},
        {"channel_weights": channels(weight=HUGE, threshold=-HUGE, predicted_threshold=HUGE)},
        {"channel_weights": channels(weight=TINY)},
        {"behaviour_weight": HUGE},
        {"behaviour_weight": -HUGE},
        {"source_weights": SourceWeights(history=HUGE, query=TINY, disliked=HUGE)},
        {"source_weights": SourceWeights(query=0.0, liked=0.0, disliked=HUGE)},
        {"source_weights": SourceWeights(history=0.0, query=0.0, liked=0.0)},
        {
            "source_weights": SourceWeights(liked=HUGE, disliked=HUGE),
            "channel_weights": channels(weight=HUGE),
        },
    ],
    ids=str,
)
def test_that_contradict_each_other_give_a_list(sample: itemlens.Client, weights: dict[str, Any]) -> None:
    for side in (SIDE, {"text": "red shoe", "liked": ["item-0008"], "disliked": ["item-0009"]}):
        answer = sample.recommend(k=150, reasons=True, **side, **weights)
        scores = [item.score for item in answer]
        assert len(scores) == answer.eligible_items and all(item.reason for item in answer)
        assert all(math.isfinite(score) and score <= 1e-5 for score in scores)
        why = sample.explain(
            [item.item_id for item in answer][:10], recommendation_id=answer.recommendation_id
        )
        why.raise_for_errors()
        for explanation in why:
            largest = max(abs(part.value) for part in explanation.by_source)
            assert abs(explanation.residual) < max(1e-4, 1e-6 * largest)


@pytest.mark.parametrize(
    ("side", "zero"),
    [
        ({"text": "red shoe"}, {"query": 0.0}),
        ({"history": ["item-0000"]}, {"history": 0.0}),
        ({"liked": ["item-0000"], "text": "red shoe"}, {"liked": 0.0, "query": 0.0}),
    ],
)
def test_that_leave_out_all_that_is_asked_are_named(
    sample: itemlens.Client, side: dict[str, Any], zero: dict[str, float]
) -> None:
    for call in (
        lambda: sample.recommend(source_weights=SourceWeights(**zero), **side),
        lambda: sample.explain(["item-0001"], source_weights=SourceWeights(**zero), **side),
    ):
        with pytest.raises(itemlens.InvalidArgument, match="leaves out all") as error:
            call()
        assert [v.field for v in error.value.violations] == ["user.source_weights"]
        assert all(name in error.value.message for name in zero)


def test_that_let_nothing_count_leave_the_prior(sample: itemlens.Client) -> None:
    answer = sample.recommend(text="red shoe", channel_weights=channels(weight=0.0), k=5, parts=True)
    assert len(answer) == 5
    for item in answer:
        assert {str(part.kind.name) for part in item.parts} <= {
            "NORMALISATION",
            "BASELINE",
            "POPULARITY",
            "NEWNESS",
        }
