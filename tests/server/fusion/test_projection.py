"""mu and P: the raw cosine, whitening, and the way between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.channel_data import ChannelData
from itemlens_server.fusion.head import Array, unit
from itemlens_server.fusion.projection import FLAGS, MAX_DIMENSION, Directions, Recipe, equal_widths

DIMS = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 1024), min_size=1, max_size=6)
SD = np.array([8.0, 4.0, 2.0, 1.0, 0.5, 0.25])


def directions(vectors: Array, owners: np.ndarray | None = None) -> Directions:
    owners = np.arange(len(vectors)) if owners is None else owners
    return Directions("c", ChannelData(vectors, owners), int(owners.max(initial=-1)) + 1)


def spread(count: int = 20_000) -> Array:
    """Vectors whose deviations along hidden axes are SD."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    return np.asarray((rng.standard_normal((count, 6)) * SD) @ axes.T, np.float32)


def test_without_mean_exponent_and_reduction_it_is_the_raw_cosine() -> None:
    vectors = spread(50) + 3
    e = unit(directions(vectors).channel(Recipe(), 6).project(vectors))
    np.testing.assert_allclose(e @ e.T, unit(vectors) @ unit(vectors).T, atol=1e-5)


def test_directions_that_no_item_needs_cost_nothing() -> None:
    # 40 items of 100 dimensions span 40 directions at most: that many give the order of the raw cosine.
    rng = np.random.default_rng(1)
    vectors, queries = (rng.standard_normal((n, 100)).astype(np.float32) for n in (40, 7))
    channel = directions(vectors).channel(Recipe(), 40)
    scores = unit(channel.project(queries)) @ unit(channel.project(vectors)).T
    np.testing.assert_array_equal(np.argsort(scores, 1), np.argsort(unit(queries) @ unit(vectors).T, 1))


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_the_exponent_divides_by_a_power_of_the_deviation(exponent: float) -> None:
    vectors = spread()
    p = directions(vectors).channel(Recipe(exponent=exponent), 6).project(vectors)
    np.testing.assert_allclose(p.std(0), SD ** (1 - exponent), rtol=0.02)


def test_reduction_keeps_the_largest_directions() -> None:
    some = directions(spread())
    assert some.channel(Recipe(), 2).width == 2
    assert some.kept(Recipe(), 2) == pytest.approx((SD[:2] ** 2).sum() / (SD**2).sum(), abs=0.01)


def test_an_item_with_many_pictures_counts_once_in_the_mean() -> None:
    vectors = np.array([[0, 1], [0, 1], [0, 1], [4, 0]], np.float32)
    some = directions(vectors, np.array([0, 0, 0, 1]))
    assert some.channel(Recipe(centred=True), 2).mean.tolist() == [2.0, 0.5]
    assert some.channel(Recipe(), 2).mean.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("vectors", [np.zeros((0, 4)), np.ones((1, 4)), np.ones((9, 4)), np.zeros((3, 4))])
@pytest.mark.parametrize("centred", [False, True])
def test_few_or_equal_vectors_give_finite_arrays(vectors: Array, centred: bool) -> None:
    channel = directions(vectors.astype(np.float32)).channel(Recipe(centred, 1.0), 3)
    assert channel.projection is not None and channel.width == 3
    assert np.isfinite(channel.projection).all()


def test_directions_beyond_the_vectors_are_not_blown_up() -> None:
    # Later items may lie in directions that the first ones do not have.
    vectors = spread(4)
    channel = directions(vectors).channel(Recipe(exponent=1.0), 6)
    assert channel.projection is not None
    norms = np.linalg.norm(channel.projection, axis=0)
    assert norms[-1] < 60 * norms[0]


def test_the_same_data_give_the_same_arrays() -> None:
    first, second = (directions(spread(30)).channel(Recipe(True, 0.5), 5).projection for _ in "ab")
    assert first is not None and second is not None
    np.testing.assert_array_equal(first, second)


@given(DIMS)
def test_all_blocks_with_their_flags_fit_into_512_numbers(dims: dict[str, int]) -> None:
    widths = equal_widths(dims)
    assert list(widths) == list(dims)
    assert sum(widths.values()) + FLAGS * len(dims) <= MAX_DIMENSION
    assert all(1 <= widths[name] <= dims[name] for name in dims)


@given(DIMS)
def test_no_room_is_wasted_while_a_channel_could_use_it(dims: dict[str, int]) -> None:
    widths = equal_widths(dims)
    left = MAX_DIMENSION - FLAGS * len(dims) - sum(widths.values())
    assert left == 0 or widths == dims


def test_what_a_small_channel_does_not_need_goes_to_the_others() -> None:
    assert equal_widths({"text": 768, "price": 8}) == {"text": 512 - 4 - 8, "price": 8}
    assert equal_widths({"text": 384, "image": 320}) == {"text": 254, "image": 254}
