"""Weights in nats: transforms, states, and the factors that multiply them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.weights import ChannelWeights, ColumnWeights, QuestionWeights, State, Transform
from support.heads import random_weights

SEEDS = st.integers(0, 2**32 - 1)


class TestTransforms:
    def test_by_hand(self) -> None:
        sums = np.asarray([0.0, 1.0, 4.0], np.float32)
        np.testing.assert_array_equal(Transform()(sums), sums)
        np.testing.assert_allclose(Transform("sqrt")(sums), [0, 1, 2])
        np.testing.assert_allclose(Transform("log", 0.5)(sums), np.log([1, 3, 9]), rtol=1e-6)

    @pytest.mark.parametrize("transform", [Transform("sqrt"), Transform("log", 0.1)])
    def test_what_bends_takes_a_negative_sum_as_0(self, transform: Transform) -> None:
        np.testing.assert_array_equal(transform(np.asarray([-3.0], np.float32)), [0.0])

    def test_only_the_identity_is_linear(self) -> None:
        assert [Transform(kind).linear for kind in ("identity", "sqrt", "log")] == [True, False, False]

    def test_are_named_by_their_formula(self) -> None:
        assert [str(t) for t in (Transform(), Transform("log", 0.05))] == ["identity", "log(1 + S / 0.05)"]


class TestColumns:
    weights = ColumnWeights(0.1, 0.2, 0.3, Transform("sqrt"), 0.4)

    def test_have_a_weight_for_each_state(self) -> None:
        by_state = self.weights.by_state
        assert by_state[[State.NEW, State.HAD, State.COLD]].tolist() == pytest.approx([0.1, 0.2, 0.3])

    @pytest.mark.parametrize("state", ["new", "had", "cold"])
    def test_are_used_if_any_weight_is_not_0(self, state: str) -> None:
        own: dict[str, Any] = {state: -0.1}
        assert ColumnWeights(**own).used
        assert not ColumnWeights(neutral=2.0).used

    def test_times_a_factor_keep_transform_and_threshold(self) -> None:
        twice = self.weights.times(2)
        assert (twice.new, twice.had, twice.cold) == (0.2, 0.4, 0.6)
        assert (twice.transform, twice.neutral) == (self.weights.transform, 0.4)


def test_a_channel_has_another_weight_for_items_without_events_only_if_it_was_fitted() -> None:
    assert ChannelWeights(2.0).of(cold=True) == 2.0
    assert ChannelWeights(2.0, cold=3.0).of(cold=True) == 3.0
    assert ChannelWeights(2.0, cold=3.0).of(cold=False) == 2.0


class TestQuestions:
    weights = QuestionWeights(
        {"text": ChannelWeights(2.0, 0.3, 0.1, 4.0)},
        {"BEHAVIOUR": ColumnWeights(1.0), "REPEAT.had": ColumnWeights(had=0.5)},
        {"BEHAVIOUR": 0.8},
    )

    def test_what_is_not_there_has_no_columns_and_does_not_decay(self) -> None:
        assert not self.weights.column("SEQUENCE").used
        assert (self.weights.decay("BEHAVIOUR"), self.weights.decay("SEQUENCE")) == (0.8, 1.0)

    def test_scaled_multiplies_the_named_columns_alone(self) -> None:
        scaled = self.weights.scaled(("BEHAVIOUR", "SEQUENCE"), 3.0)
        assert scaled.column("BEHAVIOUR").new == 3.0
        assert scaled.column("REPEAT.had") == self.weights.column("REPEAT.had")
        assert scaled.channels == self.weights.channels

    def test_times_multiplies_all_weights_and_no_threshold(self) -> None:
        twice = self.weights.times(2.0)
        assert twice.of("text") == ChannelWeights(4.0, 0.3, 0.1, 8.0)
        assert (twice.column("BEHAVIOUR").new, twice.column("REPEAT.had").had) == (2.0, 1.0)

    @given(SEEDS)
    def test_come_back_from_json_as_they_were(self, seed: int) -> None:
        weights = random_weights(np.random.default_rng(seed), ["text", "image"])
        assert QuestionWeights.from_json(json.loads(json.dumps(weights.to_json()))) == weights
