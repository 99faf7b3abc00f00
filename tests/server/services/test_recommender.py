"""The list has the k items with the largest alpha, for any exclusions and queries, with graphs and without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens_server.engine.repository import ModelRepository
from itemlens_server.errors import InvalidArgument, NotFound
from itemlens_server.fusion.head import HISTORY
from itemlens_server.fusion.history import CLICK, Interaction
from itemlens_server.fusion.scoring import bind
from itemlens_server.fusion.terms import Behaviour
from itemlens_server.index.hnsw import HnswIndex
from itemlens_server.services import QueryRequest, RecommendOptions
from itemlens_server.services.recommender import list_size
from support import spaces
from support.live import Live, contents, sample_catalogue
from support.spaces import Tiny

THEME_QUERIES = {
    "shoe": "running shoe",
    "kettle": "steel kettle",
    "tour": "island hotel",
    "course": "数学课程",
}


@pytest.fixture(scope="module")
def large(
    repository: ModelRepository, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Enough items for a search of the graphs; some are replaced, deleted, or not yet in a graph."""
    filled = sample_catalogue(
        repository,
        tmp_path_factory.mktemp("large") / "data",
        tiny.fitted,
        count=400,
        candidates_per_channel=60,
    )
    filled.collection.index.build(filled.collection.snapshot().view)
    filled.catalogue.delete_items(filled.collection, [f"item-{n:04d}" for n in range(0, 400, 9)])
    for n in range(1, 30, 4):
        filled.put(f"item-{n:04d}", "a blue silk dress", [spaces.picture("dress", "blue", n)])
    assert isinstance(filled.collection.index, HnswIndex) and filled.collection.index.graph_rows() >= 400
    yield filled
    filled.close()


@pytest.mark.parametrize("theme", THEME_QUERIES)
def test_words_find_what_they_mean(sample: Live, theme: str) -> None:
    answer = sample.ask(QueryRequest(content=contents(THEME_QUERIES[theme])), k=8)
    themes = {i.item_id: i.theme for i in spaces.sample_items(150)}
    assert [themes.get(i.item_id) for i in answer.items].count(theme) >= 7


def test_a_score_is_the_dot_product_plus_behaviour(sample: Live) -> None:
    answer = sample.ask(
        QueryRequest(history=[Interaction("item-0003", CLICK), Interaction("item-0006", CLICK)]), k=20
    )
    table, weight = sample.collection.item_to_item, sample.collection.space.head.weights(HISTORY).behaviour
    [past] = [term.past for term in bind(answer.asking).terms if isinstance(term, Behaviour)]
    assert table is not None and past
    for item in answer.items:
        expected = float(answer.asking.snapshot.view.h[item.position] @ answer.interests[item.interest].u)
        expected += weight * sum(a * table.entry(j, item.item_id) for j, a in past.items())
        assert item.score == pytest.approx(expected, abs=1e-5)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_the_served_list_is_the_exact_one(large: Live, seed: int) -> None:
    # Arrange: any kind of side, over graphs, fresh rows and deleted ones.
    rng = np.random.default_rng(seed)
    items = [f"item-{n:04d}" for n in rng.permutation(400)[:6]]
    theme, colour = rng.choice(list(spaces.THEMES)), rng.choice(list(spaces.COLOURS))
    text = f"{colour} {rng.choice(spaces.THEMES[theme])}"
    side = [
        QueryRequest(content=contents(text)),
        QueryRequest(content=contents(None, [spaces.picture(theme, colour, seed)])),
        QueryRequest(content=contents(text, [spaces.picture(theme, colour, seed)])),
        QueryRequest(history=[Interaction(i, CLICK) for i in items]),
        QueryRequest(
            history=[Interaction(i, CLICK) for i in items[:2]], content=contents(text), disliked=items[4:]
        ),
    ][seed % 5]
    # Act
    served = large.ask(side, k=10)
    exact = large.ask(side, k=10, exact=True)
    # Assert
    assert [i.item_id for i in served.items] == [i.item_id for i in exact.items]
    assert [i.score for i in served.items] == [i.score for i in exact.items]


def test_the_exact_list_is_that_of_a_scan(large: Live) -> None:
    answer = large.ask(QueryRequest(content=contents("red shoe")), k=25, exact=True)
    snapshot = large.collection.snapshot()
    alpha = bind(replace(answer.asking, snapshot=snapshot)).scores(0, np.flatnonzero(snapshot.view.alive))
    assert [i.score for i in answer.items] == np.sort(alpha)[::-1][:25].tolist()


