"""Ids of recommendations: the server knows its own, and nobody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.errors import InvalidArgument
from itemlens_server.services.recommendation_ids import RecommendationIds

IDS = RecommendationIds(b"a key of the store")
TIMES = st.floats(0, 2**38)
COLLECTIONS = st.integers(1, 2**62)


@given(COLLECTIONS, TIMES)
def test_one_that_was_made_here_is_known_of_its_collection_alone(collection: int, seconds: float) -> None:
    made = IDS.make(collection, seconds)
    assert IDS.is_ours(made, collection) and not IDS.is_ours(made, collection + 1)
    assert RecommendationIds(IDS.key).is_ours(made, collection)
    assert not RecommendationIds(b"another key").is_ours(made, collection)


@given(st.integers(0, 39), st.sampled_from("0123456789abcdef"))
def test_one_with_another_digit_is_not_known(place: int, digit: str) -> None:
    made = IDS.make(1, 1.7e9)
    changed = made[:place] + digit + made[place + 1 :]
    assert IDS.is_ours(changed, 1) == (changed == made)


@given(st.text())
def test_any_other_text_is_refused_by_name(text: str) -> None:
    if text:
        with pytest.raises(InvalidArgument, match="send the id that Recommend returned") as refused:
            IDS.check(text, 1)
        assert refused.value.field == "recommendation_id"


def test_none_at_all_is_right() -> None:
    IDS.check("", 1)


@given(TIMES, TIMES)
def test_they_sort_by_time_and_tell_it(a: float, b: float) -> None:
    early, late = sorted((a, b))
    first, last = IDS.make(1, early), IDS.make(1, late)
    assert first[:12] <= last[:12]
    assert abs(RecommendationIds.seconds(first) - early) < 0.0011


def test_two_are_never_equal() -> None:
    assert len({IDS.make(1, 5.0) for _ in range(1000)}) == 1000
