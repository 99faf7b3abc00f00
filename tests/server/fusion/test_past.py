"""What a user took: baskets, ages, counts and strengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.history import CART, CLICK, DISLIKED, IMPRESSION, PURCHASE, VIEW, Interaction
from itemlens_server.fusion.past import Past
from support.world import TYPE_WEIGHTS

RETURN = 6
EVENTS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 9), st.none() | st.integers(0, 5)), max_size=40
)


def past(*events: tuple[str, int] | tuple[str, int, int | None], most: int = 1000) -> Past:
    return Past.of([Interaction(*event) for event in events], TYPE_WEIGHTS, most)


def by_item(past: Past, values: np.ndarray) -> dict[str, float]:
    return dict(zip(past.item_ids, values.tolist(), strict=True))


def test_what_was_done_weighs_by_its_type() -> None:
    for kind, weight in ((VIEW, 0.2), (CLICK, 0.5), (CART, 0.8), (PURCHASE, 1.0)):
        assert past(("a", kind)).strengths.tolist() == [weight]


def test_impressions_returns_and_dislikes_are_not_taken() -> None:
    assert len(past(("a", IMPRESSION), ("b", RETURN), ("c", DISLIKED), ("d", 99))) == 0


def test_the_newest_item_comes_first() -> None:
    assert past(("old", CLICK), ("new", CLICK)).item_ids == ("new", "old")


def test_age_counts_the_users_baskets() -> None:
    # a and b were taken at one time; events without a time are baskets of their own.
    own = past(("a", CLICK, 1), ("b", CLICK, 1), ("c", CLICK, 9), ("d", CLICK, None), ("e", CLICK, None))
    assert by_item(own, own.ages) == {"a": 3, "b": 3, "c": 2, "d": 1, "e": 0}


def test_an_item_that_comes_again_has_its_latest_age_its_strongest_type_and_a_count() -> None:
    own = past(("a", PURCHASE, 1), ("b", CLICK, 2), ("a", VIEW, 3))
    assert own.item_ids == ("a", "b")
    assert by_item(own, own.ages) == {"a": 0, "b": 1}
    assert by_item(own, own.strengths) == {"a": 1.0, "b": 0.5}
    assert by_item(own, own.counts) == {"a": 2, "b": 1}
    assert by_item(own, own.frequencies) == pytest.approx({"a": 1 + 0.81, "b": 0.9})


def test_twice_in_one_basket_counts_once() -> None:
    own = past(("a", VIEW, 1), ("a", PURCHASE, 1))
    assert (own.counts.tolist(), own.frequencies.tolist(), own.strengths.tolist()) == ([1], [1], [1])


def test_amounts_decay_by_basket() -> None:
    own = past(("old", CLICK), ("newer", CLICK), ("newest", PURCHASE))
    assert by_item(own, own.amounts(0.9)) == pytest.approx({"newest": 1.0, "newer": 0.45, "old": 0.405})
    assert by_item(own, own.amounts(1.0)) == {"newest": 1.0, "newer": 0.5, "old": 0.5}


def test_amounts_of_a_long_history_are_never_0() -> None:
    own = past(("first", CLICK), *[("again", CLICK)] * 9000)
    assert own.ages[1] == 9000 and by_item(own, own.amounts(0.6))["first"] > 0


def test_items_that_count_alike() -> None:
    own = Past.equal(["b", "a", "b"])
    assert (own.item_ids, own.amounts(0.5).tolist()) == (("b", "a"), [1.0, 1.0])


@given(EVENTS, st.integers(1, 5))
def test_whatever_the_history(events: list[tuple[str, int, int | None]], most: int) -> None:
    own = past(*events, most=most)
    wanted = [i for i, t, _ in events if t in TYPE_WEIGHTS]
    assert list(own.item_ids) == list(dict.fromkeys(reversed(wanted)))[:most]
    assert (np.diff(own.ages) >= 0).all() and not own.ages[:1].any()
    assert (own.counts >= 1).all() and (own.frequencies <= own.counts).all()
    whole = past(*events)
    # A shorter past has the same numbers.
    assert by_item(own, own.amounts(0.7)).items() <= by_item(whole, whole.amounts(0.7)).items()
