"""What came of answers: which events count, and for which line of the report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.errors import FailedPrecondition, InvalidArgument, NotFound
from itemlens_server.services.intervals import Rate
from itemlens_server.services.outcomes import Outcome, joined, report
from itemlens_server.services.recommendation_ids import KEY, RecommendationIds
from itemlens_server.storage import writes
from itemlens_server.storage.answers import AnswerFile, AnswerRecord
from itemlens_server.storage.records import EventRecord
from itemlens_server.storage.store import Store

IMPRESSION, VIEW, CLICK, CART, PURCHASE, RETURN = range(1, 7)


class Shop:
    """A store with two collections, and answers in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder)
        self.numbers = {
            name: self.store.write(partial(writes.create_collection, name=name, space_id="sp-1")).id
            for name in ("shop", "other")
        }
        self.ids = RecommendationIds(self.store.secret(KEY))
        self.file = AnswerFile(folder, "store")
        self.events = 0

    def answer(
        self,
        user: str = "u",
        surface: str = "home",
        when: str = "2026-03-01 12:00",
        collection: str = "shop",
        explored: tuple[int, ...] = (),
    ) -> str:
        """Remember an answer of a, b, c, and return its id."""
        seconds = datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()
        number = self.numbers[collection]
        answer_id = self.ids.make(number, seconds)
        record = AnswerRecord(
            answer_id,
            number,
            user,
            surface,
            self.ids.seconds(answer_id),
            "sp",
            ("a", "b", "c"),
            (-1.0, -2.0, -3.0),
            explored,
        )
        self.file.write([record])
        return answer_id

    def record(
        self, answer: str, *events: tuple[int, str] | tuple[int, str, float], quantity: float = 1.0
    ) -> None:
        """Record events of (type, item) or (type, item, value)."""
        number = 1
        for kind, item, *value in events:
            self.events += 1
            event = EventRecord(
                f"e{self.events}", "u", item, kind, 5.0, quantity, value[0] if value else None, answer
            )
            self.store.write(partial(writes.record_events, collection=number, events=[event]))

    def line(self, collection: str = "", first: date | None = None, last: date | None = None) -> Outcome:
        [outcome] = report(self.folder, collection, first, last, by=()).outcomes
        return outcome


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.file.close()
    made.store.close()


class TestAnEvent:
    def test_counts_for_the_answer_whose_id_it_carries(self, shop: Shop) -> None:
        first, second = shop.answer("u", "home"), shop.answer("v", "basket")
        shop.record(first, (IMPRESSION, "a"), (IMPRESSION, "b"), (CLICK, "a"), (CLICK, "a"), (CART, "a"))
        shop.record(second, (PURCHASE, "c", 9.5), (VIEW, "b"))
        shop.record("", (PURCHASE, "a", 100.0))
        basket, home = report(shop.folder, by=["surface"]).outcomes
        assert (home.by, basket.by) == ({"surface": "home"}, {"surface": "basket"})
        assert (home.answers, home.impressions, home.clicks, home.carts, home.purchases) == (1, 2, 2, 1, 0)
        assert (basket.views, basket.purchases, basket.revenue) == (1, 1, 9.5)
        assert (home.clicked.value, basket.clicked.value) == (1.0, 0.0)
        assert (home.click_through.value, basket.click_through) == (0.5, Rate())
        assert (home.revenue_per_answer.value, basket.revenue_per_answer.value) == (0.0, 9.5)

    def test_of_an_item_that_was_not_in_the_list_is_counted_apart(self, shop: Shop) -> None:
        shop.record(shop.answer(), (PURCHASE, "z", 50.0), (CLICK, "b"))
        line = shop.line()
        assert (line.purchases, line.revenue, line.clicks, line.other_items) == (0, 0.0, 1, 1)

    def test_of_a_return_takes_its_value_off(self, shop: Shop) -> None:
        answer = shop.answer()
        shop.record(answer, (PURCHASE, "a", 30.0), (PURCHASE, "b", 20.0), (RETURN, "a", 30.0))
        line = shop.line()
        assert (line.purchases, line.returns, line.quantity, line.revenue) == (2, 1, 1.0, 20.0)

    def test_with_a_value_has_that_of_the_whole_event(self, shop: Shop) -> None:
        shop.record(shop.answer(), (PURCHASE, "a", 30.0), quantity=3.0)
        line = shop.line()
        assert (line.purchases, line.quantity, line.revenue) == (1, 3.0, 30.0)

    def test_without_a_value_is_told(self, shop: Shop) -> None:
        shop.record(shop.answer(), (PURCHASE, "a"), (PURCHASE, "b", 1.0))
        assert (shop.line().unpriced, shop.line().revenue) == (1, 1.0)

    def test_that_is_held_back_or_of_an_own_type_does_not_count(self, shop: Shop) -> None:
        answer = shop.answer()
        held = EventRecord("e1", "u", "a", PURCHASE, 5.0, 1.0, 9.0, answer, held=True)
        own = EventRecord("e2", "u", "a", 100, 5.0, 1.0, 9.0, answer, own_type="wishlist")
        shop.store.write(partial(writes.record_events, collection=1, events=[held, own]))
        line = shop.line()
        assert (line.purchases, line.revenue, line.clicked.value, line.other_items) == (0, 0.0, 0.0, 0)

    def test_of_an_answer_that_is_gone_is_told_and_of_an_old_version_is_not(self, shop: Shop) -> None:
        shop.answer()
        gone = shop.ids.make(1, 1.7e9)
        shop.record(gone, (CLICK, "a"), (CLICK, "b"))
        shop.record("0123456789abcdef01234567", (CLICK, "a"))
        found = report(shop.folder, by=())
        assert found.without_answer == 2 and found.outcomes[0].clicks == 0


