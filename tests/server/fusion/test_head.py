"""h, u and alpha follow the formulas of the module `head`, for heads of any shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.errors import FailedPrecondition
from itemlens_server.fusion.head import UNFITTED, Head, HeadChannel, unit
from itemlens_server.fusion.weights import (
    DISLIKE,
    NEXT,
    ChannelWeights,
    ColumnWeights,
    QuestionWeights,
    search_question,
)
from support.heads import random_head, random_weights

SEEDS = st.integers(0, 2**32 - 1)


def zeros(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.zeros(shape, np.float32)


def test_blocks_lie_side_by_side_with_two_flags_behind_each() -> None:
    head = Head((HeadChannel("a", zeros(5)), HeadChannel("b", zeros(7), zeros(7, 3))))
    assert (head.block("a"), head.block("b")) == (slice(0, 5), slice(7, 10))
    assert head.dimension == 5 + 2 + 3 + 2
    with pytest.raises(KeyError):
        head.block("c")


@given(SEEDS)
def test_score_is_the_sum_over_channels_of_weight_times_cosine_less_threshold(seed: int) -> None:
    # Arrange: an item with each channel present, imputed or absent; a query in some of the channels.
    rng = np.random.default_rng(seed)
    head = random_head(rng)
    h = np.zeros(head.dimension, np.float32)
    e, flag = {}, {}
    for c in head.channels:
        e[c.name], flag[c.name] = unit(rng.normal(size=c.width).astype(np.float32)), int(rng.integers(3))
        if flag[c.name] < 2:
            scale = 1.0 if flag[c.name] == 0 else c.imputed_scale
            h[head.block(c.name)] = scale * e[c.name]
            h[head.block(c.name).stop + flag[c.name]] = 1.0
    q = {
        n: unit(rng.normal(size=head.channel(n).width).astype(np.float32))
        for n in head.names
        if rng.random() < 0.7
    }
    weights = random_weights(rng, head.names)

    for cold in (False, True):
        # Act
        alpha = head.score(h[None], head.query_vector(q, weights, 0.5, cold=cold))[0]

        # Assert
        expected = 0.0
        for name, direction in q.items():
            w, cosine = weights.of(name), float(direction @ e[name])
            if flag[name] == 0:
                expected += 0.5 * w.of(cold) * (cosine - w.threshold)
            elif flag[name] == 1:
                scale = head.channel(name).imputed_scale
                expected += 0.5 * w.of(cold) * (scale * cosine - w.imputed_threshold)
        assert alpha == pytest.approx(expected, abs=1e-5)


@given(SEEDS)
def test_an_items_score_does_not_depend_on_which_items_are_scored_with_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    head = random_head(rng)
    h = rng.normal(size=(17, head.dimension)).astype(np.float32)
    u = rng.normal(size=head.dimension).astype(np.float32)
    together = head.score(h, u)
    assert [head.score(h[n : n + 1], u)[0] for n in range(17)] == together.tolist()


@given(SEEDS)
def test_a_head_comes_back_from_its_file_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    head = random_head(np.random.default_rng(seed))
    path: Path = tmp_path_factory.mktemp("head") / "terms.npz"
    head.save(path)
    again = Head.load(path)
    assert again.names == head.names
    assert (again.questions, again.table_rules) == (head.questions, head.table_rules)
    assert again.fitted == head.fitted
    for old, new in zip(head.channels, again.channels, strict=True):
        np.testing.assert_array_equal(old.mean, new.mean)
        assert (old.projection is None) == (new.projection is None)
        if old.projection is not None and new.projection is not None:
            np.testing.assert_array_equal(old.projection, new.projection)
        assert set(old.predictors) == set(new.predictors)
        for source, w in old.predictors.items():
            np.testing.assert_array_equal(w, new.predictors[source])
        assert old.imputed_scale == new.imputed_scale


def test_a_head_of_an_earlier_version_says_what_to_do(tmp_path: Path) -> None:
    about = {"channels": [], "kinds": {}, "behaviour_lambda": 300.0, "fitted": True}
    np.savez(tmp_path / "terms.npz", about=np.frombuffer(json.dumps(about).encode(), np.uint8))
    with pytest.raises(FailedPrecondition, match="fitted by an earlier version; run `itemlens fit` again"):
        Head.load(tmp_path / "terms.npz")


def test_unit_leaves_zeros_alone() -> None:
    np.testing.assert_array_equal(
        unit(np.array([[0, 0], [3, 4]], np.float32)), np.array([[0, 0], [0.6, 0.8]], np.float32)
    )


class TestQuestions:
    fitted = ChannelWeights(2.0, 0.3, 0.1)
    head = Head(
        (
            HeadChannel("text", zeros(2)),
            HeadChannel("image", zeros(2)),
            HeadChannel("reviews", zeros(2)),
        ),
        {
            "search:text": QuestionWeights({"text": fitted}),
            NEXT: QuestionWeights({"text": fitted}, {"BEHAVIOUR": ColumnWeights(had=0.7)}),
        },
    )

    def test_one_that_was_fitted_has_its_own_weights(self) -> None:
        assert self.head.weights(NEXT).column("BEHAVIOUR").had == 0.7

    def test_a_mix_that_was_not_fitted_takes_each_channels_own_search_weights(self) -> None:
        weights = self.head.weights(search_question({"text": 0, "reviews": 0}))
        assert weights.of("text") == self.fitted
        assert weights.of("reviews") == ChannelWeights()

    def test_any_other_has_the_defaults_and_no_columns(self) -> None:
        weights = self.head.weights("similar")
        assert weights.channels == dict.fromkeys(("text", "image", "reviews"), UNFITTED)
        assert not weights.columns and not weights.choices

    def test_before_a_fit_a_dislike_reaches_only_what_is_much_alike(self) -> None:
        assert self.head.weights(DISLIKE).of("text").threshold > UNFITTED.threshold

    def test_their_names_do_not_depend_on_the_order_of_the_channels(self) -> None:
        assert search_question({"b": 0, "a": 0}) == search_question({"a": 0, "b": 0}) == "search:a+b"

    def test_a_column_is_used_if_any_of_them_uses_it(self) -> None:
        assert self.head.uses("BEHAVIOUR") and not self.head.uses("SEQUENCE")
