"""ONNX Runtime by itself, on the tiny space."""

from __future__ import annotations

import numpy as np
import pytest

from itemlens_bench.speed.raw import Graph, Raw, Setup
from itemlens_server.engine.manifest import Manifest, Precision
from support.spaces import Tiny

TEXTS = ["red shoe", "green tea kettle, light", "island tour with train", "python course", "blue"]


@pytest.fixture(scope="module")
def graph(tiny: Tiny) -> Graph:
    directory = tiny.models / tiny.plain
    return Graph.of(directory, Manifest.load(directory), "text", Precision.FP32)


@pytest.fixture(scope="module")
def raw(graph: Graph) -> Raw:
    return Raw(graph, TEXTS, processors=2, provider="CPUExecutionProvider")


def test_the_set_ups_are_parallel_single_threads_and_one_run_on_all_threads(raw: Raw) -> None:
    setups = raw.setups()
    assert Setup(threads=1, callers=2, batch=1) in setups
    assert Setup(threads=2, callers=1, batch=32) in setups


def test_the_best_set_up_comes_first(raw: Raw) -> None:
    rates = [rate for _, rate in raw.tune(0.01)]
    assert rates == sorted(rates, reverse=True)
    assert len(rates) == len(raw.setups())


@pytest.mark.parametrize("setup", [Setup(1, 2, 1), Setup(2, 1, 4)])
def test_a_run_measures_its_time(raw: Raw, setup: Setup) -> None:
    run = raw.run(setup, first=3, count=20)
    assert run.seconds > 0
    assert run.cpu_seconds >= 0


def test_vectors_are_those_of_the_texts(raw: Raw) -> None:
    vectors = raw.vectors(["red shoe", "tea", "red shoe"])
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors[0], vectors[2])
    assert not np.allclose(vectors[0], vectors[1])


def test_there_is_a_latency_for_each_text(raw: Raw) -> None:
    assert len(raw.latencies(threads=1, first=2, count=7)) == 7