class TestExclusion:
    side = QueryRequest(
        history=[Interaction("item-0000", CLICK)], liked=("item-0001",), disliked=("item-0002",)
    )

    def test_what_was_seen_is_left_out(self, sample: Live) -> None:
        answer = sample.ask(self.side, k=1000)
        ids = {i.item_id for i in answer.items}
        assert not ids & {"item-0000", "item-0001", "item-0002"}
        assert len(ids) == answer.eligible == 151 - 3

    def test_unless_it_is_asked_for(self, sample: Live) -> None:
        answer = sample.ask(self.side, k=1000, exclude_seen=False)
        assert len(answer.items) == answer.eligible == 151

    def test_a_shown_item_may_be_shown_again(self, sample: Live) -> None:
        answer = sample.ask(
            QueryRequest(history=[Interaction("item-0000", CLICK), Interaction("item-0006", 1)]), k=1000
        )
        assert "item-0006" in {i.item_id for i in answer.items}

    def test_all_that_there_is_may_be_excluded(self, live: Live) -> None:
        live.put("a", "red shoe")
        answer = live.ask(QueryRequest(history=[Interaction("a", CLICK)]), k=10)
        assert (answer.items, answer.eligible) == ((), 0)


class TestCandidates:
    def test_only_they_are_ranked(self, sample: Live) -> None:
        wanted = ["item-0005", "item-0004", "item-0003"]
        answer = sample.ask(QueryRequest(content=contents("red shoe")), candidates=wanted)
        assert {i.item_id for i in answer.items} == set(wanted)
        everyone = {
            i.item_id: i.score for i in sample.ask(QueryRequest(content=contents("red shoe")), k=1000).items
        }
        assert all(i.score == everyone[i.item_id] for i in answer.items)
        assert [i.score for i in answer.items] == sorted((i.score for i in answer.items), reverse=True)

    def test_unknown_ones_are_told(self, sample: Live) -> None:
        answer = sample.ask(QueryRequest(content=contents("red")), candidates=["item-0001", "gone"])
        assert [n.field for n in answer.warnings] == ["candidate_item_ids"]

    def test_none_known_is_not_found(self, sample: Live) -> None:
        with pytest.raises(NotFound) as error:
            sample.ask(QueryRequest(content=contents("red")), candidates=["gone", "lost"])
        assert (error.value.field, error.value.name) == ("candidate_item_ids", "gone")


class TestSize:
    @pytest.mark.parametrize("k", [0, -1, 1001, 10**9])
    def test_out_of_range_is_refused(self, sample: Live, k: int) -> None:
        with pytest.raises(InvalidArgument) as error:
            sample.ask(QueryRequest(content=contents("red")), k=k)
        assert error.value.field == "k"

    def test_more_than_there_is_gives_all(self, sample: Live) -> None:
        assert len(sample.ask(QueryRequest(content=contents("red")), k=1000).items) == 151

    @pytest.mark.parametrize(("fraction", "expected"), [(0.1, 15), (0.001, 1), (1.0, 150), (1 / 3, 50)])
    def test_a_fraction_is_of_what_is_left_rounded_up_at_least_one(
        self, sample: Live, fraction: float, expected: int
    ) -> None:
        side = QueryRequest(history=[Interaction("item-0000", CLICK)])  # 150 are left
        assert len(sample.ask(side, k=None, top_fraction=float(np.float32(fraction))).items) == expected

    @pytest.mark.parametrize(
        ("fraction", "eligible", "expected"),
        [(0.0003, 2_000_000, 600), (0.0001, 5_000_000, 500), (0.1, 100, 10)],
    )
    def test_a_fraction_of_a_large_catalogue_is_exact(
        self, fraction: float, eligible: int, expected: int
    ) -> None:
        wanted = RecommendOptions(k=None, top_fraction=float(np.float32(fraction)))
        assert list_size(wanted, eligible, max_k=1000) == expected

    @pytest.mark.parametrize("fraction", [0.0, -0.5, 1.01, float("nan"), float("inf")])
    def test_a_fraction_out_of_range_is_refused(self, sample: Live, fraction: float) -> None:
        with pytest.raises(InvalidArgument) as error:
            sample.ask(QueryRequest(content=contents("red")), k=None, top_fraction=fraction)
        assert error.value.field == "top_fraction"


def test_interests_take_turns_without_an_item_twice(sample: Live) -> None:
    history = [
        Interaction("item-0000", CLICK),
        Interaction("item-0001", CLICK),
        Interaction("item-0003", CLICK),
    ]
    answer = sample.ask(QueryRequest(history=history), k=30)
    assert len(answer.interests) == 3
    assert len({i.item_id for i in answer.items}) == 30
    counts = [sum(i.interest == n for i in answer.items) for n in range(3)]
    assert counts == pytest.approx([30 * i.weight for i in answer.interests], abs=1)


def test_words_alone_score_an_item_the_same_with_and_without_its_picture(live: Live) -> None:
    for n, item in enumerate(i for i in spaces.sample_items(60) if i.pictures):
        live.put(f"with-{n}", item.text, item.pictures)
        live.put(f"without-{n}", item.text)
    answer = live.ask(QueryRequest(content=contents("red running shoe")), k=1000, exact=True)
    scores = {i.item_id: i.score for i in answer.items}
    pairs = [(scores[i], scores["without" + i[4:]]) for i in scores if i.startswith("with-")]
    assert len(pairs) > 20
    assert all(a == b for a, b in pairs)


def test_an_empty_collection_answers_with_nothing(live: Live) -> None:
    live.put("a", "red shoe")
    live.catalogue.delete_items(live.collection, ["a"])
    assert live.ask(QueryRequest(content=contents("red"))).items == ()
