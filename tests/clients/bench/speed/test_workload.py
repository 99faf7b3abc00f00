"""The texts of the workload."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from itemlens_bench.speed.workload import TOKENS_A_WORD, Workload, make_texts, read_texts, texts_of, workload
from itemlens_server.engine.manifest import Manifest
from itemlens_server.errors import InvalidArgument
from support.spaces import Tiny


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return make_texts(4096, seed=7)


def test_all_texts_are_distinct(texts: list[str]) -> None:
    assert len(set(texts)) == 4096


def test_the_same_seed_makes_the_same_texts(texts: list[str]) -> None:
    assert make_texts(100, seed=7) == texts[:100]
    assert make_texts(100, seed=8) != texts[:100]


def test_lengths_are_distributed_as_in_a_catalogue(texts: list[str]) -> None:
    tokens = np.array([len(text.split()) for text in texts]) * TOKENS_A_WORD
    assert tokens.mean() == pytest.approx(57, rel=0.1)
    assert np.percentile(tokens, 95) == pytest.approx(148, rel=0.1)
    assert tokens.min() < 10 and tokens.max() > 230


def test_calls_are_whole() -> None:
    five = Workload(["a", "b", "c", "d", "e"], [1] * 5)
    assert five.calls(2) == [["a", "b"], ["c", "d"]]
    assert five.calls(1) == [["a"], ["b"], ["c"], ["d"], ["e"]]


def test_the_tokenizer_of_the_space_counts_the_tokens(tiny: Tiny) -> None:
    directory = tiny.models / tiny.plain
    preprocessing = Manifest.load(directory).encoders["text"].text
    assert preprocessing is not None
    pair = workload(["red shoe", "tea"], directory, preprocessing)
    # [CLS] passage : red shoe [SEP]
    assert list(pair.tokens) == [6, 5]
    assert pair.describe() == "2 distinct texts, tokens: mean 6, p50 5, p95 6, most 6"


def test_texts_can_be_made_of_one_length(tiny: Tiny) -> None:
    directory = tiny.models / tiny.plain
    preprocessing = Manifest.load(directory).encoders["text"].text
    assert preprocessing is not None
    texts = texts_of(12, 5, 7, directory, preprocessing)
    assert list(workload(texts, directory, preprocessing).tokens) == [12] * 5
    with pytest.raises(InvalidArgument, match="must be more than 4"):
        texts_of(2, 5, 7, directory, preprocessing)


def test_texts_can_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("a kettle\n\n  a shoe \na kettle\n", encoding="utf-8")
    assert read_texts(file) == ["a kettle", "a shoe"]


def test_a_file_without_texts_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("\n \n", encoding="utf-8")
    with pytest.raises(InvalidArgument, match="has no text"):
        read_texts(file)
