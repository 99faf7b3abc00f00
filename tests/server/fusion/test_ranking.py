"""Selection of the largest values."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.ranking import top, top_positive

VALUES = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0]), max_size=30)


@given(VALUES, st.integers(0, 35))
def test_the_largest_come_first_and_of_equal_ones_the_first(values: list[float], k: int) -> None:
    expected = sorted(range(len(values)), key=lambda n: (-values[n], n))[:k]
    assert top(np.asarray(values, np.float32), k).tolist() == expected


@given(VALUES, st.integers(0, 35))
def test_candidates_are_those_of_the_largest_that_are_above_zero(values: list[float], depth: int) -> None:
    rows = np.arange(len(values)) * 3 + 1
    expected = [n for n in sorted(range(len(values)), key=lambda n: (-values[n], n))[:depth] if values[n] > 0]
    found = top_positive(np.asarray(values, np.float32), rows, depth)
    assert found.tolist() == sorted(3 * n + 1 for n in expected)
