"""The law of explanations: by channel, by source and by place, the parts add up to the score."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live import Live

import spaces
from itemlens_server.contract import PartKind as Kind
from itemlens_server.engine.call_context import CallContext
from itemlens_server.services import parts
from itemlens_server.services.encoding import EncodedContent, stored_content
from itemlens_server.services.parts import Part
from itemlens_server.services.places import ChannelSum, ItemInput, channel_sums
from itemlens_server.services.query import (
    CART,
    CLICK,
    DISLIKED,
    PURCHASE,
    VIEW,
    ChannelChange,
    HistoryRules,
    Interest,
    Past,
    Side,
    resolve,
)
from itemlens_server.services.recommender import score

TOLERANCE = 1e-4


@dataclass
class Explained:
    """One item's score and all its parts."""

    score: float
    by_channel: list[Part]
    by_source: list[Part]
    by_place: list[Part]
    fixed: list[Part]
    sums: list[ChannelSum]


def explain(live: Live, item_id: str, interest: Interest) -> Explained:
    collection, view = live.collection, live.collection.index.view()
    position = collection.index.position(item_id)
    assert position is not None
    h, head = view.h[position], collection.space.head
    stored = live.catalogue.get(collection, [item_id], pictures=True)[item_id]
    contents = [stored_content(collection.space, stored, i) for i in stored.inputs]
    outcomes = live.encoder.encode(collection.space, contents, "item", CallContext(), with_places=True)
    inputs = []
    for content, outcome in zip(contents, outcomes, strict=True):
        assert isinstance(outcome, EncodedContent)
        inputs.append(ItemInput(content.channel, outcome))
    sides = parts.directions(head, view, interest)
    sums = channel_sums(collection.space, sides, h, inputs)
    fixed = [*parts.baselines(head, interest, h), *parts.behaviour_parts(interest, item_id)]
    return Explained(
        float(score(collection, view, np.asarray([position]), interest)[0]),
        [*parts.by_channel(head, sides, h), *fixed],
        [*parts.by_source(head, sides, h), *fixed],
        [*(p for s in sums for p in s.places), *fixed],
        fixed,
        sums,
    )


def interests(live: Live, **side: object) -> tuple[Interest, ...]:
    view = live.collection.index.view()
    return resolve(live.collection, view, Side(**side), HistoryRules()).interests  # type: ignore[arg-type]


def total(found: list[Part]) -> float:
    return sum(p.value for p in found)


ITEM = st.integers(0, 149).map(lambda n: f"item-{n:04d}")
WEIGHT = st.floats(0.0, 3.0)


@st.composite
def sides(draw: st.DrawFn) -> dict[str, object]:
    """Any mix of sources, with any weights; `query` still as texts and pictures."""
    kinds = st.sampled_from([VIEW, CLICK, CART, PURCHASE, DISLIKED])
    return {
        "history": draw(st.lists(st.builds(Past, ITEM, kinds), max_size=8)),
        "liked": draw(st.lists(ITEM, max_size=4)),
        "disliked": draw(st.lists(ITEM, max_size=3)),
        "text": draw(st.sampled_from([None, "red shoe", "a silk gown for summer", "蓝色的鞋"])),
        "picture": draw(
            st.sampled_from([None, spaces.picture("tour", "blue"), spaces.picture("fund", "red")])
        ),
        "vector_seed": draw(st.one_of(st.none(), st.integers(0, 99))),
        "source_weights": draw(
            st.dictionaries(
                st.sampled_from(["history", "query", "liked", "disliked", "query_vector"]), WEIGHT
            )
        ),
        "changes": draw(
            st.dictionaries(
                st.sampled_from(["text", "image"]), st.builds(ChannelChange, WEIGHT, WEIGHT, WEIGHT)
            )
        ),
        "behaviour_weight": draw(st.one_of(st.none(), WEIGHT)),
        "max_interests": draw(st.integers(1, 5)),
    }


