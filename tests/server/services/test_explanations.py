"""Explanations: by channel, by source and by place, the parts add up to the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import FailedPrecondition, InvalidArgument, ItemlensError, NotFound, Overloaded
from itemlens_server.fusion.history import CART, CLICK, DISLIKED, PURCHASE, VIEW, Interaction
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.query import ChannelChange, Query, ask
from itemlens_server.fusion.scoring import bind
from itemlens_server.services import ExplainOptions, Explanation, Outcome, QueryRequest, VectorInput
from support import spaces
from support.live import Live, contents
from support.sizes import size
from support.tables import entry, random_tables

TOLERANCE = 1e-4


def explain(live: Live, item_id: str, request: QueryRequest) -> Explanation:
    [explanation] = live.explain(request, item_id, with_sums=True, exclude_seen=False)
    assert explanation.error is None
    return explanation


def total(parts: Sequence[Part]) -> float:
    return sum(p.value for p in parts)


ITEM = st.integers(0, 149).map(lambda n: f"item-{n:04d}")
WEIGHT = st.floats(0.0, 3.0)


@st.composite
def requests(draw: st.DrawFn) -> QueryRequest:
    """Any mix of sources, with any weights. The test sets the space of vectors."""
    kinds = st.sampled_from([VIEW, CLICK, CART, PURCHASE, DISLIKED])
    text = draw(st.sampled_from([None, "red shoe", "a silk gown for summer", "蓝色的鞋"]))
    picture = draw(st.sampled_from([None, spaces.picture("tour", "blue"), spaces.picture("fund", "red")]))
    seed = draw(st.one_of(st.none(), st.integers(0, 99)))
    vector = None
    if seed is not None:
        u = np.random.default_rng(seed).normal(size=36).astype("<f4")
        vector = VectorInput(u.tobytes(), len(u), "QUERY", "")
    return QueryRequest(
        history=draw(st.lists(st.builds(Interaction, ITEM, kinds), max_size=8)),
        content=contents(text, [] if picture is None else [picture]),
        liked=draw(st.lists(ITEM, max_size=4)),
        disliked=draw(st.lists(ITEM, max_size=3)),
        vector=vector,
        source_weights=draw(
            st.dictionaries(
                st.sampled_from(["history", "query", "liked", "disliked", "query_vector"]), WEIGHT
            )
        ),
        channel_changes=draw(
            st.lists(
                st.tuples(
                    st.sampled_from(["text", "image"]), st.builds(ChannelChange, WEIGHT, WEIGHT, WEIGHT)
                ),
                max_size=2,
                unique_by=lambda change: change[0],
            )
        ),
        behaviour_weight=draw(st.one_of(st.none(), WEIGHT)),
        max_interests=draw(st.integers(1, 5)),
    )


@settings(max_examples=size(50, 120))
@given(requests(), st.one_of(ITEM, st.just("only-picture")))
def test_parts_add_up_to_the_score(sample: Live, request: QueryRequest, item_id: str) -> None:
    # Arrange
    if request.vector is not None:
        request = replace(request, vector=replace(request.vector, space_id=sample.collection.space.space_id))
    try:
        answer = sample.ask(request, k=1000, exact=True, exclude_seen=False)
    except ItemlensError as error:
        assert "empty" in error.message or "none of the items" in error.message
        return
    scores = {i.item_id: i.score for i in answer.items}
    # Act
    explanation = explain(sample, item_id, request)
    # Assert
    # With several interests, the one with the highest score explains the item.
    assert explanation.score >= scores[item_id] - TOLERANCE
    for parts in (explanation.by_channel, explanation.by_source, explanation.by_place):
        assert total(parts) == pytest.approx(explanation.score, abs=TOLERANCE)
    assert explanation.residual == pytest.approx(explanation.score - total(explanation.by_place))
    for whole in explanation.sums:
        # The sums of the matrix's rows and columns are both lists.
        assert whole.values.shape == (len(whole.sources), len(whole.places))
        np.testing.assert_allclose(whole.values.sum(0), [p.value for p in whole.places], atol=TOLERANCE)
        own = [
            p
            for p in explanation.by_source
            if p.channel == whole.channel and p.kind in ("PAST_ITEM", "QUERY")
        ]
        np.testing.assert_allclose(whole.values.sum(1), [p.value for p in own], atol=TOLERANCE)
        assert [p.past_item_id for p in own] == list(whole.sources)


class TestManyAtOnce:
    request = QueryRequest(content=contents("red shoe"), history=[Interaction("item-0004", CLICK)])

    def test_are_encoded_in_one_submission(self, sample: Live, monkeypatch: pytest.MonkeyPatch) -> None:
        submitted: list[int] = []
        begin = sample.encoder.begin

        def counted(space: Any, given: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("with_places"):
                submitted.append(len(given))
            return begin(space, given, *args, **kwargs)

        monkeypatch.setattr(sample.encoder, "begin", counted)
        item_ids = [f"item-{n:04d}" for n in range(100)]
        assert len(sample.explain(self.request, *item_ids)) == 100
        assert len(submitted) == 1 and submitted[0] > 100

    def test_are_explained_as_each_alone(self, sample: Live) -> None:
        item_ids = [f"item-{n:04d}" for n in range(20)]
        for item_id, together in zip(item_ids, sample.explain(self.request, *item_ids), strict=True):
            [alone] = sample.explain(self.request, item_id)
            assert together.item_id == item_id and together.sentence == alone.sentence
            assert together.score == alone.score
            np.testing.assert_allclose(
                [p.value for p in together.by_place], [p.value for p in alone.by_place], atol=1e-6
            )

    def test_more_contents_than_a_call_may_have_go_in_several_submissions(self, live: Live) -> None:
        live.settings = live.settings.model_copy(update={"max_inputs": 3})
        live.use_cases = type(live.use_cases).over(live.catalogue, live.encoder, live.settings)
        for n, item in enumerate(i for i in spaces.sample_items(40) if len(i.pictures) == 2):
            live.put(f"i{n}", item.text, item.pictures)
        explanations = live.explain(QueryRequest(content=contents("red")), "i0", "i1", "i2")
        assert all(e.error is None and abs(e.residual) < TOLERANCE for e in explanations)

    def test_what_the_encoder_refuses_is_refused_for_its_submission_alone(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.settings = live.settings.model_copy(update={"max_inputs": 3})
        live.use_cases = type(live.use_cases).over(live.catalogue, live.encoder, live.settings)
        for n, item in enumerate(i for i in spaces.sample_items(40) if len(i.pictures) == 2):
            live.put(f"i{n}", item.text, item.pictures)
        encode, calls = live.encoder.encode, 0

        def refusing(*args: Any, **kwargs: Any) -> list[Outcome]:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise Overloaded("the queue is full", 0.5)
            return encode(*args, **kwargs)

        monkeypatch.setattr(live.encoder, "encode", refusing)
        explanations = live.explain(QueryRequest(liked=["i3"]), "i0", "i1", "i2")
        assert [type(e.error) for e in explanations] == [type(None), Overloaded, type(None)]

    def test_may_be_more_than_a_write_may_have(self, live: Live) -> None:
        for item_id in ("a", "b"):
            live.put(item_id, f"red shoe {item_id}")
        settings = live.settings.model_copy(update={"max_items": 1})
        catalogue = type(live.catalogue)(live.store, live.repository, live.encoder, settings, live.space_id)
        catalogue.load()
        use_cases = type(live.use_cases).over(catalogue, live.encoder, settings)
        result = use_cases.explainer.explain_query(
            "", QueryRequest(content=contents("red")), ["a", "b"], ExplainOptions(), CallContext()
        )
        assert [e.error for e in result.explanations] == [None, None]

    def test_one_that_cannot_be_explained_does_not_hold_up_the_others(self, sample: Live) -> None:
        first, gone, last = sample.explain(self.request, "item-0001", "gone", "item-0002")
        assert isinstance(gone.error, NotFound) and first.error is None and last.error is None


class TestOfAQuestion:
    """The score of a question is that of its list, with or without what the user has seen."""

    request = QueryRequest(
        history=[Interaction(f"item-{n:04d}", PURCHASE) for n in (0, 4)], liked=["item-0008"], max_interests=1
    )

    @pytest.mark.parametrize("exclude_seen", [True, False])
    def test_is_that_of_its_list(self, sample: Live, exclude_seen: bool) -> None:
        listed = {
            i.item_id: i.score for i in sample.ask(self.request, k=100, exclude_seen=exclude_seen).items
        }
        assert ("item-0004" in listed) is not exclude_seen
        explained = sample.explain(self.request, *listed, exclude_seen=exclude_seen)
        assert [e.score for e in explained] == pytest.approx(list(listed.values()), abs=1e-5)
        assert all(abs(e.residual) < TOLERANCE for e in explained)

    def test_is_of_what_is_new_if_not_told(self, sample: Live) -> None:
        [default], [new], [with_repeats] = (
            sample.explain(self.request, "item-0001", **options)
            for options in ({}, {"exclude_seen": True}, {"exclude_seen": False})
        )
        assert default.score == new.score > with_repeats.score

    def test_has_no_score_of_what_the_list_leaves_out(self, sample: Live) -> None:
        new, *seen = sample.explain(self.request, "item-0001", "item-0004", "item-0008")
        assert new.error is None
        for explanation in seen:
            assert isinstance(explanation.error, InvalidArgument)
            assert "exclude_seen false" in explanation.error.message


class TestOfARecommendation:
    def test_has_the_scores_and_interests_of_the_list(self, sample: Live) -> None:
        history = [Interaction(f"item-{n:04d}", CLICK) for n in (0, 1, 3)]
        result = sample.ask(QueryRequest(history=history), k=10)
        explained = sample.use_cases.explainer.explain_result(
            "", result.recommendation_id, [i.item_id for i in result.items], ExplainOptions(), CallContext()
        )
        assert len(result.interests) == 3
        for item, explanation in zip(result.items, explained.explanations, strict=True):
            assert explanation.error is None and explanation.score == item.score
            assert total(explanation.by_source) == pytest.approx(item.score, abs=TOLERANCE)

    def test_stays_that_of_its_scores_when_a_past_item_is_deleted(self, live: Live) -> None:
        for n, item in enumerate(spaces.sample_items(12)):
            live.put(f"i{n}", item.text, item.pictures)
        live.take_tables(random_tables(np.random.default_rng(0), ("i1", "i2"), density=1.0))
        history = [Interaction("i0", CLICK), Interaction("i1", PURCHASE)]  # the tables know only the latter
        result = live.ask(QueryRequest(history=history), k=5)
        live.catalogue.delete_items(live.collection, ["i0"])
        explained = live.use_cases.explainer.explain_result(
            "", result.recommendation_id, ["i2"], ExplainOptions(), CallContext()
        )
        first = next(explained.explanations)
        assert any(p.kind == "BEHAVIOUR" for p in first.by_place)
        assert abs(first.residual) < 1e-5

    def test_says_what_has_changed_since(self, live: Live) -> None:
        for item_id in ("a", "b", "c"):
            live.put(item_id, f"red shoe {item_id}")
        result = live.ask(QueryRequest(content=contents("red shoe")), k=2)
        first, second = (i.item_id for i in result.items)
        other = ({"a", "b", "c"} - {first, second}).pop()
        live.put(first, "a blue dress")
        explained = live.use_cases.explainer.explain_result(
            "", result.recommendation_id, [first, second, other], ExplainOptions(), CallContext()
        )
        errors = [type(e.error) for e in explained.explanations]
        assert errors == [FailedPrecondition, type(None), InvalidArgument]


def with_pictures(count: int) -> str:
    return next(i.item_id for i in spaces.sample_items(150) if len(i.pictures) == count)


def asked(text: str | None = None, *pictures: bytes) -> QueryRequest:
    return QueryRequest(content=contents(text, pictures))


class TestPlaces:
    def test_a_word_is_joined_of_its_pieces_and_points_at_the_text(self, live: Live) -> None:
        text = "Red zebra-shoe, for the trail"
        live.put("a", text)
        request = asked("red")
        words = [p for p in explain(live, "a", request).by_place if p.kind == "TOKEN"]
        assert [p.text for p in words] == ["Red", "zebra", "-", "shoe", ",", "for", "the", "trail"]
        assert all(text[p.start : p.end] == p.text for p in words)

    def test_every_chinese_character_is_a_word(self, live: Live) -> None:
        text = "红色的鞋 and 跑步"
        live.put("a", text)
        request = asked("鞋")
        words = [p for p in explain(live, "a", request).by_place if p.kind == "TOKEN"]
        assert [p.text for p in words] == ["红", "色", "的", "鞋", "and", "跑", "步"]
        assert max(words, key=lambda p: p.value).text in {"鞋", "跑", "步"}

    def test_offsets_count_code_points(self, live: Live) -> None:
        text = "👟👟 red shoe"
        live.put("a", text)
        request = asked("red")
        words = [p for p in explain(live, "a", request).by_place if p.kind == "TOKEN"]
        assert all(text[p.start : p.end] == p.text for p in words)
        assert "shoe" in [p.text for p in words]

    def test_the_models_own_marks_are_one_special_part(self, live: Live) -> None:
        live.put("a", "red shoe")
        request = asked("red")
        assert [p.kind for p in explain(live, "a", request).by_place].count("SPECIAL") == 1

    def test_a_query_of_words_speaks_through_the_picture_only_where_words_are_missing(
        self, sample: Live
    ) -> None:
        # A query in the text channel, and an item with only a picture: its cells get the imputed text's parts.
        request = asked("red shoe")
        cells = [p for p in explain(sample, "only-picture", request).by_place if p.kind == "CELL"]
        assert len(cells) == spaces.GRID**2
        assert all((p.channel, p.source_channel, p.imputed) == ("text", "image", True) for p in cells)

    def test_each_picture_has_cells_of_its_own(self, sample: Live) -> None:
        request = asked(None, spaces.picture("shoe", "red"))
        cells = [p for p in explain(sample, with_pictures(2), request).by_place if p.kind == "CELL"]
        places = {(p.picture_index, p.row, p.column) for p in cells}
        assert places == {(n, r, c) for n in range(2) for r in range(4) for c in range(4)}
        assert all(p.channel == "image" and not p.imputed for p in cells)

    def test_a_cell_that_looks_alike_counts_for_and_one_that_does_not_counts_less(self, live: Live) -> None:
        # The query is red in its lower half, the item in its right half.
        half = np.full((32, 32, 3), 200, np.uint8)
        half[:, 16:] = (220, 30, 30)
        live.put("a", "shoe", [spaces.encoded(Image.fromarray(half))])
        red = np.full((32, 32, 3), (220, 30, 30), np.uint8)
        request = asked(None, spaces.encoded(Image.fromarray(red)))
        cells = [p for p in explain(live, "a", request).by_place if p.kind == "CELL"]
        left = sum(p.value for p in cells if p.column < 2)
        right = sum(p.value for p in cells if p.column >= 2)
        assert right > left


class TestBaselines:
    def test_name_the_threshold_of_each_channel_that_is_there(self, sample: Live) -> None:
        request = asked("red", spaces.picture("shoe", "red"))
        without = next(i.item_id for i in spaces.sample_items(150) if not i.pictures)
        baselines = [p for p in explain(sample, without, request).by_source if p.kind == "BASELINE"]
        assert [(p.channel, p.imputed) for p in baselines] == [("text", False), ("image", True)]
        assert [p.value for p in baselines] == pytest.approx([-8.0 * 0.3, -12.0 * 0.2])


class TestPastItems:
    def test_each_has_its_share_of_a_term_that_bends(self, sample: Live) -> None:
        tables = sample.collection.event_tables.tables
        assert tables is not None
        past, b = ("item-0003", "item-0006"), tables.behaviour
        item_id = next(i for i in tables.item_ids if all(entry(b, tables, j, i) for j in past))
        request = QueryRequest(history=[Interaction(j, PURCHASE) for j in past], max_interests=1)
        parts = [p for p in explain(sample, item_id, request).by_source if p.kind == "BEHAVIOUR"]
        shares = {
            "item-0006": entry(b, tables, past[1], item_id),
            "item-0003": 0.9 * entry(b, tables, past[0], item_id),
        }
        s = sum(shares.values())
        whole = 0.8 * np.log1p(s / 0.02)
        expected = {i: whole * share / s for i, share in shares.items()} | {"": -0.8 * 0.3}
        assert {p.past_item_id: p.value for p in parts} == pytest.approx(expected, rel=1e-4)
        assert {p.past_item_id: p.is_share for p in parts} == {**dict.fromkeys(past, True), "": False}

    def test_that_come_again_are_named_with_their_own_repeat(self, sample: Live) -> None:
        request = QueryRequest(history=[Interaction("item-0003", PURCHASE)] * 3)
        parts = [p for p in explain(sample, "item-0003", request).by_source if p.kind == "REPEAT"]
        assert [p.past_item_id for p in parts] == ["item-0003"] and parts[0].value > 0
        other = explain(sample, "item-0006", request).by_source
        assert not any(p.kind == "REPEAT" for p in other)


def test_past_items_that_nearly_cancel_each_other_out_still_add_up(sample: Live) -> None:
    # Two nearly opposite pictures: each one's part is thousands of times the sum.
    snapshot, head = sample.collection.snapshot(), sample.collection.space.head
    a, b = (snapshot.view.position(i) for i in ("item-0000", "item-0030"))
    h = snapshot.view.h.copy()
    for name in head.names:
        block = head.block(name)
        h[b, block] = -h[a, block] + 1e-5 * np.random.default_rng(0).normal(size=block.stop - block.start)
    near = replace(snapshot, view=replace(snapshot.view, h=h), tables=None)
    scorer = bind(ask(near, Query(liked=["item-0000", "item-0030"]), sample.settings.type_weights()))
    assert scorer.interests[0].u.any()
    for position in range(40, 60):
        alpha = float(scorer.scores(0, np.asarray([position]))[0])
        assert total(scorer.by_source(0, position)) == pytest.approx(alpha, abs=TOLERANCE)


def test_an_explanation_stays_that_of_its_score_when_behaviour_is_fitted_again(sample: Live) -> None:
    result = sample.ask(QueryRequest(history=[Interaction("item-0003", CLICK)]), k=5)
    item_ids = [item.item_id for item in result.items]

    def explained() -> list[float]:
        answer = sample.use_cases.explainer.explain_result(
            "", result.recommendation_id, item_ids, ExplainOptions(), CallContext()
        )
        return [total(e.by_place) for e in answer.explanations]

    before, tables = explained(), sample.collection.event_tables.tables
    sample.take_tables(None)
    try:
        scores = [item.score for item in result.items]
        assert before == pytest.approx(scores, abs=TOLERANCE)
        assert explained() == pytest.approx(scores, abs=TOLERANCE)
    finally:
        sample.take_tables(tables)
