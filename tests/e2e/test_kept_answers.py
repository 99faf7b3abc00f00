"""Answers of a real server: their ids and what is kept of them, through kills and deletions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

import itemlens
from itemlens import Event, EventType
from itemlens_server.services import outcomes
from itemlens_server.storage.answers import AnswerRecord, read
from itemlens_server.storage.store import Store
from support.serving import Server, sample_items
from support.spaces import Tiny
from support.waiting import until


def kept(data: Path) -> dict[str, AnswerRecord]:
    [collection] = Store.read_only(data).collections()
    return {answer.recommendation_id: answer for answer in read(data, collection.id)}


def test_a_kill_costs_at_most_the_last_batch_and_no_id(tiny: Tiny, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(tiny.models, data) as server:
        with server.client() as client:
            client.upsert(sample_items(20)).raise_for_errors()
            asked = [client.recommend(liked=["item-0001"], k=3, surface="home") for _ in range(50)]
            ids = [answer.recommendation_id for answer in asked]
            until(lambda: kept(data).keys() >= set(ids), "what was asked is kept")
            asked += [client.recommend(liked=["item-0001"], k=3, surface="home") for _ in range(50)]
        server.kill()
    found = kept(data)
    ids = [answer.recommendation_id for answer in asked]
    assert len(found) >= 50 and found.keys() == set(ids[: len(found)])
    last = ids[-1]
    for answer in asked:
        if record := found.get(answer.recommendation_id):
            assert record.item_ids == tuple(item.item_id for item in answer.items)
            assert record.surface == "home"
    with Server(tiny.models, data) as server, server.client() as client:
        assert kept(data).keys() >= found.keys()
        events = [Event("u", "item-0002", EventType.CLICK, recommendation_id=last), Event("u", "item-0003")]
        client.record_events(events).raise_for_errors()


class TestAnEvent:
    @pytest.mark.parametrize("how", ["none of ours", "cut", "changed", "other collection"])
    def test_with_a_bogus_id_fails_alone_and_says_why(
        self, client: itemlens.Client, server: Server, how: str
    ) -> None:
        client.upsert(sample_items(5)).raise_for_errors()
        ours = client.recommend(liked=["item-0001"]).recommendation_id
        other = f"{client.get_collection().name[:50]}-other"
        client.create_collection(other, allow_existing=True)
        client.upsert(sample_items(5), collection=other).raise_for_errors()
        bogus = {
            "none of ours": "0123456789abcdef" * 2,
            "cut": ours[:-1],
            "changed": ours[:-1] + ("0" if ours[-1] != "0" else "1"),
            "other collection": client.recommend(liked=["item-0001"], collection=other).recommendation_id,
        }[how]
        written = client.record_events(
            [
                Event("u", "item-0001", recommendation_id=ours),
                Event("u", "item-0002", recommendation_id=bogus),
                Event("u", "item-0003"),
            ]
        )
        assert [result.error is None for result in written] == [True, False, True]
        error = written[1].error
        assert isinstance(error, itemlens.InvalidArgument)
        assert "events[1].recommendation_id" in str(error) and "leave it out" in error.message
        assert client.get_collection().event_count == 2

    def test_of_no_valid_surface_no_list_is_given(self, client: itemlens.Client) -> None:
        client.upsert(sample_items(2)).raise_for_errors()
        with pytest.raises(itemlens.InvalidArgument, match="surface"):
            client.recommend(liked=["item-0001"], surface="Home page")


ANSWERS, USERS, SURFACES = 200, 23, ("home", "basket")
KINDS = (EventType.IMPRESSION, EventType.CLICK, EventType.CART, EventType.PURCHASE, EventType.RETURN)


def made_up(random: Random, answer: itemlens.Recommendations, user: str) -> list[Event]:
    """Events about an answer, some of items that are not in it."""
    items = [*(item.item_id for item in answer), "item-other"]
    return [
        Event(
            user, random.choice(items), random.choice(KINDS), quantity=random.randint(1, 3),
            value=random.choice([None, 2.5, 10.0]), recommendation_id=answer.recommendation_id,
        )
        for _ in range(random.choice([0, 0, 1, 4]))
    ]  # fmt: skip


def by_hand(
    asked: Sequence[tuple[str, itemlens.Recommendations, list[Event]]],
) -> dict[str, float]:
    """The numbers of a line, counted in the plainest way."""
    own = [(e, a) for _, a, events in asked for e in events if e.item_id in {i.item_id for i in a}]
    number = {kind: sum(e.type is kind for e, _ in own) for kind in KINDS}
    clicked = {a.recommendation_id for e, a in own if e.type is EventType.CLICK}
    bought = sum(e.value or 0.0 for e, _ in own if e.type is EventType.PURCHASE)
    returned = sum(e.value or 0.0 for e, _ in own if e.type is EventType.RETURN)
    return {
        "answers": len(asked),
        "users": len({user for user, _, _ in asked}),
        "impressions": number[EventType.IMPRESSION],
        "clicks": number[EventType.CLICK],
        "carts": number[EventType.CART],
        "purchases": number[EventType.PURCHASE],
        "returns": number[EventType.RETURN],
        "revenue": bought - returned,
        "clicked": len(clicked) / len(asked),
        "purchases_per_answer": number[EventType.PURCHASE] / len(asked),
        "revenue_per_answer": (bought - returned) / len(asked),
        "other_items": sum(len(events) for _, _, events in asked) - len(own),
    }


def lines(data: Path) -> Mapping[str, dict[str, float]]:
    """What the report says, by surface."""
    found = outcomes.report(data, by=["surface"])

    def plain(value: Any) -> float:
        return float(getattr(value, "value", value))

    names = by_hand([("u", itemlens.Recommendations("", "", (), (), 0, ()), [])])
    return {o.by["surface"]: {name: plain(getattr(o, name)) for name in names} for o in found.outcomes}


def test_a_report_says_what_is_counted_by_hand(tiny: Tiny, tmp_path: Path) -> None:
    random, data = Random(4), tmp_path / "data"
    asked: dict[str, list[tuple[str, itemlens.Recommendations, list[Event]]]] = {s: [] for s in SURFACES}

    def expected(without: str = "") -> dict[str, Any]:
        return {
            surface: pytest.approx(by_hand([line for line in own if line[0] != without]))
            for surface, own in asked.items()
        }

    with Server(tiny.models, data) as server:
        with server.client() as client:
            client.upsert(sample_items(30)).raise_for_errors()
            client.record_events([Event(f"u{n}", f"item-{n:04d}") for n in range(USERS)]).raise_for_errors()
            for n in range(ANSWERS):
                user, surface = f"u{n % USERS}", random.choice(SURFACES)
                answer = client.recommend(user, k=4, surface=surface)
                events = made_up(random, answer, user)
                if events:
                    forged = Event(user, events[0].item_id, recommendation_id=answer.recommendation_id[::-1])
                    written = client.record_events([*events, forged])
                    assert [r.error is None for r in written] == [True] * len(events) + [False]
                asked[surface].append((user, answer, events))
            until(lambda: lines(data) == expected(), "the report says so beside the server")
            client.delete_user("u3")
            assert lines(data) == expected(without="u3")
        server.kill()
    assert lines(data) == expected(without="u3")
    with Server(tiny.models, data) as server, server.client() as client:
        user, answer, events = asked["home"][-1]
        events.append(
            Event(
                user,
                answer[0].item_id,
                EventType.PURCHASE,
                value=7.0,
                recommendation_id=answer.recommendation_id,
            )
        )
        client.record_events(events[-1:]).raise_for_errors()
        assert lines(data) == expected(without="u3")
        today = datetime.now(UTC).date()
        assert not outcomes.report(data, last=today.replace(year=today.year - 1)).outcomes
        client.delete_collection("default")
        assert lines(data) == {}
