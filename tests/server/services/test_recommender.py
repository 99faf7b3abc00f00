"""The list has the k items with the largest alpha, for any exclusions and queries, with graphs and without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens_server.engine.repository import ModelRepository
from itemlens_server.errors import FailedPrecondition, InvalidArgument, NotFound
from itemlens_server.fusion.history import CLICK, DISLIKED, IMPRESSION, RETURN, Interaction
from itemlens_server.fusion.query import Query
from itemlens_server.fusion.scoring import bind, log_sum
from itemlens_server.fusion.weights import Calibration
from itemlens_server.index.hnsw import HnswIndex
from itemlens_server.services import (
    CallContext,
    ExplainOptions,
    QueryRequest,
    RecommendOptions,
    RecommendResult,
)
from itemlens_server.services.lists import directions
from itemlens_server.services.recommend_options import list_size
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


def test_scores_are_log_probabilities_of_the_eligible_items(sample: Live) -> None:
    for request in (
        QueryRequest(content=contents("red shoe")),
        QueryRequest(history=[Interaction("item-0003", CLICK), Interaction("item-0006", CLICK)]),
    ):
        answer = sample.ask(request, k=1000)
        assert len(answer.items) == answer.eligible
        scorer = replace(bind(answer.asking), shifts=answer.shifts)
        positions = np.asarray([item.position for item in answer.items])
        scores = [scorer.scores(n, positions).astype(np.float64) for n in range(len(answer.interests))]
        assert np.exp(scores).sum() == pytest.approx(1.0, abs=1e-4)
        for n, item in enumerate(answer.items):
            assert item.score == pytest.approx(scores[item.interest][n], abs=1e-5)


def test_what_is_not_eligible_has_no_share_of_the_probability(sample: Live) -> None:
    request = QueryRequest(history=[Interaction("item-0003", CLICK)])
    with_seen = sample.ask(request, k=1000, exclude_seen=False)
    without = {i.item_id: i.score for i in sample.ask(request, k=1000).items}
    [seen] = [i for i in with_seen.items if i.item_id == "item-0003"]
    rest = -np.log1p(-np.exp(seen.score))
    for item in with_seen.items:
        if item is not seen:
            assert without[item.item_id] == pytest.approx(item.score + rest, abs=1e-4)


def test_a_channel_that_counts_for_items_without_events_only_is_searched_too(sample: Live) -> None:
    asking = sample.scorer(Query(liked=["item-0000"])).asking
    cold_only = [replace(i, u=np.zeros_like(i.u), cold=i.u) for i in asking.interests]
    usual, found = (directions(asking.snapshot, interests) for interests in (asking.interests, cold_only))
    assert usual.keys() == found.keys() and usual
    for name in usual:
        np.testing.assert_array_equal(found[name], usual[name])


class TestProbabilities:
    history = QueryRequest(history=[Interaction(i, CLICK) for i in ("item-0000", "item-0001", "item-0003")])

    def test_of_all_items_over_all_interests_sum_to_1(self, sample: Live) -> None:
        answer = sample.ask(self.history, k=1000, with_probabilities=True)
        assert len(answer.interests) == 3
        probabilities = [item.probability or 0.0 for item in answer.items]
        assert sum(probabilities) == pytest.approx(1.0, abs=1e-4)
        for item, p in zip(answer.items, probabilities, strict=True):
            assert p >= np.exp(item.score) - 1e-6  # other interests add to it

    def test_are_those_of_a_shorter_list_too(self, sample: Live) -> None:
        few, all_ = (sample.ask(self.history, k=k, with_probabilities=True).items for k in (5, 1000))
        whole = {i.item_id: i.probability for i in all_}
        assert {i.item_id: i.probability for i in few} == pytest.approx(
            {i.item_id: whole[i.item_id] for i in few}
        )

    def test_are_not_given_unless_asked_for(self, sample: Live) -> None:
        assert {i.probability for i in sample.ask(self.history).items} == {None}

    @pytest.mark.parametrize(
        "request_",
        [
            QueryRequest(content=contents("red shoe")),
            QueryRequest(liked=["item-0000"]),
            QueryRequest(history=history.history, disliked=["item-0002"]),
            QueryRequest(history=history.history, liked=["item-0006"]),
        ],
        ids=["words", "liked", "disliked", "mixed"],
    )
    def test_of_what_was_not_fitted_to_choices_are_refused(
        self, sample: Live, request_: QueryRequest
    ) -> None:
        with pytest.raises(FailedPrecondition, match="itemlens fit"):
            sample.ask(request_, with_probabilities=True)


def listed(answer: RecommendResult) -> list[tuple[str, float]]:
    return [(item.item_id, item.score) for item in answer.items]


class TestSomebodyNew:
    nobody = QueryRequest(user_id="nobody")

    def test_gets_the_prior_and_is_told_so(self, sample: Live) -> None:
        answer = sample.ask(self.nobody, k=1000, with_parts=True)
        assert not answer.says_wanted and len(answer.items) == answer.eligible == 151
        assert {part.kind for item in answer.items for part in item.parts} == {
            "POPULARITY", "NEWNESS", "NORMALISATION"
        }  # fmt: skip
        assert np.exp([item.score for item in answer.items]).sum() == pytest.approx(1.0, abs=1e-4)
        for item in answer.items:
            assert sum(part.value for part in item.parts) == pytest.approx(item.score, abs=1e-5)

    def test_whoever_says_what_they_want_does_not(self, sample: Live) -> None:
        for more in ({"content": contents("red shoe")}, {"liked": ["item-0000"]}):
            assert sample.ask(replace(self.nobody, **more)).says_wanted
        assert sample.ask(QueryRequest(history=[Interaction("item-0000", CLICK)])).says_wanted

    def test_first_places_are_of_different_kinds(self, live: Live) -> None:
        for n, text in enumerate(["steel kettle", "island hotel", "red shoe", "red shoe", "red shoe"]):
            live.put(f"i{n}", text)
        answer = live.ask(self.nobody).items
        assert answer[0].item_id == "i4" and {i.item_id for i in answer[:3]} == {"i4", "i1", "i0"}

    @pytest.mark.parametrize(
        "history",
        [
            [Interaction("gone", CLICK)],
            [Interaction("item-0000", IMPRESSION)],
            [Interaction("item-0000", RETURN)],
        ],
        ids=["unknown item", "shown", "returned"],
    )
    def test_is_everybody_of_whom_nothing_counts(self, sample: Live, history: list[Interaction]) -> None:
        answer = sample.ask(QueryRequest(history=history), k=1000, exclude_seen=False)
        of_nobody = sample.ask(self.nobody, k=1000)
        assert not answer.says_wanted
        assert [i.item_id for i in answer.items] == [i.item_id for i in of_nobody.items]

    def test_who_dislikes_something_gets_the_prior_without_it(self, sample: Live) -> None:
        before = sample.ask(self.nobody, k=1000)
        disliked = before.items[0].item_id
        after = sample.ask(QueryRequest(history=[Interaction(disliked, DISLIKED)]), k=1000)
        assert not after.says_wanted and disliked not in {i.item_id for i in after.items}
        nearest = {i.item_id for i in sample.ask(QueryRequest(liked=[disliked]), k=5).items}
        scores = [{i.item_id: i.score for i in a.items} for a in (before, after)]
        lost = {i: scores[0][i] - scores[1][i] for i in scores[1]}
        far = np.median(list(lost.values()))
        assert all(lost[i] > far for i in nearest)

    def test_is_nobody_whose_history_was_given_a_weight_of_0(self, sample: Live) -> None:
        request = QueryRequest(history=[Interaction("item-0000", CLICK)], source_weights={"history": 0.0})
        with pytest.raises(InvalidArgument, match="leaves out all"):
            sample.ask(request)

    def test_is_answered_with_the_newest_where_nothing_is_known_of_items(self, live: Live) -> None:
        for n in range(8):
            live.put(f"i{n}", "red shoe")  # all alike
        answer = live.ask(self.nobody, with_reasons=True)
        assert [i.item_id for i in answer.items] == [f"i{n}" for n in reversed(range(8))]
        assert {i.reason for i in answer.items} == {"Nothing is known yet of what you like. It is new here."}

    def test_gets_what_is_popular_from_100_events_on_without_a_fit(
        self, repository: ModelRepository, tiny: Tiny, tmp_path: Path
    ) -> None:
        live = Live(repository, tmp_path / "data", tiny.plain)
        try:
            for n in range(12):
                live.put(f"i{n}", "red shoe")  # all alike
            live.record(*((f"u{u}", "i3", 5) for u in range(3)))
            live.catalogue.maintain()
            assert live.ask(self.nobody).items[0].item_id == "i11"  # three events do not rule a list
            wanted = [
                QueryRequest(history=[Interaction("i5", CLICK)]),
                QueryRequest(user_id="nobody", content=contents("red shoe")),
                QueryRequest(user_id="nobody", liked=["i2"]),
            ]
            before = [listed(live.ask(request)) for request in wanted]
            live.record(*((f"v{u}", f"i{n}", 5) for n, takers in ((3, 60), (7, 40)) for u in range(takers)))
            while live.catalogue.maintain():
                pass
            answer = live.ask(self.nobody, with_reasons=True)
            assert [i.item_id for i in answer.items][:3] == ["i3", "i7", "i11"] and not answer.says_wanted
            assert answer.items[0].reason.endswith("Because many took it.")
            assert [listed(live.ask(request)) for request in wanted] == before
            live.record(("v1", "i7", 6), *((f"w{u}", "i7", 5) for u in range(40)))
            assert live.ask(self.nobody).items[0].item_id == "i7"  # at the next read
        finally:
            live.close()

    def test_has_probabilities_if_those_of_the_prior_are_calibrated(self, sample: Live) -> None:
        with pytest.raises(FailedPrecondition, match="itemlens fit"):
            sample.ask(self.nobody, with_probabilities=True)
        asking = sample.scorer(Query(of_user=True)).asking
        calibrated = replace(asking.prior, calibration=Calibration(-1.0, 0.5))
        assert replace(asking, prior=calibrated).of_choices

    def test_may_be_ranked_among_candidates(self, sample: Live) -> None:
        answer = sample.ask(self.nobody, candidates=["item-0001", "item-0003"])
        assert {i.item_id for i in answer.items} == {"item-0001", "item-0003"} and not answer.says_wanted

    def test_is_explained_exactly(self, sample: Live) -> None:
        answer = sample.ask(self.nobody, k=20)
        ids = [item.item_id for item in answer.items]
        kept = sample.use_cases.explainer.explain_result(
            "", answer.recommendation_id, ids, ExplainOptions(), CallContext()
        )
        for item, of_list, of_user in zip(
            answer.items, kept.explanations, sample.explain(self.nobody, *ids), strict=True
        ):
            for why in (of_list, of_user):
                assert why.score == pytest.approx(item.score, abs=1e-5) and abs(why.residual) < 1e-4
                for parts in (why.by_channel, why.by_source, why.by_place):
                    assert sum(p.value for p in parts) == pytest.approx(item.score, abs=1e-4)
            assert of_list.sentence == of_user.sentence


class TestDislikes:
    history = QueryRequest(history=[Interaction(f"item-{n:04d}", CLICK) for n in (0, 1, 2, 3)])

    def test_one_keeps_away_what_is_like_it_and_leaves_the_rest(self, sample: Live) -> None:
        before = [i.item_id for i in sample.ask(self.history, k=30).items]
        disliked = before[0]
        after = [i.item_id for i in sample.ask(replace(self.history, disliked=[disliked]), k=30).items]
        nearest = {i.item_id for i in sample.ask(QueryRequest(liked=[disliked]), k=20).items}
        near, far = [i for i in before[1:] if i in nearest], [i for i in before if i not in nearest]
        assert len(near) > 4 and len(set(near) & set(after)) <= len(near) / 2
        assert len(set(far[1:]) & set(after)) >= 0.7 * len(far[1:])

    def test_of_something_else_changes_no_order(self, sample: Live) -> None:
        request = QueryRequest(content=contents("steel kettle"))
        before = sample.ask(request, k=8)
        after = sample.ask(replace(request, disliked=["item-0003"]), k=8)  # a tour
        assert [i.item_id for i in before.items] == [i.item_id for i in after.items]


def test_the_weight_of_a_source_moves_the_list_from_one_to_the_other(sample: Live) -> None:
    themes = {i.item_id: i.theme for i in spaces.sample_items(150)}
    request = QueryRequest(content=contents("running shoe"), liked=["item-0003"])  # a tour

    def tours(**weights: float) -> int:
        answer = sample.ask(replace(request, source_weights=weights), k=10)
        return sum(themes.get(i.item_id) == "tour" for i in answer.items)

    found = [tours(liked=weight) for weight in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert found == sorted(found) and found[0] == 0 and found[-1] >= 5
    assert tours(query=0.0) >= found[-1]


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
    # Z is summed in another order.
    assert [i.score for i in served.items] == pytest.approx([i.score for i in exact.items], abs=1e-5)


def test_the_exact_list_is_that_of_a_scan(large: Live) -> None:
    answer = large.ask(QueryRequest(content=contents("red shoe")), k=25, exact=True)
    snapshot = large.collection.snapshot()
    alpha = bind(replace(answer.asking, snapshot=snapshot)).scores(0, np.flatnonzero(snapshot.view.alive))
    best = np.sort(alpha)[::-1][:25]
    np.testing.assert_allclose([i.score for i in answer.items], best - log_sum(alpha), atol=1e-5)


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
        # Z runs over the candidates alone.
        [shift] = {round(i.score - everyone[i.item_id], 3) for i in answer.items}
        assert shift > 0
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
