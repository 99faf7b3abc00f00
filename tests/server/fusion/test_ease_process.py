"""EASE in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from itemlens_server.fusion import ease, ease_process

ITEMS = 50


@pytest.fixture(autouse=True)
def always_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease_process, "WORTH_A_PROCESS", 0)


def gram() -> ease.Dense:
    x = sparse.random_array((200, ITEMS), density=0.1, rng=np.random.default_rng(0), format="csr")
    x.data[:] = 1
    return ease.gram_of(sparse.csr_matrix(x))


def test_the_table_is_the_one_of_this_process() -> None:
    expected = ease.of_gram(gram(), 10.0, kept=7)
    table = ease_process.of_gram(ITEMS, gram, 10.0, kept=7)
    np.testing.assert_array_equal(table.toarray(), expected.toarray())
    assert table.dtype == expected.dtype and table.nnz == expected.nnz


def test_a_matrix_that_cannot_be_inverted_is_refused() -> None:
    with pytest.raises(ValueError, match="lambda"):
        ease_process.of_gram(ITEMS, gram, -1e6)


def test_a_few_items_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease_process, "WORTH_A_PROCESS", ITEMS + 1)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert ease_process.of_gram(ITEMS, gram, 10.0).shape == (ITEMS, ITEMS)


@pytest.mark.parametrize("program", ["", "import sys; sys.stdin.buffer.read(); print('{\"data\": 5}')"])
def test_a_process_that_ends_is_an_error_that_says_how(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    def started(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return real([sys.executable, "-c", program], **options)

    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", started)
    with pytest.raises(RuntimeError, match="ended with 0"):
        ease_process.of_gram(ITEMS, gram, 10.0)


def test_an_error_while_the_matrix_is_made_ends_the_process() -> None:
    def failing() -> ease.Dense:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        ease_process.of_gram(ITEMS, failing, 10.0)
