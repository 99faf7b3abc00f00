"""Poor data through a real server, before and after `itemlens fit`: every question has a sane answer or a clear error.

tests/server/services/test_fitting.py has the weights that such data give.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

import itemlens
from itemlens import Event, EventType, Item, UserSide
from support import spaces
from support.command import Run
from support.serving import Server, sample_items
from support.spaces import Tiny

START = datetime(2026, 1, 1, tzinfo=UTC)
_numbers = count()


@pytest.fixture(scope="module")
def server(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a separate model repository, since a fit adds to it."""
    folder = tmp_path_factory.mktemp("poor")
    shutil.copytree(tiny.models / tiny.plain, folder / "models" / tiny.plain)
    with Server(folder / "models", folder / "data") as running:
        yield running
        assert running.healthy()
        assert not [line for line in running.log if "internal error" in line or "Traceback" in line]


def items(number: int) -> list[Item]:
    return sample_items(number)


def without_attributes(number: int) -> list[Item]:
    return [
        Item(item.item_id, text=item.text, pictures=list(item.pictures))
        for item in spaces.sample_items(number)
    ]


def equal(number: int) -> list[Item]:
    return [
        Item(
            f"item-{n:04d}",
            text="red shoe",
            picture=spaces.picture("shoe", "red"),
            attributes={"brand": "Alto"},
        )
        for n in range(number)
    ]


def taken(
    users: int,
    each: int,
    number: int,
    *,
    kind: EventType = EventType.PURCHASE,
    apart: timedelta = timedelta(days=2),
    own: bool = False,
) -> list[Event]:
    """Users who take `each` items out of `number`, one after the other. own: each user one item, again and again."""
    return [
        Event(
            f"u{user}",
            f"item-{(user if own else user + 7 * n) % number:04d}",
            kind,
            START + apart * n + (timedelta(seconds=user) if apart else timedelta()),
            event_id=f"{user}-{n}",
        )
        for user in range(users)
        for n in range(each)
    ]


POOR = {
    "one user": (items(40), taken(1, 60, 40)),
    "one item": (items(1), taken(60, 3, 1)),
    "one user and one item": (items(1), taken(1, 3, 1)),
    "two items": (items(2), taken(60, 4, 2)),
    "equal items": (equal(40), taken(60, 6, 40)),
    "no attributes": (without_attributes(40), taken(60, 6, 40)),
    "only views": (items(40), taken(60, 6, 40, kind=EventType.VIEW)),
    "only dislikes": (items(40), taken(60, 6, 40, kind=EventType.DISLIKE)),
    "only impressions": (items(40), taken(60, 6, 40, kind=EventType.IMPRESSION)),
    "one day": (items(40), taken(60, 6, 40, apart=timedelta(minutes=1))),
    "one moment": (items(40), taken(60, 6, 40, apart=timedelta())),
    "the same again and again": (items(40), taken(60, 8, 40, own=True)),
    "everybody took everything": (items(20), taken(60, 20, 20)),
    "events of items that are not there": (items(40), taken(60, 6, 4000)[40:]),
    "all of time": (
        items(40),
        [replace(e, time=datetime(1 + 1990 * n % 9999, 1, 1, tzinfo=UTC)) for n, e in enumerate(taken(60, 6, 40))],
    ),
    "one basket of everything": (items(240), taken(4, 240, 240, apart=timedelta())),
    "a user for each event": (items(40), [replace(e, user_id=f"u{n}") for n, e in enumerate(taken(60, 6, 40))]),
    "only texts": ([Item(f"item-{n:04d}", text=f"shoe {n}") for n in range(40)], taken(60, 6, 40)),
    "only pictures": (
        [Item(i.item_id, pictures=i.pictures) for i in sample_items(80) if i.pictures], taken(60, 6, 80)
    ),
}  # fmt: skip


def sides(item_ids: Sequence[str]) -> Iterable[UserSide]:
    """Every kind of question, and blends of them."""
    first, last = item_ids[0], item_ids[-1]
    picture = spaces.picture("shoe", "red")
    yield UserSide(user_id="u0")
    yield UserSide(user_id="nobody")
    yield UserSide(history=[first, last, first])
    yield UserSide(text="red shoe")
    yield UserSide(picture=picture)
    yield UserSide(text="red shoe", picture=picture)
    yield UserSide(liked=[first])
    yield UserSide(user_id="u0", text="red shoe", liked=[last], disliked=[first])
    yield UserSide(history=[first], disliked=[last, "gone"])


def check_answers(client: itemlens.Client) -> int:
    """Check all answers, and return how many lists there were."""
    item_ids = [entry.item.item_id for entry in client.list_items()]
    answered = 0
    for side in sides(item_ids):
        for exclude_seen in (True, False):
            answer = client.recommend(side, k=10, exclude_seen=exclude_seen, parts=True, reasons=True)
            answered += 1
            assert exclude_seen or len(answer) == min(10, len(item_ids))
            scores = [item.score for item in answer]
            assert all(math.isfinite(score) and score <= 1e-5 for score in scores)
            for item in answer:
                assert item.reason
                assert sum(part.value for part in item.parts) == pytest.approx(item.score, abs=1e-4)
            if scores:
                ids = [item.item_id for item in answer]
                why = client.explain(ids, recommendation_id=answer.recommendation_id)
                why.raise_for_errors()
                assert [explanation.score for explanation in why] == scores
                assert all(abs(explanation.residual) < 1e-4 for explanation in why)
    return answered


@pytest.mark.parametrize("poor", list(POOR))
def test_poor_data_are_answered_before_and_after_a_fit(
    server: Server, run: Run, tmp_path: Path, poor: str
) -> None:
    name = f"poor-{next(_numbers)}"
    catalogue, events = POOR[poor]
    with server.client(collection=name) as client:
        client.create_collection(name)
        client.upsert(catalogue).raise_for_errors()
        client.record_events(events).raise_for_errors()
        assert check_answers(client) == 18
        before = client.get_collection().space_id
        done = run(
            "fit", name, "--models", server.models, "--data", server.data, "--target", server.address,
            "--force", "--html", tmp_path / "fit.html", "--json", tmp_path / "fit.json",
        )  # fmt: skip
        assert done.status == 0 and "Traceback" not in done.said, done.said
        for file in ("fit.html", "fit.json"):
            assert "nan" not in (tmp_path / file).read_text(encoding="utf-8").lower().replace("finance", "")
        assert client.get_collection().space_id != before
        assert check_answers(client) == 18
