"""Answers of a real server: their ids and what is kept of them, through kills and deletions."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import itemlens
from itemlens import Event, EventType
from itemlens_server.services.answers import BATCH_SECONDS
from itemlens_server.storage.answers import AnswerRecord, read
from itemlens_server.storage.store import Store
from support.serving import Server, sample_items
from support.spaces import Tiny


def kept(data: Path) -> dict[str, AnswerRecord]:
    [collection] = Store.read_only(data).collections()
    return {answer.recommendation_id: answer for answer in read(data, collection.id)}


def test_a_kill_costs_at_most_the_last_batch_and_no_id(tiny: Tiny, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(tiny.models, data) as server:
        with server.client() as client:
            client.upsert(sample_items(20)).raise_for_errors()
            asked = [(client.recommend(liked=["item-0001"], k=3, surface="home"), time.monotonic())]
            while asked[-1][1] < asked[0][1] + 3 * BATCH_SECONDS:
                answer = client.recommend(liked=["item-0001"], k=3, surface="home")
                asked.append((answer, time.monotonic()))
        killed = time.monotonic()
        server.kill()
    found = kept(data)
    # One batch waits for its time, and the one before it may still be written.
    assert all(a.recommendation_id in found for a, at in asked if at < killed - 2 * BATCH_SECONDS)
    last = asked[-1][0].recommendation_id
    for answer, _ in asked:
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
