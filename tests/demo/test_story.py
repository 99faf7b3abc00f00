"""The demo's answers, without a server."""

from __future__ import annotations

import io

from PIL import Image

from itemlens import Event, EventType
from itemlens_datasets import bundled
from itemlens_demo import prepare, story


def test_each_past_item_once_with_the_furthest_step_newest_first() -> None:
    steps = [("a", "view"), ("a", "purchase"), ("b", "view"), ("b", "click"), ("a", "view")]
    furthest = story._furthest(Event("u", item_id, step) for item_id, step in steps)
    assert list(furthest.items()) == [("a", EventType.PURCHASE), ("b", EventType.CLICK)]


def test_a_change_names_what_came_and_what_went() -> None:
    change = story.Change("Maya", "guitar", ("a", "b", "c"), ("a", "d", "b"))
    assert (change.came, change.went) == (("d",), ("c",))


def test_each_user_gets_answers_in_their_language() -> None:
    users = {user.user_id: user for user in bundled.users(count=3)}
    assert [story.language_of(users[user_id]) for user_id in bundled.SHOWCASE_USERS] == ["en", "zh", "en"]


def test_what_the_story_names_is_in_the_catalogue() -> None:
    items = {item.item_id: item for item in prepare.items()}
    assert story.BOUGHT in items and items[story.PICTURED].picture is not None
    first = bundled.SHOWCASE_USERS[0]
    assert not [
        event for event in prepare.events() if (event.user_id, event.item_id) == (first, story.BOUGHT)
    ]


def test_the_picture_of_the_query_is_not_in_the_catalogue() -> None:
    pictures = {item.item_id: item.picture for item in bundled.items()}
    original = pictures[story.PICTURED]
    assert original
    with Image.open(io.BytesIO(story.mirrored(original))) as image:
        assert image.width < 256 and image.height < 256
