"""The bundled catalogue: varied items, pictures that can be redrawn, and generated users."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from catalogue_pictures import draw
from itemlens_datasets import bundled
from itemlens_datasets.bundled.catalogue import BundledItem

ITEMS = bundled.items()
BY_ID = {item.item_id: item for item in ITEMS}
EVENTS = bundled.events()
MODELS = [item for item in ITEMS if not item.is_variant]
VARIANTS = [item for item in ITEMS if item.is_variant]
PICTURED = [item for item in MODELS if item.picture is not None]


def pixels(file: bytes) -> np.ndarray:
    with Image.open(BytesIO(file)) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.int16)


def picture_of(item: BundledItem) -> bytes:
    assert item.picture is not None
    return item.picture


class TestItems:
    def test_there_are_at_least_260_with_unique_ids(self) -> None:
        assert len(ITEMS) >= 260
        assert len(BY_ID) == len(ITEMS)

    def test_each_of_the_four_domains_has_at_least_60_in_six_or_more_categories(self) -> None:
        categories = defaultdict(list)
        for item in ITEMS:
            categories[item.domain].append(item.attributes["category"])
        assert set(categories) == {"shop", "travel", "education", "finance"}
        for names in categories.values():
            assert len(names) >= 60
            assert len(set(names)) >= 6

    def test_an_id_begins_with_its_domain(self) -> None:
        assert all(item.item_id.startswith(item.domain + "-") for item in ITEMS)

    def test_about_15_percent_are_in_chinese_in_every_domain(self) -> None:
        chinese = Counter(item.domain for item in ITEMS if item.language == "zh")
        assert {item.language for item in ITEMS} == {"en", "zh"}
        assert 0.12 <= chinese.total() / len(ITEMS) <= 0.20
        assert min(chinese[domain] for domain in ("shop", "travel", "education", "finance")) >= 8

    def test_chinese_items_are_written_in_chinese_and_the_others_are_not(self) -> None:
        for item in ITEMS:
            for text in (item.title, item.description):
                written = any("\u4e00" <= letter <= "\u9fff" for letter in text)
                assert written == (item.language == "zh"), item.item_id

    def test_no_two_titles_or_descriptions_are_the_same(self) -> None:
        assert len({item.title for item in ITEMS}) == len(ITEMS)
        assert len({item.description for item in MODELS}) == len(MODELS)

    def test_every_item_has_a_price_and_flat_attributes(self) -> None:
        for item in ITEMS:
            assert isinstance(item.attributes["price"], float)
            assert all(isinstance(value, str | int | float | bool) for value in item.attributes.values())

    def test_every_relation_points_at_another_item(self) -> None:
        for item in ITEMS:
            for relation in item.relations:
                assert relation.item_id in BY_ID
                assert relation.item_id != item.item_id

    def test_every_item_has_a_relation_and_many_cross_domains(self) -> None:
        assert all(item.relations for item in ITEMS)
        crossing = [
            relation
            for item in ITEMS
            for relation in item.relations
            if BY_ID[relation.item_id].domain != item.domain
        ]
        assert len(crossing) >= 150

    def test_variants_have_the_model_text_and_picture_of_an_item_that_comes_first(self) -> None:
        assert len(VARIANTS) >= 20
        for item in VARIANTS:
            first = BY_ID[str(item.attributes["model"])]
            assert first.attributes["model"] == first.item_id
            assert (item.description, item.picture) == (first.description, first.picture)
            assert item.item_id.startswith(first.item_id)

    def test_some_variants_are_not_in_stock_and_some_have_another_price(self) -> None:
        first_price = {item.item_id: item.attributes["price"] for item in MODELS}
        assert {item.attributes["in_stock"] for item in VARIANTS} == {True, False}
        assert any(
            item.attributes["price"] != first_price[str(item.attributes["model"])] for item in VARIANTS
        )

    def test_every_item_is_in_a_theme_and_every_theme_spans_domains(self) -> None:
        assert set().union(*bundled.THEMES.values()) == {item.item_id for item in MODELS}
        for ids in bundled.THEMES.values():
            assert len({BY_ID[item_id].domain for item_id in ids}) >= 2


class TestPictures:
    def test_at_least_72_items_have_one_in_every_domain_and_some_chinese(self) -> None:
        assert len(PICTURED) >= 72
        assert min(Counter(item.domain for item in PICTURED).values()) >= 15
        assert sum(item.language == "zh" for item in PICTURED) >= 10

    def test_each_is_a_square_of_256_pixels(self) -> None:
        assert {pixels(picture_of(item)).shape for item in PICTURED} == {(256, 256, 3)}

    def test_together_they_stay_below_700_kilobytes(self) -> None:
        assert sum(len(picture_of(item)) for item in PICTURED) < 700_000

    def test_no_two_are_the_same(self) -> None:
        seen = {pixels(picture_of(item)).tobytes() for item in PICTURED}
        assert len(seen) == len(PICTURED)

    def test_the_script_draws_exactly_the_pictures_that_items_have(self) -> None:
        assert set(draw.PICTURES) == {item.item_id for item in PICTURED}

    @pytest.mark.parametrize(
        "item_id", ["shop-espresso-machine", "travel-great-wall-zh", "finance-card-gold"]
    )
    def test_redrawing_gives_the_committed_picture(self, item_id: str) -> None:
        first, second = draw.encode(draw.render(item_id)), draw.encode(draw.render(item_id))
        assert first == second
        # Another release of the WebP encoder may round differently, so the test compares pixels, not bytes.
        difference = np.abs(pixels(first) - pixels(picture_of(BY_ID[item_id])))
        assert difference.mean() < 0.5


class TestUsers:
    def test_the_note_says_that_they_are_not_real(self) -> None:
        assert "not real" in bundled.NOTE

    def test_users_depend_on_the_seed_alone(self) -> None:
        assert bundled.users(7) == bundled.users(7)
        assert bundled.users(7) != bundled.users(8)

    def test_a_smaller_count_gives_the_first_of_them(self) -> None:
        assert bundled.users(count=20) == bundled.users(count=200)[:20]

    def test_each_has_one_to_three_known_themes(self) -> None:
        users = bundled.users()
        assert len({user.user_id for user in users}) == 200
        for user in users:
            assert 1 <= len(user.themes) <= 3
            assert set(user.themes) <= set(bundled.THEMES)

    def test_the_showcase_users_exist_and_differ(self) -> None:
        themes = {user.user_id: set(user.themes) for user in bundled.users()}
        first, second, third = (themes[user_id] for user_id in bundled.SHOWCASE_USERS)
        assert not first & second and not second & third and not first & third

    def test_each_showcase_history_is_long_and_crosses_three_domains(self) -> None:
        for user_id in bundled.SHOWCASE_USERS:
            history = [event for event in EVENTS if event.user_id == user_id]
            assert len(history) >= 24
            assert len({BY_ID[event.item_id].domain for event in history}) >= 3

    def test_one_showcase_user_mostly_takes_chinese_items(self) -> None:
        history = [BY_ID[event.item_id] for event in EVENTS if event.user_id == bundled.SHOWCASE_USERS[1]]
        assert sum(item.language == "zh" for item in history) > len(history) / 2


class TestEvents:
    def test_events_depend_on_the_seed_alone(self) -> None:
        assert bundled.events(7, 30) == bundled.events(7, 30)
        assert bundled.events(7, 30) != bundled.events(8, 30)

    def test_ids_are_unique_and_point_at_users_and_items(self) -> None:
        assert len({event.event_id for event in EVENTS}) == len(EVENTS)
        assert {event.user_id for event in EVENTS} == {user.user_id for user in bundled.users()}
        assert {event.item_id for event in EVENTS} <= set(BY_ID)

    def test_they_come_in_order_of_time_within_about_90_days_before_june_2026(self) -> None:
        times = [event.time_seconds for event in EVENTS]
        end = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
        assert times == sorted(times)
        assert end - 91 * 86400 < times[0] and times[-1] < end

    def test_the_times_of_one_user_are_strictly_increasing_and_ids_follow_them(self) -> None:
        for history in histories().values():
            times = [event.time_seconds for event in history]
            assert all(earlier < later for earlier, later in pairwise(times))
            assert [event.event_id for event in history] == sorted(event.event_id for event in history)

    def test_each_user_has_8_to_40(self) -> None:
        assert all(8 <= len(history) <= 40 for history in histories().values())

    def test_they_thin_out_from_view_to_purchase(self) -> None:
        counts = Counter(event.type for event in EVENTS)
        assert counts["view"] > counts["click"] > counts["cart"] > counts["purchase"] > 0

    def test_the_value_of_a_cart_or_purchase_is_price_times_quantity_and_of_others_zero(self) -> None:
        for event in EVENTS:
            price = float(BY_ID[event.item_id].attributes["price"])
            taken = event.type in ("cart", "purchase")
            assert event.value == pytest.approx(price * event.quantity if taken else 0)

    def test_most_histories_span_two_domains_or_more(self) -> None:
        spans = [len({BY_ID[event.item_id].domain for event in history}) for history in histories().values()]
        assert sum(span >= 2 for span in spans) / len(spans) > 0.8

    def test_related_items_often_follow_what_was_taken(self) -> None:
        followed = taken = 0
        for history in histories().values():
            for i, event in enumerate(history):
                if event.type == "cart":
                    after = {later.item_id for later in history[i + 1 : i + 5]}
                    related = {relation.item_id for relation in BY_ID[event.item_id].relations}
                    taken += 1
                    followed += bool(after & related)
        assert followed / taken > 0.3


def histories() -> dict[str, list[bundled.Event]]:
    by_user: dict[str, list[bundled.Event]] = defaultdict(list)
    for event in EVENTS:
        by_user[event.user_id].append(event)
    return by_user
