"""The head's ONNX graph gives the h of the formulas for items with no, one or several pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens_server.engine.head_runner import HeadRunner
from itemlens_server.engine.repository import Space
from itemlens_server.fusion import graph
from itemlens_server.fusion.head import Array, Head, unit
from support.heads import random_head

SEEDS = st.integers(0, 2**32 - 1)
Raw = dict[str, list[Array]]


def h_by_hand(head: Head, item: Raw) -> Array:
    """Return h of one item as defined in docs/architecture.md."""
    own = {
        n: unit(np.stack([unit(head.channel(n).project(v)) for v in vs]).sum(0))
        for n, vs in item.items()
        if vs
    }
    h = np.zeros(head.dimension, np.float32)
    for c in head.channels:
        block = head.block(c.name)
        there = [s for s in c.predictors if s in own]
        if c.name in own:
            h[block], h[block.stop] = own[c.name], 1.0
        elif there:
            guess = unit(np.asarray(sum(own[s] @ c.predictors[s] for s in there), np.float32))
            h[block], h[block.stop + 1] = c.imputed_scale * guess, 1.0
    return h


def random_items(rng: np.random.Generator, head: Head, count: int) -> list[Raw]:
    return [
        {
            c.name: [rng.normal(size=len(c.mean)).astype(np.float32) for _ in range(rng.integers(0, 4))]
            for c in head.channels
            if rng.random() < 0.7
        }
        for _ in range(count)
    ]


class DirectSession:
    """Runs the head's graph from memory, on one thread."""

    def __init__(self, head: Head) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        data = graph.build(head).SerializeToString()
        self._session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return list(self._session.run(outputs, inputs))


def fusion(head: Head) -> HeadRunner:
    session: Any = DirectSession(head)
    return HeadRunner(head, session)


@settings(max_examples=40)
@given(SEEDS)
def test_graph_equals_the_formulas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    head = random_head(rng)
    items = random_items(rng, head, 6)
    np.testing.assert_allclose(fusion(head).fuse(items), [h_by_hand(head, i) for i in items], atol=2e-5)


@settings(max_examples=20)
@given(SEEDS)
def test_items_do_not_influence_each_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    head = random_head(rng)
    items = random_items(rng, head, 5)
    fuse = fusion(head).fuse
    np.testing.assert_allclose(fuse(items), np.concatenate([fuse([i]) for i in items]), atol=1e-6)


def test_an_item_with_nothing_is_all_zeros() -> None:
    head = random_head(np.random.default_rng(0))
    np.testing.assert_array_equal(fusion(head).fuse([{}]), np.zeros((1, head.dimension)))


def test_the_order_of_an_items_pictures_does_not_matter(fitted_space: Space) -> None:
    rng = np.random.default_rng(4)
    pictures = [rng.normal(size=24).astype(np.float32) for _ in range(3)]
    in_order, in_reverse = fitted_space.head_runner.fuse([{"image": pictures}, {"image": pictures[::-1]}])
    np.testing.assert_allclose(in_order, in_reverse, atol=1e-6)


@pytest.mark.parametrize("channel", ["text", "image"])
def test_a_space_before_fit_keeps_vectors_as_they_are(plain_space: Space, channel: str) -> None:
    v = np.random.default_rng(2).normal(size=plain_space.encoders[channel].spec.dim).astype(np.float32)
    [h] = plain_space.head_runner.fuse([{channel: [v]}])
    np.testing.assert_allclose(h, h_by_hand(plain_space.head, {channel: [v]}), atol=1e-6)
    np.testing.assert_allclose(h[plain_space.head.block(channel)], unit(v), atol=1e-6)
