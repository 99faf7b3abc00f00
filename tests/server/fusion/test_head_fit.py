"""The closed-form fit: means and principal directions, widths of channels, and predictors of absent channels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion import fit
from itemlens_server.fusion.fit import ChannelData
from itemlens_server.fusion.head import HeadChannel, unit

DIMS = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 1024), min_size=1, max_size=6)


@given(DIMS)
def test_all_blocks_with_their_flags_fit_into_512_numbers(dims: dict[str, int]) -> None:
    widths = fit.widths(dims)
    assert list(widths) == list(dims)
    assert sum(widths.values()) + 2 * len(dims) <= fit.MAX_DIMENSION
    assert all(1 <= widths[name] <= dims[name] for name in dims)


@given(DIMS)
def test_no_room_is_wasted_while_a_channel_could_use_it(dims: dict[str, int]) -> None:
    widths = fit.widths(dims)
    left = fit.MAX_DIMENSION - 2 * len(dims) - sum(widths.values())
    assert left < len(dims) or widths == dims


def test_what_a_small_channel_does_not_need_goes_to_the_others() -> None:
    assert fit.widths({"text": 768, "price": 8}) == {"text": 512 - 4 - 8, "price": 8}
    assert fit.widths({"text": 384, "image": 320}) == {"text": 254, "image": 254}


class TestProjection:
    def test_keeps_the_plane_that_the_vectors_lie_in(self) -> None:
        # Arrange: 300 vectors in a plane of 10 dimensions, away from the origin.
        rng = np.random.default_rng(0)
        plane, centre = np.linalg.qr(rng.normal(size=(10, 2)))[0], 5 + rng.normal(size=10)
        vectors = (rng.normal(size=(300, 2)) @ plane.T + centre).astype(np.float32)
        # Act
        terms, kept = fit.project("c", ChannelData(vectors, np.arange(300)), 300, 6)
        # Assert
        assert terms.width == 6  # two that they need, and four for later items
        assert kept == pytest.approx(1.0)
        np.testing.assert_allclose(terms.mean, vectors.mean(0), atol=1e-4)
        assert terms.projection is not None
        principal, rest = terms.projection[:, :2], terms.projection[:, 2:]
        np.testing.assert_allclose(principal @ principal.T, plane @ plane.T, atol=1e-3)
        np.testing.assert_allclose(terms.projection.T @ terms.projection, np.eye(6), atol=1e-5)
        np.testing.assert_allclose(plane.T @ rest, 0, atol=1e-3)

    def test_a_channel_without_vectors_keeps_to_its_width(self) -> None:
        terms, kept = fit.project(
            "c", ChannelData(np.zeros((0, 50), np.float32), np.zeros(0, np.int64)), 9, 8
        )
        assert terms.width == 8 and kept == 1.0

    def test_an_item_with_many_pictures_counts_once_in_the_mean(self) -> None:
        vectors = np.concatenate([np.full((90, 3), 9.0), np.full((4, 3), 1.0)]).astype(np.float32)
        owners = np.asarray([0] * 90 + [1, 2, 3, 4])
        terms, _ = fit.project("c", ChannelData(vectors, owners), 5, 3)
        np.testing.assert_allclose(terms.mean, (9 + 4) / 5, rtol=1e-6)

    def test_of_a_handful_of_items_no_mean_is_taken(self) -> None:
        vectors = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
        terms, _ = fit.project("c", ChannelData(vectors, np.arange(4)), 4, 2)
        np.testing.assert_array_equal(terms.mean, np.zeros(6))

    @pytest.mark.parametrize("count", [0, 1])
    def test_a_channel_with_nothing_to_learn_from_stays_as_it_is(self, count: int) -> None:
        vectors = np.ones((count, 4), np.float32)
        terms, _ = fit.project("c", ChannelData(vectors, np.zeros(count, np.int64)), 3, 2)
        np.testing.assert_array_equal(terms.mean, np.zeros(4))

    def test_is_the_same_each_time(self) -> None:
        vectors = np.random.default_rng(3).normal(size=(100, 8)).astype(np.float32)
        first, second = (fit.project("c", ChannelData(vectors, np.arange(100)), 100, 4)[0] for _ in "ab")
        np.testing.assert_array_equal(first.projection, second.projection)


def test_an_items_pictures_become_one_unit_vector() -> None:
    vectors = np.array([[1, 0], [0, 1], [0, 3]], np.float32)
    terms = HeadChannel("c", np.zeros(2, np.float32))
    e, has = fit.item_units(terms, ChannelData(vectors, np.array([0, 0, 2])), 3)
    np.testing.assert_allclose(e, [[0.5**0.5, 0.5**0.5], [0, 0], [0, 1]], atol=1e-6)
    assert has.tolist() == [True, False, True]


class TestPredictor:
    def test_finds_a_planted_linear_map(self) -> None:
        # Arrange: the target block is a rotation of the source block, with a little noise.
        rng = np.random.default_rng(5)
        source = unit(rng.normal(size=(500, 8)).astype(np.float32))
        rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0]
        target = unit((source @ rotation + 0.05 * rng.normal(size=(500, 8))).astype(np.float32))
        # Act
        w = fit.predictor(source[:400], target[:400])
        # Assert: it finds nearly all of 100 unseen items.
        scores = target[400:] @ unit(source[400:] @ w).T
        assert fit.recall(scores.T, np.arange(100), 1).mean() > 0.95

    def test_of_unrelated_blocks_finds_no_more_than_chance(self) -> None:
        rng = np.random.default_rng(6)
        source, target = (unit(rng.normal(size=(1000, 6)).astype(np.float32)) for _ in "ab")
        w = fit.predictor(source[:500], target[:500])
        scores = unit(source[500:] @ w) @ target[500:].T
        assert fit.recall(scores, np.arange(500), 10).mean() < 3 * 10 / 500


class TestRecall:
    def test_counts_what_stands_among_the_first_k(self) -> None:
        scores = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1]], np.float32)
        assert fit.recall(scores, [0, 2], 1).tolist() == [1.0, 0.0]

    def test_shares_out_places_among_equals(self) -> None:
        assert fit.recall(np.zeros((1, 4), np.float32), [2], 1).tolist() == [0.25]