@settings(max_examples=120)
@given(sides(), st.one_of(ITEM, st.just("only-picture")))
def test_parts_add_up_to_the_score(sample: Live, side: dict[str, object], item_id: str) -> None:
    # Arrange
    text, picture, seed = side.pop("text"), side.pop("picture"), side.pop("vector_seed")
    if text is not None or picture is not None:
        side["query"] = sample.query(text, picture)  # type: ignore[arg-type]
    if seed is not None:
        dimension = sample.collection.space.head.dimension
        side["vector"] = np.random.default_rng(seed).normal(size=dimension).astype(np.float32)  # type: ignore[arg-type]
    try:
        found = interests(sample, **side)
    except Exception as error:
        assert "empty" in str(error) or "none of the items" in str(error)
        return
    for interest in found:
        # Act
        one = explain(sample, item_id, interest)
        # Assert
        assert total(one.by_channel) == pytest.approx(one.score, abs=TOLERANCE)
        assert total(one.by_source) == pytest.approx(one.score, abs=TOLERANCE)
        assert total(one.by_place) == pytest.approx(one.score, abs=TOLERANCE)
        for whole in one.sums:
            # The whole sum has both lists as its margins.
            assert whole.values.shape == (len(whole.sources), len(whole.places))
            np.testing.assert_allclose(whole.values.sum(0), [p.value for p in whole.places], atol=TOLERANCE)
            own = [
                p
                for p in one.by_source
                if p.channel == whole.channel and p.kind in (Kind.PAST_ITEM, Kind.QUERY)
            ]
            np.testing.assert_allclose(whole.values.sum(1), [p.value for p in own], atol=TOLERANCE)
            assert [p.past_item_id for p in own] == list(whole.sources)


def with_pictures(count: int) -> str:
    return next(i.item_id for i in spaces.sample_items(150) if len(i.pictures) == count)


class TestPlaces:
    def test_a_word_is_joined_of_its_pieces_and_points_at_the_text(self, live: Live) -> None:
        text = "Red zebra-shoe, for the trail"
        live.put("a", text)
        [interest] = interests(live, query=live.query("red"))
        words = [p for p in explain(live, "a", interest).by_place if p.kind is Kind.TOKEN]
        assert [p.text for p in words] == ["Red", "zebra", "-", "shoe", ",", "for", "the", "trail"]
        assert all(text[p.start : p.end] == p.text for p in words)

    def test_every_chinese_character_is_a_word(self, live: Live) -> None:
        text = "红色的鞋 and 跑步"
        live.put("a", text)
        [interest] = interests(live, query=live.query("鞋"))
        words = [p for p in explain(live, "a", interest).by_place if p.kind is Kind.TOKEN]
        assert [p.text for p in words] == ["红", "色", "的", "鞋", "and", "跑", "步"]
        assert max(words, key=lambda p: p.value).text in {"鞋", "跑", "步"}

    def test_offsets_count_code_points(self, live: Live) -> None:
        text = "👟👟 red shoe"
        live.put("a", text)
        [interest] = interests(live, query=live.query("red"))
        words = [p for p in explain(live, "a", interest).by_place if p.kind is Kind.TOKEN]
        assert all(text[p.start : p.end] == p.text for p in words)
        assert "shoe" in [p.text for p in words]

    def test_the_models_own_marks_are_one_special_part(self, live: Live) -> None:
        live.put("a", "red shoe")
        [interest] = interests(live, query=live.query("red"))
        assert [p.kind for p in explain(live, "a", interest).by_place].count(Kind.SPECIAL) == 1

    def test_a_query_of_words_speaks_through_the_picture_only_where_words_are_missing(
        self, sample: Live
    ) -> None:
        # A query in the text channel, an item that has a picture only: its cells carry the imputed words.
        [interest] = interests(sample, query=sample.query("red shoe"))
        cells = [p for p in explain(sample, "only-picture", interest).by_place if p.kind is Kind.CELL]
        assert len(cells) == spaces.GRID**2
        assert all((p.channel, p.source_channel, p.imputed) == ("text", "image", True) for p in cells)

    def test_each_picture_has_cells_of_its_own(self, sample: Live) -> None:
        [interest] = interests(sample, query=sample.query(None, spaces.picture("shoe", "red")))
        cells = [p for p in explain(sample, with_pictures(2), interest).by_place if p.kind is Kind.CELL]
        places = {(p.picture_index, p.row, p.column) for p in cells}
        assert places == {(n, r, c) for n in range(2) for r in range(4) for c in range(4)}
        assert all(p.channel == "image" and not p.imputed for p in cells)

    def test_a_cell_that_looks_alike_counts_for_and_one_that_does_not_counts_less(self, live: Live) -> None:
        # The query is red below; of the item only the right half is red.
        half = np.full((32, 32, 3), 200, np.uint8)
        half[:, 16:] = (220, 30, 30)
        live.put("a", "shoe", [spaces.encoded(spaces.Image.fromarray(half))])
        red = np.full((32, 32, 3), (220, 30, 30), np.uint8)
        [interest] = interests(live, query=live.query(None, spaces.encoded(spaces.Image.fromarray(red))))
        cells = [p for p in explain(live, "a", interest).by_place if p.kind is Kind.CELL]
        left = sum(p.value for p in cells if p.column < 2)
        right = sum(p.value for p in cells if p.column >= 2)
        assert right > left


