"""The cache of vectors: it keeps the most recently used ones within its size, and counts hits and misses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.engine.cache import OVERHEAD_BYTES, LruCache

ENTRY = 100 + OVERHEAD_BYTES


def test_hits_and_misses_are_counted() -> None:
    cache: LruCache[str] = LruCache(10 * ENTRY)
    assert cache.get("a") is None
    cache.put("a", "A", 100)
    assert cache.get("a") == "A"
    assert (cache.hits, cache.misses) == (1, 1)


def test_the_least_recently_used_value_is_evicted_first() -> None:
    cache: LruCache[str] = LruCache(2 * ENTRY)
    cache.put("a", "A", 100)
    cache.put("b", "B", 100)
    cache.get("a")
    cache.put("c", "C", 100)
    assert [cache.get(key) for key in "abc"] == ["A", None, "C"]


def test_a_value_is_replaced() -> None:
    cache: LruCache[str] = LruCache(10 * ENTRY)
    cache.put("a", "old", 100)
    cache.put("a", "new", 200)
    assert cache.get("a") == "new"
    assert cache.bytes == 200 + OVERHEAD_BYTES


def test_without_bytes_nothing_is_cached() -> None:
    cache: LruCache[str] = LruCache(0)
    cache.put("a", "A", 0)
    assert cache.get("a") is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1000)), max_size=60))
def test_it_never_holds_more_than_its_bytes(puts: list[tuple[int, int]]) -> None:
    cache: LruCache[int] = LruCache(4 * ENTRY)
    sizes: dict[int, int] = {}
    for key, size in puts:
        cache.put(key, size, size)
        sizes[key] = size
        held = [value for k in sizes if (value := cache.get(k)) is not None]
        assert cache.bytes == sum(value + OVERHEAD_BYTES for value in held) <= 4 * ENTRY


def test_values_are_dropped_by_their_keys() -> None:
    cache: LruCache[str] = LruCache(10 * ENTRY)
    for key in ("a", "b", "c"):
        cache.put(key, key.upper(), 100)
    cache.drop_where(lambda key: key != "b")
    assert [cache.get(key) for key in "abc"] == [None, "B", None]
    assert cache.bytes == ENTRY
