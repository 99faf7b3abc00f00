"""Rows of equal content share a code, and others do not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion import equal_contents
from itemlens_server.fusion.caps import FREE
from itemlens_server.fusion.equal_contents import EqualContents, keys
from itemlens_server.fusion.head import unit
from itemlens_server.fusion.rows import Array, Ints, View

WIDTH = 32
ROUNDING = 1e-7


def view(h: Array, first: int = 0) -> View:
    """first: label of the first row."""
    count = len(h)
    ids = [f"i{n}" for n in range(count)]
    return View(np.arange(first, first + count), h, np.ones(count, np.bool_), ids, count)


def vectors(count: int) -> Array:
    return unit(np.random.default_rng(1).standard_normal((count, WIDTH)).astype(np.float32))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(0, 99))
def test_two_rows_share_a_code_if_their_contents_are_equal(contents: list[int], seed: int) -> None:
    noise = np.random.default_rng(seed).uniform(-ROUNDING, ROUNDING, (len(contents), WIDTH))
    h = vectors(6)[contents] + np.asarray(noise, np.float32)
    codes = EqualContents().codes(view(h))
    expected = np.asarray(contents)
    assert np.array_equal(codes[:, None] == codes, expected[:, None] == expected)


@pytest.mark.parametrize("distance", [0.02, 0.1])
def test_rows_that_are_nearly_equal_differ(distance: float) -> None:
    h = vectors(500)
    normal = np.asarray(np.random.default_rng(2).standard_normal(h.shape), np.float32)
    away = unit(normal) * np.float32(distance)
    codes = EqualContents().codes(view(np.concatenate([h, h + away])))
    assert len(np.unique(codes)) == 1000


def test_rows_without_content_are_equal_to_none() -> None:
    h = np.concatenate([np.zeros((2, WIDTH), np.float32), vectors(2)])
    codes = EqualContents().codes(view(h))
    assert codes.tolist()[:2] == [FREE, FREE] and FREE not in codes[2:]


def test_codes_follow_rows_that_are_added_and_dropped() -> None:
    """A view of before has its codes, too."""
    own, h = EqualContents(), vectors(6)[[0, 1, 0, 2, 1, 3]]
    whole = view(h)
    first = replace(whole, labels=whole.labels[:3], h=h[:3])
    early = own.codes(first)
    later = own.codes(whole)
    assert early.tolist() == later[:3].tolist() == own.codes(first).tolist()
    assert later[1] == later[4] and len(set(later.tolist())) == 4
    compacted = own.codes(view(h[2:], 2))
    assert len(compacted) == 4 and len(set(compacted.tolist())) == 4
    assert own.codes(whole).tolist() == later.tolist()


def test_each_row_is_looked_at_once_whatever_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def look(h: Array, rows: Ints) -> Ints:
        looks.extend(rows.tolist())
        return keys(h, rows)

    monkeypatch.setattr(equal_contents, "keys", look)
    own, h = EqualContents(), vectors(8)
    whole = view(h)
    own.codes(replace(whole, labels=whole.labels[:6], h=h[:6]))
    assert own.follow(whole) and not own.follow(whole)
    own.codes(view(h[3:], 3))
    own.codes(replace(whole, labels=whole.labels[3:], h=h[3:], item_ids=whole.item_ids[3:]))
    assert looks == list(range(8))


def test_threads_that_ask_at_once_get_the_same_codes() -> None:
    own, whole = EqualContents(), view(vectors(500)[np.arange(2000) % 500])
    views = [replace(whole, labels=whole.labels[:n], h=whole.h[:n]) for n in range(100, 2001, 100)]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(own.codes, views * 3))
    for codes in found:
        assert codes.tolist() == (np.arange(len(codes)) % 500).tolist()


def test_no_rows() -> None:
    assert EqualContents().codes(view(vectors(0))).tolist() == []
