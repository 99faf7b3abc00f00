"""The demo's answers: recommendations for users, three searches, and one event that changes an answer."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from PIL import Image, ImageOps

from itemlens import Client, Event, EventType, FailedPrecondition, Item
from itemlens_datasets import bundled
from itemlens_datasets.bundled import User
from itemlens_demo.answers import Answer, Language, ask, chinese, title_of

DID = {
    EventType.PURCHASE: "bought",
    EventType.CART: "added to cart",
    EventType.CLICK: "clicked",
    EventType.VIEW: "viewed",
}
"""The steps of a user with an item, the furthest first."""
MODEL = "model"
"""The attribute that colours and sizes of one thing share: lists show one of them."""
LIST_LENGTH = 6
SEARCH_LENGTH = 3
WORDS = ("a present for somebody who plays music", "适合孩子的周末活动")
PICTURED = "shop-espresso-machine"
BOUGHT = "shop-acoustic-guitar"


@dataclass(frozen=True, eq=False)
class Did:
    """A past item and the user's furthest step with it."""

    item: Item
    furthest: EventType


@dataclass(frozen=True, eq=False)
class UserStory:
    """A user's past items and interests, and the recommendations with their reasons."""

    user: User
    did: tuple[Did, ...]
    """Newest first, each item once."""
    interests: tuple[tuple[float, tuple[str, ...]], ...]
    """Weight and titles of the past items of each interest."""
    answer: Answer


@dataclass(frozen=True, eq=False)
class Search:
    """A search by words or by a picture, and what it found."""

    asked: str
    picture: bytes | None
    answer: Answer


@dataclass(frozen=True, eq=False)
class Change:
    """The lists, by titles, before and after one more event."""

    name: str
    bought: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def came(self) -> tuple[str, ...]:
        """What is new in the list."""
        return tuple(title for title in self.after if title not in self.before)

    @property
    def went(self) -> tuple[str, ...]:
        """What is no longer in it."""
        return tuple(title for title in self.before if title not in self.after)


def language_of(user: User) -> Language:
    """Users whose names are written in Chinese read Chinese."""
    return "zh" if chinese(user.name) else "en"


def tell_user(client: Client, user: User, events: Iterable[Event], language: Language) -> UserStory:
    """A user's story; `events` are those of all users, oldest first."""
    furthest = _furthest(event for event in events if event.user_id == user.user_id)
    asked = partial(
        ask, client, user=user.user_id, k=LIST_LENGTH, group_by=MODEL, language=language, pictures=True
    )
    try:
        answer = asked(probabilities=True)
    except FailedPrecondition:  # the space was not fitted to choices
        answer = asked()
    interests = answer.recommendations.interests
    ids = list(dict.fromkeys([*furthest, *(past for interest in interests for past in interest.item_ids)]))
    items = {stored.item.item_id: stored.item for stored in client.get_items(ids, pictures=True)}
    return UserStory(
        user,
        tuple(Did(items[item_id], how) for item_id, how in furthest.items()),
        tuple(
            (interest.weight, tuple(title_of(items[past]) for past in interest.item_ids))
            for interest in interests
        ),
        answer,
    )


def searches(client: Client) -> list[Search]:
    """A search by words in each language, and one by a picture."""
    by_words = [_search(client, words=words) for words in WORDS]
    pictures = {item.item_id: item.picture for item in bundled.items()}
    picture = pictures[PICTURED]
    assert picture is not None
    return [*by_words, _search(client, picture=mirrored(picture))]


def _search(client: Client, *, words: str | None = None, picture: bytes | None = None) -> Search:
    language: Language = "zh" if chinese(words or "") else "en"
    answer = ask(
        client,
        text=words,
        picture=picture,
        k=SEARCH_LENGTH,
        group_by=MODEL,
        language=language,
        pictures=True,
    )
    return Search(words or "this picture, which is not in the catalogue", picture, answer)


def mirrored(picture: bytes) -> bytes:
    """The picture mirrored and cropped, which the catalogue does not hold; as PNG."""
    with Image.open(io.BytesIO(picture)) as opened:
        image = ImageOps.mirror(opened.convert("RGB"))
    margin = image.width // 12
    file = io.BytesIO()
    image.crop((margin, margin, image.width, image.height - margin)).save(file, "PNG")
    return file.getvalue()


def change(client: Client, user: User, events: Iterable[Event]) -> Change:
    """Record one more purchase for a copy of `user`, and compare the lists before and after it.

    The user's own history does not change, so the next demo shows the same answers.
    """
    twin = f"{user.user_id}-twin"
    client.delete_user(twin)  # left by an interrupted run
    try:
        client.record_events(
            replace(event, user_id=twin, event_id=f"twin-{event.event_id}")
            for event in events
            if event.user_id == user.user_id
        ).raise_for_errors()
        before = _titles(client, twin)
        client.record_events([Event(twin, BOUGHT, EventType.PURCHASE)]).raise_for_errors()
        after = _titles(client, twin)
    finally:
        client.delete_user(twin)
    return Change(user.name, title_of(client.get_items([BOUGHT])[0].item), before, after)


def _titles(client: Client, user_id: str) -> tuple[str, ...]:
    answer = ask(client, user=user_id, k=LIST_LENGTH, group_by=MODEL, language="en", why=False)
    return tuple(item.title for item in answer.items)


def _furthest(events: Iterable[Event]) -> dict[str, EventType]:
    """The furthest step with each item, newest item first."""
    steps: dict[str, EventType] = {}
    for event in events:
        step = EventType(event.type)
        before = steps.pop(event.item_id, step)
        steps[event.item_id] = min(step, before, key=list(DID).index)
    return dict(reversed(steps.items()))
