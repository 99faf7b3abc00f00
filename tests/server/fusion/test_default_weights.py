"""Weights without events: nats by the spread of cosines."""

from __future__ import annotations

import numpy as np
import pytest

from itemlens_server.fusion.default_weights import (
    DISLIKE_DEVIATIONS,
    ONLY_POPULARITY,
    PAST_NATS,
    default_questions,
    restated,
    search_priors,
    spreads,
    unfitted,
)
from itemlens_server.fusion.head import Head
from itemlens_server.fusion.prior_columns import ALL, NEWNESS, TREND
from itemlens_server.fusion.weights import ANYONE, DISLIKE, NEXT, SIMILAR, ColumnWeights, QuestionWeights
from support.two_channels import ITEMS, blocks, channels


def test_evidence_is_0_on_average_and_so_many_nats_a_deviation() -> None:
    found = blocks()
    spread = spreads(channels(found, False), found)
    weights = spread["text"].weights(PAST_NATS)
    e = found["text"][0]
    evidence = (weights.weight * (e @ e.T - weights.threshold))[~np.eye(ITEMS, dtype=bool)]
    assert evidence.mean() == pytest.approx(0.0, abs=0.02)
    assert evidence.std() == pytest.approx(PAST_NATS, rel=0.02)


def test_a_dislike_takes_nothing_from_ordinary_items() -> None:
    found = blocks()
    made = channels(found, False)
    dislike = default_questions(made, found, spreads(made, found))[DISLIKE].of("text")
    e = found["text"][0]
    evidence = dislike.weight * (e @ e.T - dislike.threshold)
    assert (evidence > 0).mean() < 0.1
    assert dislike.weight * spreads(made, found)["text"].sd == pytest.approx(PAST_NATS)
    assert DISLIKE_DEVIATIONS > 1


def test_a_search_weighs_so_many_nats_a_deviation() -> None:
    found = blocks()
    spread = spreads(channels(found, False), found)
    priors = search_priors({"text": 1.5, "image": 4.0}, spread)
    for name, nats in (("text", 1.5), ("image", 4.0)):
        assert priors[name].weight * spread[name].sd == pytest.approx(nats)


@pytest.mark.parametrize("kind", ["one item", "equal items", "few items", "one channel"])
def test_degenerate_catalogues_have_finite_weights(kind: str) -> None:
    full = blocks()
    count = {"one item": 1, "few items": 7}.get(kind, ITEMS)
    found = {name: (e[:count], has[:count]) for name, (e, has) in full.items()}
    if kind == "equal items":
        found = {name: (np.repeat(e[:1], ITEMS, axis=0), has) for name, (e, has) in full.items()}
    if kind == "one channel":
        del found["image"]
    made = channels(found, False)
    for weights in default_questions(made, found, spreads(made, found)).values():
        for channel in weights.channels.values():
            assert np.isfinite([channel.weight, channel.threshold, channel.imputed_threshold]).all()
    if kind in ("one item", "equal items"):  # nothing tells the items apart
        assert default_questions(made, found, spreads(made, found))[NEXT].of("text").weight == 0.0


def test_similar_is_next_without_repeats_and_the_prior() -> None:
    columns = {
        "BEHAVIOUR": ColumnWeights(new=2.0, had=-1.0),
        "REPEAT.had": ColumnWeights(had=3.0),
        "POPULARITY.all": ColumnWeights(new=1.0),
    }
    similar = restated(QuestionWeights({}, columns, {"BEHAVIOUR": 0.9}))
    assert similar.columns == {"BEHAVIOUR": ColumnWeights(new=2.0, had=2.0)}
    assert similar.decay("BEHAVIOUR") == 1.0
    assert SIMILAR in default_questions({}, {}, {})


def test_without_a_fit_anyone_takes_what_is_popular_ever_and_lately() -> None:
    """By Laplace's rule, P is in proportion to 1 + takers, where as many took it lately as ever."""
    head = unfitted({"text": 3})
    weights = head.weights(ANYONE)
    assert head.table_rules == ONLY_POPULARITY and not weights.choices
    for takers in (0, 1, 50):
        nats = sum(weights.column(name).new * np.log1p(takers) for name in (ALL, TREND))
        assert np.exp(nats) == pytest.approx(1 + takers)
    assert weights.column(NEWNESS).cold == 0.0  # as nobody's: ln(1 + 0)


def test_without_a_fit_popularity_says_nothing_where_something_is_known_of_the_user() -> None:
    head, plain = unfitted({"text": 3}), Head.identity({"text": 3})
    for question in (NEXT, SIMILAR, DISLIKE, "search:text"):
        assert head.weights(question) == plain.weights(question) and not head.weights(question).columns
