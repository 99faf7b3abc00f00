"""Items without events are tried in lists, within the share and the bound that a collection sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from itemlens_server.engine.repository import ModelRepository
from itemlens_server.errors import InvalidArgument
from itemlens_server.fusion.history import CLICK, Interaction
from itemlens_server.services import CollectionSettings, Exploration, QueryRequest, RecommendResult
from itemlens_server.storage.answers import read
from support.live import Live, contents, sample_catalogue
from support.spaces import Tiny

ASKED = QueryRequest(history=[Interaction("item-0003", CLICK)])
K = 10


@pytest.fixture
def shop(repository: ModelRepository, tiny: Tiny, tmp_path: Path) -> Iterator[Live]:
    """A catalogue in which two thirds of the items have no events."""
    filled = sample_catalogue(repository, tmp_path / "data", tiny.fitted, count=60)
    yield filled
    filled.close()


def explore(shop: Live, share: float, max_lists: int = 1000) -> None:
    shop.catalogue.configure("default", CollectionSettings(exploration=Exploration(share, max_lists)))


def explored(result: RecommendResult) -> list[str]:
    return [item.item_id for item in result.items if item.explored]


def test_without_the_setting_nothing_is_explored(shop: Live) -> None:
    assert explored(shop.ask(ASKED, k=K)) == []


def test_their_share_of_the_places_is_the_one_that_is_set(shop: Live) -> None:
    explore(shop, 0.25)
    answers = [shop.ask(ASKED, k=K) for _ in range(40)]
    counts = [len(explored(answer)) for answer in answers]
    assert set(counts) == {2, 3} and 2.25 <= sum(counts) / 40 <= 2.75


def test_they_have_no_events_and_the_others_keep_their_order(shop: Live) -> None:
    without = [item.item_id for item in shop.ask(ASKED, k=K).items]
    explore(shop, 0.3)
    answer = shop.ask(ASKED, k=K)
    assert len({item.item_id for item in answer.items}) == len(answer.items) == K
    new = explored(answer)
    assert len(new) == 3 and not set(new) & set(shop.tables.item_ids)
    rest = [item.item_id for item in answer.items if not item.explored]
    assert rest == [item_id for item_id in without if item_id not in new][: len(rest)]


def test_their_scores_and_parts_are_those_of_the_query(shop: Live) -> None:
    whole = {item.item_id: item.score for item in shop.ask(ASKED, k=1000).items}
    explore(shop, 0.5)
    for item in shop.ask(ASKED, k=K, with_parts=True, with_reasons=True).items:
        assert item.score == pytest.approx(whole[item.item_id], abs=1e-4)
        assert sum(part.value for part in item.parts) == pytest.approx(item.score, abs=1e-4)


def test_an_item_is_in_as_many_lists_as_are_set(shop: Live) -> None:
    explore(shop, 0.5, max_lists=2)
    lists = Counter(item_id for _ in range(60) for item_id in explored(shop.ask(ASKED, k=K)))
    assert set(lists.values()) == {2}
    assert explored(shop.ask(ASKED, k=K)) == []  # all of them were
    explore(shop, 0.5, max_lists=3)
    assert explored(shop.ask(ASKED, k=K))


def test_the_lists_are_known_after_a_restart(shop: Live, repository: ModelRepository) -> None:
    explore(shop, 0.5, max_lists=1)
    first = {item_id for _ in range(5) for item_id in explored(shop.ask(ASKED, k=K))}
    shop.close()
    again = Live(repository, shop.data, shop.space_id)
    again.take_tables(shop.collection.event_tables.tables)
    try:
        second = {item_id for _ in range(5) for item_id in explored(again.ask(ASKED, k=K))}
    finally:
        again.close()
    assert first and second and not first & second


def test_what_is_explored_is_remembered_with_the_answer(shop: Live) -> None:
    explore(shop, 0.3)
    answer = shop.ask(ASKED, k=K)
    shop.catalogue.answers.forget([])
    [kept] = read(shop.data, shop.collection.record.id)
    assert [kept.item_ids[place] for place in kept.explored] == explored(answer)


@pytest.mark.parametrize(
    "request_",
    [
        QueryRequest(content=contents("red shoe")),
        QueryRequest(liked=["item-0003"]),
        QueryRequest(history=ASKED.history, content=contents("red shoe")),
    ],
)
def test_searches_are_not_explored(shop: Live, request_: QueryRequest) -> None:
    explore(shop, 1.0)
    assert explored(shop.ask(request_, k=K)) == []


def test_somebody_new_explores_too(shop: Live) -> None:
    explore(shop, 0.5)
    assert len(explored(shop.ask(QueryRequest(user_id="nobody"), k=K))) == 5


def test_what_is_seen_or_no_candidate_is_not_explored(shop: Live) -> None:
    explore(shop, 1.0)
    new = sorted(set(shop.collection.snapshot().view.item_ids) - set(shop.tables.item_ids))
    seen = QueryRequest(history=[*ASKED.history, Interaction(new[0], CLICK)])
    found = explored(shop.ask(seen, k=3, candidates=[*new[:6], "item-0006"]))
    assert len(found) == 3 and set(found) <= set(new[1:6])


def test_without_tables_nobody_knows_what_is_new(shop: Live) -> None:
    explore(shop, 1.0)
    shop.take_tables(None)
    assert explored(shop.ask(ASKED, k=K)) == []


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_wrong_share_is_refused(shop: Live, share: float) -> None:
    with pytest.raises(InvalidArgument, match="must be 0 to 1") as refused:
        explore(shop, share)
    assert refused.value.field == "settings.exploration.share"
