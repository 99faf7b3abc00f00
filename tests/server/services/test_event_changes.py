"""Events as shops have them: own types, orders, mistaken times, deletion one by one, users that are merged."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from itemlens_server.errors import AlreadyExists, InvalidArgument, NotFound
from itemlens_server.services import QueryRequest, WriteOutcome
from itemlens_server.services.events import meaning
from itemlens_server.storage.collection_settings import CollectionSettings, OwnType
from itemlens_server.storage.records import EventRecord
from support.live import Live

VIEW, PURCHASE, DISLIKE, OWN = 2, 5, 7, 8
RATING = OwnType("rating", 1.0, 4.0, 2.0)
TYPES = CollectionSettings((OwnType("wishlist", 0.6), RATING))


def event(number: int, user: str, item: str, kind: int = PURCHASE) -> EventRecord:
    return EventRecord(f"e{number}", user, item, kind, 1000.0 + number)


@pytest.fixture
def shop(live: Live) -> Live:
    """Three items, and own types of events."""
    for item_id in ("boots", "tent", "kettle"):
        live.put(item_id, item_id)
    live.catalogue.configure("default", TYPES)
    while live.catalogue.maintain():
        pass
    return live


def record(shop: Live, *events: EventRecord) -> list[WriteOutcome]:
    return shop.catalogue.record("", events)[0]


def takers(shop: Live) -> dict[str, int]:
    """Number of users who took each item, by the live counts."""
    assert shop.collection.event_tables.counts is not None
    counts = shop.collection.event_tables.counts.current
    assert counts is not None
    counted = counts.counted()
    return {item_id: n for item_id, n in zip(counted.item_ids, counted.takers.tolist(), strict=True) if n}


class TestOwnTypes:
    def stored(self, own_type: str, value: float | None = None) -> int:
        settings = CollectionSettings().replaced_by(TYPES)
        return meaning(EventRecord("e", "u", "i", OWN, 0.0, value=value, own_type=own_type), settings)

    def test_have_numbers_of_their_own(self) -> None:
        assert self.stored("wishlist") == 16
        assert self.stored("rating", 5.0) == 17

    def test_mean_what_their_value_says(self) -> None:
        assert [self.stored("rating", value) for value in (2.0, 3.0, 4.0)] == [DISLIKE, OWN, 17]

    def test_that_nobody_defined_are_refused(self) -> None:
        with pytest.raises(InvalidArgument, match="there are: rating, wishlist") as error:
            self.stored("wish")
        assert error.value.field == "own_type"

    def test_with_thresholds_need_a_value(self) -> None:
        with pytest.raises(InvalidArgument, match="needs a value") as error:
            self.stored("rating")
        assert error.value.field == "value"

    def test_keep_their_numbers_for_good(self) -> None:
        first = CollectionSettings().replaced_by(TYPES)
        fewer = first.replaced_by(CollectionSettings((RATING,)))
        again = fewer.replaced_by(CollectionSettings((OwnType("wishlist", 0.1), OwnType("rating", 0.5))))
        assert [(own.name, own.number) for own in again.event_types] == [("wishlist", 18), ("rating", 17)]
        assert CollectionSettings.parse(again.dump()) == again

    def test_count_as_they_are_weighted(self, shop: Live) -> None:
        wish = replace(event(1, "u", "boots", OWN), own_type="wishlist")
        bad, good, fair = (
            replace(event(n, "u", item, OWN), own_type="rating", value=value)
            for n, item, value in ((2, "tent", 1.0), (3, "kettle", 5.0), (4, "pan", 3.0))
        )
        assert all(outcome.error is None for outcome in record(shop, wish, bad, good, fair))
        assert takers(shop) == {"boots": 1, "kettle": 1}
        shop.catalogue.configure("default", CollectionSettings((RATING,)))
        while shop.catalogue.maintain():
            pass
        assert takers(shop) == {"kettle": 1}

    def test_of_another_weight_are_not_counted_again(self, shop: Live) -> None:
        record(shop, replace(event(1, "u", "boots", OWN), own_type="wishlist"))
        counts = shop.collection.event_tables.counts
        shop.catalogue.configure("default", CollectionSettings((OwnType("wishlist", 0.7), RATING)))
        assert shop.collection.event_tables.counts is counts and takers(shop) == {"boots": 1}
        assert shop.collection.type_weights[16] == 0.7

    def test_sent_again_are_known_even_if_the_type_changed_meanwhile(self, shop: Live) -> None:
        rated = replace(event(1, "u", "boots", OWN), own_type="rating", value=3.0)
        record(shop, rated)
        shop.catalogue.configure("default", CollectionSettings((replace(RATING, liked_from=3.0),)))
        [again] = record(shop, rated)
        assert [warning.reason for warning in again.warnings] == ["DUPLICATE_EVENT"]
        [other] = record(shop, replace(rated, value=4.0))
        assert isinstance(other.error, AlreadyExists)

    def test_are_refused_with_the_field(self, shop: Live) -> None:
        for wrong, field in (
            (OwnType("Wish", 1.0), "name"), (OwnType("w", -1.0), "weight"), (OwnType("w", float("nan")), "weight"),
            (OwnType("w", 1.0, float("inf")), "liked_from"), (OwnType("w", 1.0, 2.0, 2.0), "disliked_to"),
        ):  # fmt: skip
            with pytest.raises(InvalidArgument) as error:
                shop.catalogue.configure("default", CollectionSettings((wrong,)))
            assert error.value.field == f"settings.event_types[0].{field}"
        with pytest.raises(InvalidArgument, match="occurs twice"):
            shop.catalogue.configure("default", CollectionSettings((RATING, RATING)))
        with pytest.raises(InvalidArgument, match="limit is 100"):
            shop.catalogue.configure("default", CollectionSettings((RATING,) * 101))


class TestMistakenTimes:
    def test_an_event_of_the_future_is_held_back_with_a_warning(self, shop: Live) -> None:
        [outcome] = record(shop, replace(event(1, "u", "boots"), time=time.time() + 2 * 86_400))
        assert outcome.error is None
        assert [(w.reason, w.field) for w in outcome.warnings] == [("FUTURE_TIME", "time")]
        assert takers(shop) == {}
        [(_, stored)] = shop.catalogue.event_changes.page(shop.collection, "u", 0, 9)
        assert stored.held

    def test_a_clock_that_is_hours_ahead_is_believed(self, shop: Live) -> None:
        [outcome] = record(shop, replace(event(1, "u", "boots"), time=time.time() + 80_000))
        assert not outcome.warnings
        assert takers(shop) == {"boots": 1}

    def test_a_held_event_is_recorded_again_after_its_deletion(self, shop: Live) -> None:
        record(shop, replace(event(1, "u", "boots"), time=4e9))
        [again] = record(shop, event(1, "u", "boots"))
        assert [warning.reason for warning in again.warnings] == ["DUPLICATE_EVENT"]
        shop.catalogue.event_changes.delete(shop.collection, ["e1"])
        record(shop, event(1, "u", "boots"))
        assert takers(shop) == {"boots": 1}


class TestDeletedEvents:
    def test_teach_nothing_any_more(self, shop: Live) -> None:
        record(shop, event(1, "u", "boots"), event(2, "u", "tent"), event(3, "v", "boots"))
        outcomes, sequence = shop.catalogue.event_changes.delete(shop.collection, ["e1", "e9"])
        assert outcomes[0].error is None and isinstance(outcomes[1].error, NotFound)
        assert takers(shop) == {"boots": 1, "tent": 1}
        assert sequence == shop.store.reader().sequence(shop.collection.record.id)
        [history] = shop.catalogue.reads.history(shop.collection, "u", 9)
        assert history.item_id == "tent"

    def test_are_forgotten_by_users_that_are_known(self, shop: Live) -> None:
        record(shop, event(1, "u", "boots"), event(2, "u", "tent"))
        seen = {item.item_id for item in shop.ask(QueryRequest(user_id="u")).items}
        assert seen == {"kettle"}
        shop.catalogue.event_changes.delete(shop.collection, ["e1"])
        seen = {item.item_id for item in shop.ask(QueryRequest(user_id="u")).items}
        assert seen == {"kettle", "boots"}

    def test_are_in_no_table_while_the_events_are_counted_again(self, shop: Live) -> None:
        for start in range(0, 120, 2):
            record(shop, event(start, f"u{start}", "boots"), event(start + 1, f"u{start}", "tent"))
        while shop.catalogue.maintain():
            pass
        assert shop.collection.snapshot().tables is not None
        shop.catalogue.configure("default", CollectionSettings((OwnType("wishlist", 0.1),)))  # a look now
        assert shop.collection.snapshot().tables is not None
        shop.delete_user("u0")
        assert shop.collection.snapshot().tables is None
        while shop.catalogue.maintain():
            pass
        assert shop.collection.snapshot().tables is not None
        assert takers(shop) == {"boots": 59, "tent": 59}


class TestMergedUsers:
    def test_are_one_user(self, shop: Live) -> None:
        record(shop, event(1, "visitor", "boots"), event(2, "u", "boots"), event(3, "visitor", "tent"))
        assert takers(shop) == {"boots": 2, "tent": 1}
        assert shop.catalogue.event_changes.merge([shop.collection], "visitor", "u") == 2
        assert takers(shop) == {"boots": 1, "tent": 1}
        assert [i.item_id for i in shop.catalogue.reads.history(shop.collection, "u", 9)] == [
            "boots",
            "boots",
            "tent",
        ]

    def test_can_be_merged_in_both_directions(self, shop: Live) -> None:
        record(shop, event(1, "a", "boots"), event(2, "b", "tent"))
        merge = shop.catalogue.event_changes.merge
        assert [merge([shop.collection], *users) for users in (("a", "b"), ("b", "a"), ("b", "a"))] == [
            1,
            2,
            0,
        ]
        assert takers(shop) == {"boots": 1, "tent": 1}

    def test_must_be_two(self, shop: Live) -> None:
        for users, field in (
            (("", "u"), "from_user_id"),
            (("u", ""), "into_user_id"),
            (("u", "u"), "into_user_id"),
        ):
            with pytest.raises(InvalidArgument) as error:
                shop.catalogue.event_changes.merge([shop.collection], *users)
            assert error.value.field == field


class TestHistories:
    def test_impressions_and_views_push_nothing_out(self, shop: Live) -> None:
        shop.catalogue.record("", [event(1, "u", "boots")])
        for start in range(2, 3002, 1000):
            shop.catalogue.record(
                "", [event(n, "u", f"i{n}", VIEW if n % 2 else 1) for n in range(start, start + 1000)]
            )
        history = shop.catalogue.reads.history(shop.collection, "u", 50)
        assert len(history) == 51
        assert history[0].item_id == "boots"
        assert {interaction.type for interaction in history[1:]} == {VIEW}
