"""The choice of P: what pays on held-out questions is taken, all else stays the raw cosine."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.channel_data import ChannelData
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.held_out import Trial, trials
from itemlens_server.fusion.projection_fit import fit_projections

LOUD, QUIET = 4, 40


def catalogue(items: int, noise: float = 6.0, seed: int = 0) -> tuple[Array, Array]:
    """Items that differ in many quiet directions, and questions that are off in a few loud ones."""
    rng = np.random.default_rng(seed)
    sd = np.r_[np.full(LOUD, 10.0), np.full(QUIET, 0.5)]
    vectors = rng.standard_normal((items, LOUD + QUIET)) * sd
    off = rng.standard_normal((items, LOUD + QUIET)) * np.r_[np.full(LOUD, noise), np.full(QUIET, 0.2)]
    return vectors.astype(np.float32), (vectors + off).astype(np.float32)


def asked(data: dict[str, ChannelData], queries: dict[str, Array]) -> list[Trial]:
    items = len(next(iter(queries.values())))
    return trials(data, items, np.arange(items), queries, seed=0)


def channel(vectors: Array) -> ChannelData:
    return ChannelData(vectors, np.arange(len(vectors)))


def test_loud_directions_that_tell_nothing_are_turned_down() -> None:
    vectors, queries = catalogue(600)
    data = {"image": channel(vectors)}
    channels, tried = fit_projections(data, 600, asked(data, {"image": queries}))
    assert any(t.taken and t.what.startswith("p 1") for t in tried)
    projection = channels["image"].projection
    assert projection is not None
    assert np.linalg.norm(projection[:, 0]) < 0.2 * np.linalg.norm(projection[:, -1])


def test_where_nothing_is_gained_it_stays_the_raw_cosine() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, 40)).astype(np.float32)
    data = {"image": channel(vectors)}
    queries = vectors + rng.standard_normal((300, 40)).astype(np.float32)
    channels, tried = fit_projections(data, 300, asked(data, {"image": queries}))
    assert not any(t.taken for t in tried)
    projection = channels["image"].projection
    assert projection is not None
    np.testing.assert_allclose(projection.T @ projection, np.eye(40), atol=1e-5)
    assert not channels["image"].mean.any()


def test_a_gain_that_few_questions_show_is_not_taken() -> None:
    vectors, queries = catalogue(8, noise=1.0)
    data = {"image": channel(vectors)}
    _, tried = fit_projections(data, 8, asked(data, {"image": queries}))
    assert not any(t.taken for t in tried)


def test_a_channel_without_content_gets_nothing() -> None:
    vectors, queries = catalogue(50)
    data = {
        "text": channel(vectors),
        "image": ChannelData(np.zeros((0, 1280), np.float32), np.zeros(0, np.int64)),
    }
    channels, _ = fit_projections(data, 50, asked({"text": data["text"]}, {"text": queries}))
    assert list(channels) == ["text"]
    assert channels["text"].width == LOUD + QUIET


def test_without_questions_it_is_the_raw_cosine() -> None:
    vectors, _ = catalogue(50)
    channels, tried = fit_projections({"text": channel(vectors)}, 50, [])
    assert tried == [] and not channels["text"].mean.any()


def test_numbers_move_to_the_channel_that_needs_them() -> None:
    rng = np.random.default_rng(0)
    # Two directions tell all about the words; the picture's 250 are equally loud.
    words = np.hstack([rng.standard_normal((400, 2)), 1e-3 * rng.standard_normal((400, 248))]).astype(
        np.float32
    )
    pictures = rng.standard_normal((400, 250)).astype(np.float32)
    data = {"text": channel(words), "image": channel(pictures)}
    queries = {
        "text": words + np.float32(0.01) * rng.standard_normal(words.shape).astype(np.float32),
        "image": pictures + np.float32(4) * rng.standard_normal(pictures.shape).astype(np.float32),
    }
    channels, _ = fit_projections(data, 400, asked(data, queries), most=260)
    assert {name: c.width for name, c in channels.items()} == {"text": 64, "image": 192}