class TestALine:
    def test_is_for_a_collection_a_surface_and_a_day(self, shop: Shop) -> None:
        shop.answer(surface="home", when="2026-03-01 23:59:59.999")
        shop.answer(surface="home", when="2026-03-02 00:00")
        shop.answer(surface="", when="2026-03-02 00:00", collection="other")
        found = report(shop.folder, by=["day", "collection", "surface"]).outcomes
        assert [tuple(o.by.values()) for o in found] == [
            ("2026-03-01", "shop", "home"), ("2026-03-02", "other", ""), ("2026-03-02", "shop", "home"),
        ]  # fmt: skip
        assert [o.answers for o in report(shop.folder, by=["collection"]).outcomes] == [1, 2]
        assert shop.line(collection="shop").answers == 2

    def test_is_for_what_was_explored_and_for_the_rest(self, shop: Shop) -> None:
        first, second = shop.answer("u", explored=(1,)), shop.answer("v")
        shown = [(IMPRESSION, item) for item in "abc"]
        shop.record(first, *shown, (CLICK, "b"), (PURCHASE, "b", 9.0), (CLICK, "z"))
        shop.record(second, *shown, (CLICK, "a"))
        ranked, explored = report(shop.folder, by=["explored"]).outcomes
        assert (ranked.by, explored.by) == ({"explored": "no"}, {"explored": "yes"})
        assert (explored.answers, explored.impressions, explored.clicks, explored.revenue) == (1, 1, 1, 9.0)
        assert (ranked.answers, ranked.impressions, ranked.clicks, ranked.revenue) == (2, 5, 1, 0.0)
        assert (ranked.other_items, explored.other_items) == (1, 0)
        assert (ranked.click_through.value, explored.click_through.value) == (0.2, 1.0)

    def test_loses_no_event_where_all_items_are_of_one_kind(self, shop: Shop) -> None:
        shop.record(shop.answer(explored=(0, 1, 2)), (CLICK, "a"), (CLICK, "z"))
        [explored] = report(shop.folder, by=["explored"]).outcomes
        assert (explored.by, explored.clicks, explored.other_items) == ({"explored": "yes"}, 1, 1)

    def test_has_the_answers_of_its_days_only(self, shop: Shop) -> None:
        for day in (1, 2, 3, 4):
            shop.record(shop.answer(when=f"2026-03-0{day} 00:00"), (CLICK, "a"))
        line = shop.line(first=date(2026, 3, 2), last=date(2026, 3, 3))
        assert (line.answers, line.clicks) == (2, 2)
        assert shop.line(first=date(2026, 3, 4)).answers == 1
        assert shop.line(last=date(2026, 3, 1)).answers == 1

    def test_counts_users_who_have_a_name(self, shop: Shop) -> None:
        for user in ("u", "u", "v", "", ""):
            shop.answer(user)
        line = shop.line()
        assert (line.answers, line.users) == (5, 2)

    def test_of_one_user_alone_has_no_interval(self, shop: Shop) -> None:
        for _ in range(5):
            shop.record(shop.answer("u"), (CLICK, "a"))
        assert shop.line().clicked == Rate(1.0)
        shop.answer("")
        assert shop.line().clicked.low is not None


def test_wrong_questions_say_what_to_do(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="collection, surface, day"):
        report(shop.folder, by=["week"])
    with pytest.raises(InvalidArgument, match="after the last"):
        report(shop.folder, first=date(2026, 3, 2), last=date(2026, 3, 1))
    with pytest.raises(NotFound, match="there are: other, shop"):
        report(shop.folder, "nope")
    with pytest.raises(FailedPrecondition, match="no store"):
        report(tmp_path / "nothing")


@given(st.lists(st.integers(0, 9), max_size=9, unique=True), st.lists(st.integers(0, 9), max_size=20))
def test_joined_is_each_answer_with_its_events(answers: list[int], events: list[int]) -> None:
    given = [AnswerRecord(str(n), 1, "", "", 0.0, "", (), ()) for n in sorted(answers)]
    recorded = [
        EventRecord(f"e{k}", "u", "i", 3, 0.0, 1.0, None, str(n)) for k, n in enumerate(sorted(events))
    ]
    found = list(joined(given, recorded))
    assert [a for a, _ in found if a is not None] == given
    assert [e for _, own in found for e in own] == recorded
    for answer, own in found:
        ids = {e.recommendation_id for e in own}
        assert ids <= {answer.recommendation_id} if answer else not ids & set(map(str, answers))
