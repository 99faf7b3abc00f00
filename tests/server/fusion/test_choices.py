"""Choices of users from their events: what was known before each, and what was taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion import choices
from itemlens_server.fusion.choices import HeldOut
from itemlens_server.fusion.event_log import EventLog

DAY = 86_400.0
VIEW, PURCHASE = 2, 5
WEIGHTS = {VIEW: 0.2, PURCHASE: 1.0}
EVENTS = st.lists(
    st.tuples(
        st.sampled_from("uvwx"),
        st.sampled_from("abcdefgh"),
        st.sampled_from([VIEW, PURCHASE]),
        st.integers(0, 40),
    ),
    max_size=60,
).map(lambda events: sorted(((u, i, k, DAY * t) for u, i, k, t in events), key=lambda e: (e[0], e[3])))


def held_out(*events: tuple[str, str, int, float], enough: int = 1, fewest: int = 1) -> HeldOut:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(choices, "ENOUGH_CHOICES", enough)
        patched.setattr(choices, "FEWEST_CHOICES", fewest)
        return HeldOut.of(EventLog.of(events, WEIGHTS))


def days(user: str, *items: str, first: int = 0) -> list[tuple[str, str, int, float]]:
    """One purchase a day."""
    return [(user, item, PURCHASE, DAY * n) for n, item in enumerate(items, first)]


class TestByTime:
    def test_the_last_tenth_are_choices_of_users_with_earlier_events(self) -> None:
        # v comes only in the held-out time.
        own = held_out(*days("u", *"abcdefghijklmnopqrst"), *days("v", "x", first=19))
        assert [(c.chosen, c.past.item_ids[:2]) for c in own.choices()] == [
            (("s",), ("r", "q")),
            (("t",), ("s", "r")),
        ]

    @pytest.mark.parametrize(("enough", "chosen"), [(2, "st"), (3, "qrst"), (5, "opqrst"), (99, "opqrst")])
    def test_where_these_are_too_few_it_is_the_last_fifth_or_third(self, enough: int, chosen: str) -> None:
        own = held_out(*days("u", *"abcdefghijklmnopqrst"), enough=enough)
        assert [c.chosen for c in own.choices()] == [(item,) for item in chosen]

    def test_tables_may_be_computed_from_the_earlier_events_alone(self) -> None:
        own = held_out(*days("u", *"abcdefghijklmnopqrst"))
        assert [own.log.item_ids[i] for i in own.log.take(own.earlier).items] == list("abcdefghijklmnopqr")

    def test_a_choice_is_a_basket(self) -> None:
        basket = [("u", item, PURCHASE, DAY * 30) for item in ("z", "y")]
        *_, choice = held_out(*days("u", *"abcdefghijklmnopqrs"), *basket).choices()
        assert choice.chosen == ("y", "z") and len(choice.past) == 19

    def test_where_purchases_are_recorded_they_are_the_choices(self) -> None:
        views = [("u", f"v{n}", VIEW, DAY * (20 + n)) for n in range(5)]
        own = held_out(*days("u", *"abcdefghijklmnopqrst"), *views, ("u", "z", PURCHASE, DAY * 30))
        [choice] = own.choices()
        assert choice.chosen == ("z",) and choice.past.item_ids[:2] == ("v4", "v3")

    def test_where_purchases_are_few_views_are_choices_too(self) -> None:
        views = [("u", f"v{n}", VIEW, DAY * (20 + n)) for n in range(5)]
        own = held_out(*days("u", *"abcdefghijklmnopqrst"), *views, ("u", "z", PURCHASE, DAY * 30), fewest=2)
        assert [c.chosen for c in own.choices()] == [("v3",), ("v4",), ("z",)]

    @pytest.mark.parametrize(("hours", "known"), [(3, False), (30, True)])
    def test_a_view_just_before_the_purchase_of_the_item_is_not_its_past(
        self, hours: float, known: bool
    ) -> None:
        view = ("u", "z", VIEW, DAY * 30 - 3600 * hours)
        events = [*days("u", *"abcdefghijklmnopqrst"), view, ("u", "z", PURCHASE, DAY * 30)]
        [choice] = [c for c in held_out(*events).choices() if c.chosen == ("z",)]
        assert ("z" in choice.past.item_ids) == known

    def test_there_are_at_most_so_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choices, "MOST_CHOICES", 3)
        events = [e for u in "uvwxyz" for e in days(u, *"abcdefghij")]
        own, again = held_out(*events), held_out(*events)
        assert len(own) == 3 and own.baskets.tolist() == again.baskets.tolist()


class TestByOrder:
    events = tuple(
        (u, i, PURCHASE, float(n))
        for u, items in (("u", "abc"), ("v", "bd"), ("w", "e"))
        for n, i in enumerate(items)
    )

    def test_each_users_last_is_the_choice(self) -> None:
        own = held_out(*self.events)
        assert [(c.chosen, c.past.item_ids) for c in own.choices()] == [
            (("c",), ("b", "a")),
            (("d",), ("b",)),
        ]

    def test_tables_know_everything_else(self) -> None:
        own = held_out(*self.events)
        assert [own.log.item_ids[i] for i in own.log.items[own.earlier]] == ["a", "b", "b", "e"]


def test_of_no_events_there_are_none() -> None:
    own = held_out()
    assert len(own) == 0 and list(own.choices()) == []


@given(EVENTS)
def test_whatever_the_events(events: list[tuple[str, str, int, float]]) -> None:
    own = held_out(*events)
    log = own.log
    assert own.earlier.shape == (len(log),)
    for choice in own.choices():
        assert choice.chosen and len(choice.past) and list(choice.chosen) == sorted(set(choice.chosen))
        name = log.user_ids[choice.user]
        assert set(choice.past.item_ids) | set(choice.chosen) <= {i for u, i, *_ in events if u == name}
    for basket in own.baskets.tolist():  # no table knows a choice
        assert not own.earlier[log.basket_numbers == basket].any()
    assert np.all(np.diff(own.baskets) > 0)
