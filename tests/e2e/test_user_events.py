"""A user's events over gRPC: own types, orders, lists of them, deletion one by one, users that are merged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import itemlens
from itemlens import Event, EventType, OwnEventType
from support.serving import Server
from support.spaces import Tiny

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def test_what_a_shop_does_with_events(tiny: Tiny, tmp_path: Path) -> None:
    rating = OwnEventType(name="rating", weight=0.9, liked_from=4.0, disliked_to=2.0)
    with Server(tiny.models, tmp_path / "data") as server, server.client() as client:
        client.create_collection("default", event_types=[rating])
        client.upsert([itemlens.Item(f"i{n}", text=f"red shoe {n}") for n in range(6)]).raise_for_errors()
        events = [
            Event(
                "visitor", "i0", EventType.PURCHASE, NOW, order_id="o1", quantity=2, value=9.5, event_id="e0"
            ),
            Event(
                "visitor", "i1", EventType.PURCHASE, NOW + timedelta(minutes=5), order_id="o1", event_id="e1"
            ),
            Event("ann", "i2", EventType.OWN, NOW, own_type="rating", value=5.0, event_id="e2"),
            Event("ann", "i3", EventType.OWN, NOW, own_type="rating", value=1.0, event_id="e3"),
            Event("ann", "i4", EventType.VIEW, datetime(2099, 1, 1, tzinfo=UTC), event_id="e4"),
        ]
        results = client.record_events(events)
        results.raise_for_errors()
        assert [w.reason for result in results for w in result.warnings] == ["FUTURE_TIME"]
        [unknown] = client.record_events([Event("ann", "i5", EventType.OWN, own_type="wish")])
        assert isinstance(unknown.error, itemlens.InvalidArgument)

        assert client.merge_users("visitor", "ann") == 2
        stored = list(client.list_events("ann", page_size=2))
        assert [s.event.event_id for s in stored] == ["e0", "e1", "e2", "e3", "e4"]
        assert [s.held_back for s in stored] == [False, False, False, False, True]
        first, second, liked, disliked, _ = (s.event for s in stored)
        assert (first.quantity, first.value, first.order_id) == (2.0, 9.5, "o1")
        assert second.time == first.time == NOW
        assert (liked.type, liked.own_type, disliked.type) == (EventType.OWN, "rating", EventType.OWN)
        assert list(client.list_events("visitor")) == []

        listed = {item.item_id for item in client.recommend(user_id="ann", k=6).items}
        assert listed == {"i4", "i5"}  # what was only to come is not seen
        assert [result.error for result in client.delete_events(["e0"])] == [None]
        assert "i0" in {item.item_id for item in client.recommend(user_id="ann", k=6).items}
        with pytest.raises(itemlens.InvalidArgument):
            client.merge_users("ann", "ann")

        assert client.get_collection().event_types == (rating,)
        assert client.update_collection("default", event_types=[]).event_types == ()
    with Server(tiny.models, tmp_path / "data") as server, server.client() as client:
        assert client.get_collection().event_types == ()
        assert len(list(client.list_events("ann"))) == 4


def test_items_without_events_are_explored_as_the_collection_sets(tiny: Tiny, tmp_path: Path) -> None:
    with Server(tiny.models, tmp_path / "data") as server, server.client() as client:
        client.create_collection("default", exploration=itemlens.Exploration(share=0.5, max_lists=2))
        client.upsert([itemlens.Item(f"i{n:02}", text=f"red shoe {n}") for n in range(40)]).raise_for_errors()
        taken = [Event(f"u{n % 20}", f"i{n % 12:02}", EventType.PURCHASE) for n in range(200)]
        client.record_events(taken).raise_for_errors()
        server.wait_for_log("tables computed")
        answer = client.recommend(user_id="u0", k=8, exclude_seen=False)
        assert sum(item.explored for item in answer) == 4
        assert all(item.item_id >= "i12" for item in answer if item.explored)
        assert client.get_collection().exploration == itemlens.Exploration(share=0.5, max_lists=2)

        own = OwnEventType(name="wish", weight=0.5)
        changed = client.update_collection("default", event_types=[own])
        assert changed.event_types == (own,) and changed.exploration is not None
        changed = client.update_collection("default", exploration=itemlens.Exploration(share=0))
        assert changed.event_types == (own,) and changed.exploration is None
        answer = client.recommend(user_id="u0", k=8, exclude_seen=False)
        assert not any(item.explored for item in answer)
        with pytest.raises(itemlens.InvalidArgument, match="must be 0 to 1"):
            client.update_collection("default", exploration=itemlens.Exploration(share=2))