class TestBaselines:
    def test_name_the_threshold_of_each_channel_that_is_there(self, sample: Live) -> None:
        [interest] = interests(sample, query=sample.query("red", spaces.picture("shoe", "red")))
        without = next(i.item_id for i in spaces.sample_items(150) if not i.pictures)
        found = [p for p in explain(sample, without, interest).fixed if p.kind is Kind.BASELINE]
        assert [(p.channel, p.imputed) for p in found] == [("text", False), ("image", True)]
        assert [p.value for p in found] == pytest.approx([-1.0 * 0.3, -1.5 * 0.2])

    def test_behaviour_is_one_number_a_past_item(self, sample: Live) -> None:
        [interest] = interests(
            sample, history=[Past("item-0003", CLICK), Past("item-0006", CLICK)], max_interests=1
        )
        neighbours = sample.collection.index.neighbours
        assert neighbours is not None
        rows = [neighbours.index[i] for i in ("item-0003", "item-0006")]
        column = next(n for n in range(len(neighbours.item_ids)) if all(neighbours.entry(r, n) for r in rows))
        found = parts.behaviour_parts(interest, neighbours.item_ids[column])
        assert {p.past_item_id for p in found} == {"item-0003", "item-0006"}
        share = {"item-0006": 1 / 1.9, "item-0003": 0.9 / 1.9}
        for p in found:
            assert p.value == pytest.approx(
                0.8 * share[p.past_item_id] * neighbours.entry(neighbours.index[p.past_item_id], column),
                rel=1e-5,
            )


def test_past_items_that_nearly_cancel_each_other_out_still_add_up(sample: Live) -> None:
    # Two pictures, nearly opposite: each one's share is thousands of times the sum.
    view, head = sample.collection.index.view(), sample.collection.space.head
    a, b = (sample.collection.index.position(i) for i in ("item-0000", "item-0030"))
    h = view.h.copy()
    for name in head.names:
        block = head.block(name)
        h[b, block] = -h[a, block] + 1e-5 * np.random.default_rng(0).normal(size=block.stop - block.start)
    near = replace(view, h=h)
    [interest] = resolve(
        sample.collection, near, Side(liked=["item-0000", "item-0030"]), HistoryRules()
    ).interests
    assert interest.u.any()
    for position in range(40, 60):
        found = parts.by_source(head, parts.directions(head, near, interest), near.h[position])
        assert total([*found, *parts.baselines(head, interest, near.h[position])]) == pytest.approx(
            float(head.score(near.h[position][None], interest.u)[0]), abs=TOLERANCE
        )


def test_an_explanation_stays_that_of_its_score_when_behaviour_is_learnt_again(sample: Live) -> None:
    [interest] = interests(sample, history=[Past("item-0003", CLICK)])
    neighbours = sample.collection.index.neighbours
    assert neighbours is not None
    before = explain(sample, "item-0006", interest)
    sample.collection.index.neighbours = None
    try:
        after = explain(sample, "item-0006", interest)
    finally:
        sample.collection.index.neighbours = neighbours
    assert after.score == before.score and total(after.by_place) == pytest.approx(after.score, abs=TOLERANCE)
