"""Encode, fuse, recommend, explain and the catalogue, as a caller sees them."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

import grpc
import numpy as np
import pytest
from PIL import Image

import itemlens
from itemlens import (
    ChannelWeight,
    Event,
    FuseInput,
    Interaction,
    Item,
    PartKind,
    Presence,
    Relation,
    Role,
    SourceWeights,
)
from itemlens._types import UserSideFields
from itemlens.v1 import common_pb2, itemlens_pb2
from support import spaces
from support.serving import Server, sample_items
from support.spaces import Tiny

SAMPLES = {i.item_id: i for i in spaces.sample_items(150)}
THREE_PAST = ["item-0000", "item-0001", "item-0003"]


def with_pictures(count: int) -> str:
    return next(i.item_id for i in SAMPLES.values() if len(i.pictures) == count)


class TestEncode:
    def test_gives_a_vector_for_each_input_in_order(self, sample: itemlens.Client) -> None:
        texts = ["red shoe", "a silk dress", "red shoe"]
        results = sample.encode(texts, pictures=[spaces.picture("tour", "red")])
        assert [r.channel for r in results] == ["text", "text", "text", "image"]
        vectors = [r.vector for r in results if r.vector is not None]
        assert all(v.role is Role.CHANNEL and v.space_id == results.space_id for v in vectors)
        assert [len(v) for v in vectors] == [32, 32, 32, 24]
        np.testing.assert_array_equal(np.asarray(vectors[0]), np.asarray(vectors[2]))

    def test_a_query_is_encoded_in_its_own_way(self, sample: itemlens.Client) -> None:
        item = sample.encode(["red shoe"], purpose="item").vectors[0]
        query = sample.encode(["red shoe"], purpose="query").vectors[0]
        assert not np.allclose(item, query)

    def test_unit_length_is_by_request(self, sample: itemlens.Client) -> None:
        raw = sample.encode(["red shoe"]).vectors[0]
        unit = sample.encode(["red shoe"], unit_length=True).vectors[0]
        assert np.linalg.norm(raw) != pytest.approx(1.0, abs=1e-3)
        np.testing.assert_allclose(unit, raw / np.linalg.norm(raw), atol=1e-6)

    def test_another_space_gives_other_vectors(self, sample: itemlens.Client, tiny: Tiny) -> None:
        here, there = (
            sample.encode(["red"], channel="text"),
            sample.encode(["red"], channel="text", space="other"),
        )
        assert (here.space_id, there.space_id) == (tiny.fitted, tiny.other)
        assert not np.allclose(here.vectors, there.vectors)


class TestFuse:
    def test_of_contents_and_of_their_vectors_is_the_same(self, sample: itemlens.Client) -> None:
        picture = spaces.picture("shoe", "red")
        encoded = sample.encode(["red shoe"], pictures=[picture])
        vectors = [r.vector for r in encoded if r.vector is not None]
        inputs = [FuseInput(text="red shoe", picture=picture), FuseInput(vectors=vectors)]
        a, b = sample.fuse(inputs, "item").vectors
        np.testing.assert_allclose(a, b, atol=1e-6)

    def test_tells_how_each_channel_came_in(self, sample: itemlens.Client) -> None:
        item, query = (
            sample.fuse([FuseInput(text="red")])[0],
            sample.fuse([FuseInput(text="red")], "query")[0],
        )
        assert item.presence == {"text": Presence.PRESENT, "image": Presence.PREDICTED}
        assert query.presence == {"text": Presence.PRESENT, "image": Presence.ABSENT}

    def test_a_stored_items_vector_is_that_of_its_contents(self, sample: itemlens.Client) -> None:
        item = SAMPLES[with_pictures(2)]
        [stored] = sample.get_items([item.item_id], vectors=True)
        fused = sample.fuse([FuseInput(text=item.text, pictures=list(item.pictures))])
        assert stored.vector is not None and stored.vector.role is Role.ITEM
        np.testing.assert_allclose(stored.vector.values, fused.vectors[0], atol=1e-5)

    def test_a_query_vector_asks_what_its_contents_ask(self, sample: itemlens.Client) -> None:
        [asked] = sample.fuse([FuseInput(text="red shoe")], "query")
        by_vector = sample.recommend(query_vector=asked.vector, k=20)
        by_words = sample.recommend(text="red shoe", k=20)
        assert [i.item_id for i in by_vector] == [i.item_id for i in by_words]
        np.testing.assert_allclose([i.score for i in by_vector], [i.score for i in by_words], atol=1e-5)

    def test_the_dot_product_is_the_log_odds(self, sample: itemlens.Client) -> None:
        [asked] = sample.fuse([FuseInput(text="red shoe")], "query")
        answer = sample.recommend(text="red shoe", k=5)
        stored = sample.get_items([i.item_id for i in answer], vectors=True)
        dots = [np.asarray(s.vector) @ np.asarray(asked.vector) for s in stored]
        scores = np.asarray([i.score for i in answer])
        np.testing.assert_allclose(dots - dots[0], scores - scores[0], atol=1e-5)

    def test_weights_can_be_changed_for_a_query(self, sample: itemlens.Client) -> None:
        plain, heavy = (
            np.asarray(sample.fuse([FuseInput(text="red")], "query", channel_weights=w).vectors[0])
            for w in (None, {"text": ChannelWeight(weight=24.0)})  # 8 was fitted
        )
        np.testing.assert_allclose(heavy, 3 * plain, atol=1e-5)


class TestRecommend:
    def test_somebody_unknown_is_answered_and_the_answer_says_so(self, sample: itemlens.Client) -> None:
        answer = sample.recommend("nobody", k=20, parts=True, reasons=True)
        assert answer.basis is itemlens.Basis.PRIOR and len(answer) == 20
        assert all(item.reason for item in answer)
        ids = [item.item_id for item in answer]
        for item, why in zip(answer, sample.explain(ids, "nobody"), strict=True):
            assert why.error is None and abs(why.residual) < 1e-4
            assert why.score == pytest.approx(item.score, abs=1e-5) and why.sentence == item.reason
            assert sum(part.value for part in item.parts) == pytest.approx(item.score, abs=1e-4)
        assert sample.recommend("nobody", text="red shoe").basis is itemlens.Basis.EVIDENCE

    def test_positions_count_from_one_and_scores_fall(self, sample: itemlens.Client) -> None:
        answer = sample.recommend(text="red shoe")
        assert [i.position for i in answer] == list(range(1, 11))
        scores = [i.score for i in answer]
        assert scores == sorted(scores, reverse=True)
        assert answer.eligible_items == 150 and answer.recommendation_id

    def test_words_and_a_picture_find_what_has_both(self, sample: itemlens.Client) -> None:
        answer = sample.recommend(text="kettle", picture=spaces.picture("kettle", "blue"), k=3)
        assert {SAMPLES[i.item_id].theme for i in answer} == {"kettle"}

    def test_chinese_words_find_english_items_of_the_theme(self, sample: itemlens.Client) -> None:
        answer = sample.recommend(text="跑步的鞋", k=5)
        assert [SAMPLES[i.item_id].theme for i in answer] == ["shoe"] * 5

    def test_a_history_is_several_interests_that_share_the_list(self, sample: itemlens.Client) -> None:
        answer = sample.recommend(history=THREE_PAST, k=30, query_vectors=True)
        assert sorted(i for interest in answer.interests for i in interest.item_ids) == THREE_PAST
        assert sum(i.weight for i in answer.interests) == pytest.approx(1.0)
        assert not {i.item_id for i in answer} & set(THREE_PAST)
        assert all(i.query_vector is not None and i.query_vector.role is Role.QUERY for i in answer.interests)
        used = {i.interest for i in answer}
        assert used == set(range(len(answer.interests)))

    def test_an_interests_vector_can_be_asked_again(self, sample: itemlens.Client) -> None:
        answer = sample.recommend(history=["item-0000"], behaviour_weight=0.0, query_vectors=True)
        again = sample.recommend(query_vector=answer.interests[0].query_vector, exclude_seen=False, k=11)
        assert [i.item_id for i in again if i.item_id != "item-0000"][:10] == [i.item_id for i in answer]

    def test_times_put_a_history_in_order(self, sample: itemlens.Client) -> None:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        dated = [Interaction(i, time=now - timedelta(days=n)) for n, i in enumerate(THREE_PAST)]
        by_time = sample.recommend(history=dated)
        by_order = sample.recommend(history=THREE_PAST[::-1])
        assert [i.item_id for i in by_time] == [i.item_id for i in by_order]

    def test_liked_items_are_one_interest(self, sample: itemlens.Client) -> None:
        answer = sample.recommend(liked=THREE_PAST)
        assert len(answer.interests) == 1 and not answer.interests[0].item_ids

    def test_a_disliked_item_takes_down_what_is_like_it(self, sample: itemlens.Client) -> None:
        def probabilities(*disliked: str) -> dict[str, float]:
            """By theme."""
            answer = sample.recommend(text="good", disliked=disliked, k=150, exclude_seen=False)
            by_theme = dict.fromkeys((s.theme for s in SAMPLES.values()), 0.0)
            for item in answer:
                by_theme[SAMPLES[item.item_id].theme] += float(np.exp(item.score))
            assert sum(by_theme.values()) == pytest.approx(1.0, abs=1e-4)
            return by_theme

        before, after = probabilities(), probabilities("item-0000")  # a shoe
        assert after["shoe"] < before["shoe"] / 2
        assert all(after[theme] > before[theme] for theme in before if theme != "shoe")

    def test_sources_blend_by_their_weights(self, sample: itemlens.Client) -> None:
        def scores(**side: Unpack[UserSideFields]) -> dict[str, float]:
            side["behaviour_weight"] = 0.0
            answer = sample.recommend(k=150, exclude_seen=False, **side)
            return {i.item_id: i.score for i in answer}

        words, liked = scores(text="red shoe"), scores(liked=["item-0001"])
        blended = scores(
            text="red shoe", liked=["item-0001"], source_weights=SourceWeights(query=2.0, liked=0.5)
        )
        for item_id, score in blended.items():
            # Scores are log-probabilities: the log-odds between two items add up.
            log_odds = [s[item_id] - s["item-0000"] for s in (words, liked)]
            expected = 2 * log_odds[0] + 0.5 * log_odds[1]
            assert score - blended["item-0000"] == pytest.approx(expected, abs=1e-4)

    def test_probabilities_are_given_for_what_was_fitted_to_choices(self, sample: itemlens.Client) -> None:
        answer = sample.recommend(history=THREE_PAST, k=150, probabilities=True)
        probabilities = [i.probability or 0.0 for i in answer]
        assert sum(probabilities) == pytest.approx(1.0, abs=1e-4) and min(probabilities) > 0
        assert {i.probability for i in sample.recommend(history=THREE_PAST)} == {None}
        with pytest.raises(itemlens.FailedPrecondition, match="itemlens fit"):
            sample.recommend(text="red shoe", probabilities=True)

    def test_channel_weights_of_nought_leave_a_channel_out(self, sample: itemlens.Client) -> None:
        answer = sample.recommend(
            text="red shoe",
            picture=spaces.picture("fund", "red"),
            channel_weights={"image": ChannelWeight(weight=0.0)},
        )
        words = sample.recommend(text="red shoe")
        assert [i.item_id for i in answer] == [i.item_id for i in words]

    def test_candidates_a_share_exact_and_seen(self, sample: itemlens.Client) -> None:
        candidates = [f"item-{n:04d}" for n in range(40)]
        assert {i.item_id for i in sample.recommend(text="red", candidates=candidates, k=40)} == set(
            candidates
        )
        assert len(sample.recommend(text="red", candidates=candidates, top_fraction=0.1)) == 4
        assert (
            len(sample.recommend(history=["item-0000"], top_fraction=0.1)) == 15
        )  # of the 149 that are left
        assert [i.item_id for i in sample.recommend(text="red", exact=True)] == [
            i.item_id for i in sample.recommend(text="red")
        ]
        assert "item-0000" in {
            i.item_id for i in sample.recommend(history=["item-0000"], exclude_seen=False, k=150)
        }

    def test_parts_and_reasons_come_along(self, sample: itemlens.Client) -> None:
        answer = sample.recommend(text="red shoe", liked=["item-0001"], parts=True, reasons=True)
        for item in answer:
            assert sum(p.value for p in item.parts) == pytest.approx(item.score, abs=1e-4)
            assert {p.kind for p in item.parts} <= {
                PartKind.QUERY,
                PartKind.PAST_ITEM,
                PartKind.BASELINE,
                PartKind.BEHAVIOUR,
                PartKind.ATTRIBUTE,
                PartKind.NORMALISATION,
            }
            assert item.reason.endswith(".")
        chinese = sample.recommend(text="red shoe", reasons=True, language="zh")
        assert all(i.reason.endswith("。") for i in chinese)
        assert not any(i.parts or i.reason for i in sample.recommend(text="red shoe"))


class TestExplain:
    @pytest.mark.parametrize(
        "side",
        [
            {"text": "red shoe"},
            {"picture": spaces.picture("dress", "green")},
            {"history": THREE_PAST},
            {"liked": THREE_PAST[:2], "disliked": ["item-0004"], "text": "蓝色的裙"},
        ],
        ids=lambda s: "+".join(s),
    )
    def test_by_recommendation_adds_up_to_the_score_that_was_given(
        self, sample: itemlens.Client, side: UserSideFields
    ) -> None:
        answer = sample.recommend(k=12, **side)
        explanations = sample.explain(
            [i.item_id for i in answer], recommendation_id=answer.recommendation_id, sums=True
        )
        for explanation, given in zip(explanations, answer, strict=True):
            assert explanation.error is None and explanation.score == given.score
            assert abs(explanation.residual) < 1e-4
            for parts in (explanation.by_channel, explanation.by_source, explanation.by_place):
                assert sum(p.value for p in parts) == pytest.approx(given.score, abs=1e-4)
            for whole in explanation.sums:
                np.testing.assert_allclose(whole.values.sum(0), [p.value for p in whole.places], atol=1e-4)
            assert explanation.sentence

    def test_by_side_is_the_same_for_one_interest(self, sample: itemlens.Client) -> None:
        answer = sample.recommend(text="red shoe", k=3)
        ids = [i.item_id for i in answer]
        by_answer = sample.explain(ids, recommendation_id=answer.recommendation_id)
        by_side = sample.explain(ids, text="red shoe")
        assert [e.score for e in by_side] == [e.score for e in by_answer]
        assert [e.by_place for e in by_side] == [e.by_place for e in by_answer]

    @pytest.mark.parametrize("exclude_seen", [True, False])
    def test_by_side_is_of_the_same_list(self, sample: itemlens.Client, exclude_seen: bool) -> None:
        side: UserSideFields = {"history": THREE_PAST[:1]}
        answer = sample.recommend(k=3, exclude_seen=exclude_seen, **side)
        by_side = sample.explain([i.item_id for i in answer], exclude_seen=exclude_seen, **side)
        assert [e.score for e in by_side] == pytest.approx([i.score for i in answer], abs=1e-5)
        assert (THREE_PAST[0] in [i.item_id for i in answer]) is not exclude_seen

    def test_by_side_has_no_score_of_what_the_list_leaves_out(self, sample: itemlens.Client) -> None:
        new, seen = sample.explain(["item-0009", THREE_PAST[0]], history=THREE_PAST)
        assert new.error is None and isinstance(seen.error, itemlens.InvalidArgument)
        assert seen.error.violations[0].field == "item_ids[1]" and "exclude_seen" in seen.error.message

    def test_by_recommendation_knows_what_its_list_left_out(
        self, server: Server, sample: itemlens.Client
    ) -> None:
        answer = sample.recommend(history=THREE_PAST, k=1)
        request = itemlens_pb2.ExplainRequest(
            recommendation_id=answer.recommendation_id, item_ids=[answer[0].item_id], exclude_seen=False
        )
        with pytest.raises(grpc.RpcError, match="leave it out") as error:
            server.item_lens.Explain(request, timeout=30)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    def test_points_at_the_words(self, sample: itemlens.Client) -> None:
        item_id = next(i for i, s in SAMPLES.items() if s.text.isascii() and s.colour == "green")
        [explanation] = sample.explain([item_id], text="green")
        words = [p for p in explanation.by_place if p.kind is PartKind.TOKEN and p.channel == "text"]
        text = SAMPLES[item_id].text
        assert all(text[p.start : p.end] == p.text for p in words)
        assert max(words, key=lambda p: p.value).text == "green"

    def test_of_an_item_that_is_not_in_the_recommendation_is_refused_for_that_item(
        self, sample: itemlens.Client
    ) -> None:
        answer = sample.recommend(text="red shoe", k=1)
        other = next(i for i in SAMPLES if i != answer[0].item_id)
        explanations = sample.explain([answer[0].item_id, other], recommendation_id=answer.recommendation_id)
        assert explanations[0].error is None and isinstance(explanations[1].error, itemlens.InvalidArgument)

    def test_of_an_item_that_changed_since_is_refused_for_that_item(self, client: itemlens.Client) -> None:
        client.upsert([Item(i, text=f"red shoe {i}") for i in "abc"])
        answer = client.recommend(text="red shoe", k=3)
        client.upsert([Item("a", text="blue dress")])
        client.delete_items(["b"])
        errors = {
            e.item_id: e.error
            for e in client.explain(["a", "b", "c"], recommendation_id=answer.recommendation_id)
        }
        assert errors["c"] is None
        assert isinstance(errors["a"], itemlens.FailedPrecondition)
        assert isinstance(errors["b"], itemlens.FailedPrecondition)

    def test_heat_maps_as_numbers(self, sample: itemlens.Client) -> None:
        item_id = with_pictures(2)
        [explanation] = sample.explain([item_id], picture=spaces.picture("shoe", "red"), heat_map="grid")
        assert [(m.channel, m.picture_index, m.values.shape) for m in explanation.heat_maps] == [
            ("image", 0, (4, 4)), ("image", 1, (4, 4)),
        ]  # fmt: skip
        cells = [p for p in explanation.by_place if p.kind is PartKind.CELL]
        for m in explanation.heat_maps:
            for p in cells:
                if p.picture_index == m.picture_index:
                    assert m.values[p.row, p.column] == pytest.approx(p.value, abs=1e-6)

    def test_heat_maps_as_a_picture(self, sample: itemlens.Client) -> None:
        [explanation] = sample.explain(
            [with_pictures(1)], picture=spaces.picture("shoe", "red"), heat_map="png"
        )
        drawn = Image.open(io.BytesIO(explanation.heat_maps[0].png))
        assert (drawn.format, drawn.size, drawn.mode) == ("PNG", (spaces.SIDE, spaces.SIDE), "RGB")

    def test_a_heat_map_lies_on_the_upright_picture(self, client: itemlens.Client) -> None:
        # A picture that is stored lying on its side: its red half is on the left once it is turned.
        pixels = np.full((32, 32, 3), 255, np.uint8)
        pixels[:, :16] = (220, 30, 30)
        turned = Image.fromarray(np.rot90(pixels).copy())
        exif = Image.Exif()
        exif[0x0112] = 6  # turn by 90 degrees clockwise to see it
        client.upsert(
            [Item("a", picture=spaces.encoded(turned, "JPEG", exif=exif, quality=95))]
        ).raise_for_errors()
        [explanation] = client.explain(["a"], picture=spaces.picture("shoe", "red"), heat_map="png")
        drawn = np.asarray(Image.open(io.BytesIO(explanation.heat_maps[0].png)).convert("RGB"), np.int32)
        greenness = drawn[..., 1].mean(0)
        assert greenness[:12].mean() < greenness[20:].mean()

    def test_without_pictures_there_is_no_heat_map(self, sample: itemlens.Client) -> None:
        item_id = with_pictures(0)
        [explanation] = sample.explain([item_id], text="red", heat_map="grid")
        assert explanation.heat_maps == ()

    def test_an_item_may_be_explained_twice_in_one_call(self, sample: itemlens.Client) -> None:
        a, b = sample.explain(["item-0001", "item-0001"], text="red")
        assert a.by_place == b.by_place and a.score == b.score

    def test_an_unknown_format_of_heat_map_is_taken_for_numbers(
        self, server: Server, sample: itemlens.Client
    ) -> None:
        unknown: Any = 9
        request = itemlens_pb2.ExplainRequest(
            collection="sample", item_ids=[with_pictures(1)], heat_map=unknown,
            user=common_pb2.UserSide(liked_item_ids=["item-0000"]),
        )  # fmt: skip
        assert server.item_lens.Explain(request, timeout=30).explanations[0].status.code == 0


class TestEvents:
    def test_change_the_next_answer(self, client: itemlens.Client) -> None:
        client.upsert(sample_items(60))
        client.record_events([Event("u", "item-0000", "purchase")])
        first = client.recommend("u")
        assert SAMPLES[first[0].item_id].theme == "shoe"
        client.record_events([Event("u", first[0].item_id, "view"), Event("u", "item-0001", "purchase")])
        second = client.recommend("u")
        assert first[0].item_id not in {i.item_id for i in second}
        assert "dress" in {SAMPLES[i.item_id].theme for i in second}

    def test_of_a_dislike_take_the_like_down(self, client: itemlens.Client) -> None:
        client.upsert(sample_items(60))
        client.record_events([Event("u", "item-0001", "purchase")])

        def place(user: str) -> float:
            scores = {i.item_id: i.score for i in client.recommend(user, k=60)}
            return float(np.mean([s for i, s in scores.items() if SAMPLES[i].theme == "fund"]))

        before = place("u")
        client.record_events([Event("u", "item-0005", "dislike")])
        assert place("u") < before

    def test_are_added_to_before_the_history_of_a_call(self, client: itemlens.Client) -> None:
        client.upsert(sample_items(60))
        client.record_events([Event("u", "item-0000", "click")])
        both = client.recommend("u", history=["item-0001"])
        told = client.recommend(history=["item-0000", "item-0001"])
        assert [i.item_id for i in both] == [i.item_id for i in told]

    def test_of_a_deleted_user_are_gone(self, client: itemlens.Client, collection: str) -> None:
        client.upsert([Item("a", text="red"), Item("b", text="blue")])
        client.record_events([Event("u", "a"), Event("v", "a")])
        assert client.delete_user("u", collection=collection) == 1
        assert client.recommend("u").basis is itemlens.Basis.PRIOR
        assert client.recommend("v").basis is itemlens.Basis.EVIDENCE
        assert client.get_collection().event_count == 1

    def test_are_learnt_from_in_the_background(
        self, client: itemlens.Client, server: Server, collection: str
    ) -> None:
        client.upsert(sample_items(30))
        # Whoever takes 0 takes 13 next, which is nothing like it.
        events = [Event(f"u{n}", i) for n in range(60) for i in ("item-0000", "item-0013")]
        events += [Event(f"w{n}", f"item-{n % 30:04d}") for n in range(60)]
        client.record_events(events)
        server.wait_for_log(rf"collection {collection}: tables computed")
        answer = client.recommend(history=["item-0000"], parts=True, reasons=True, behaviour_weight=50.0)
        assert answer[0].item_id == "item-0013"
        assert any(p.kind is PartKind.BEHAVIOUR and p.past_item_id == "item-0000" for p in answer[0].parts)
        [explanation] = client.explain(["item-0013"], recommendation_id=answer.recommendation_id)
        assert abs(explanation.residual) < 1e-3
        assert client.get_collection().behaviour_sequence_number > 0


class TestCatalogue:
    def test_items_come_back_as_they_were(self, client: itemlens.Client) -> None:
        picture = spaces.picture("shoe", "red")
        item = Item(
            "a",
            text="red shoe",
            pictures=[picture],
            attributes={"price": 3},
            relations=[Relation("goes_with", "b")],
        )
        client.upsert([item]).raise_for_errors()
        [whole] = client.get_items(["a"], pictures=True)
        assert whole.item.texts == {"text": "red shoe"} and whole.item.pictures == {"image": (picture,)}
        assert whole.item.relations == (Relation("goes_with", "b"),) and whole.item.attributes == {"price": 3}
        [without] = client.get_items(["a"])
        assert not without.item.pictures and without.vector is None

    def test_are_listed_page_by_page_by_id(self, client: itemlens.Client) -> None:
        for n in reversed(range(7)):
            client.upsert([Item(f"i{n}", text="red")])
        client.upsert([Item("i2", text="blue")])
        for size in (1, 3, 8, 1000):
            assert [i.item.item_id for i in client.list_items(page_size=size)] == [f"i{n}" for n in range(7)]

    def test_what_would_not_fit_into_a_message_is_paged_or_refused_with_what_to_do(
        self, client: itemlens.Client
    ) -> None:
        ids = [f"{n}-{m}" for n in range(6) for m in range(3)]
        for n in range(0, 18, 3):
            items = [Item(i, text="red", attributes={"x": "y" * (4_000_000)}) for i in ids[n : n + 3]]
            client.upsert(items).raise_for_errors()
        assert [i.item.item_id for i in client.list_items(page_size=1000)] == ids
        with pytest.raises(itemlens.InvalidArgument, match="ask for fewer"):
            client.get_items(ids)
        client.get_items(ids[:10]).raise_for_errors()

    def test_deleted_items_are_not_found_any_more(self, client: itemlens.Client) -> None:
        client.upsert([Item("a", text="red shoe"), Item("b", text="red shoe")])
        client.delete_items(["a"])
        assert [i.item_id for i in client.recommend(text="red shoe")] == ["b"]
        assert isinstance(client.get_items(["a"])[0].error, itemlens.NotFound)

    def test_merging_adds_a_picture_to_an_item(self, client: itemlens.Client) -> None:
        client.upsert([Item("a", text="red shoe"), Item("b", text="red shoe")])
        client.upsert([Item("a", picture=spaces.picture("shoe", "red"))], merge=True).raise_for_errors()
        answer = client.recommend(picture=spaces.picture("shoe", "red", 5))
        assert answer[0].item_id == "a"
        assert client.get_items(["a"])[0].item.texts == {"text": "red shoe"}

    def test_collections(self, server: Server, client: itemlens.Client, collection: str, tiny: Tiny) -> None:
        client.upsert([Item("a", text="red")])
        client.record_events([Event("u", "a")])
        about = client.get_collection()
        assert (about.name, about.space_id, about.item_count, about.event_count) == (
            collection,
            tiny.fitted,
            1,
            1,
        )
        assert about.sequence_number == 2
        assert collection in [c.name for c in client.list_collections()]
        names = [c.name for c in client.list_collections()]
        assert names == sorted(names)
        client.delete_collection(collection)
        assert collection not in [c.name for c in client.list_collections()]
        client.create_collection(collection)
        assert client.get_collection().item_count == 0

    def test_a_space_tells_what_it_can_do(self, sample: itemlens.Client, tiny: Tiny) -> None:
        fitted, plain = sample.space(), sample.space("tiny")
        assert (fitted.space_id, fitted.fitted, fitted.fused_dimension) == (tiny.fitted, True, 20 + 12 + 4)
        assert (plain.space_id, plain.fitted, plain.fused_dimension) == (tiny.plain, False, 32 + 24 + 4)
        assert [(c.name, c.dimension, c.provider, c.precision) for c in fitted.channels] == [
            ("text", 32, "CPUExecutionProvider", "fp32"), ("image", 24, "CPUExecutionProvider", "fp32"),
        ]  # fmt: skip

    def test_words_alone_score_an_item_exactly_the_same_with_and_without_its_picture(
        self, client: itemlens.Client
    ) -> None:
        pictured = [i for i in SAMPLES.values() if i.pictures][:40]
        client.upsert([Item(f"with-{i.item_id}", text=i.text, pictures=list(i.pictures)) for i in pictured])
        client.upsert([Item(f"without-{i.item_id}", text=i.text) for i in pictured])
        scores = {i.item_id: i.score for i in client.recommend(text="red running shoe", k=200)}
        assert len(scores) == 80
        assert all(scores[f"with-{i.item_id}"] == scores[f"without-{i.item_id}"] for i in pictured)


def test_of_a_deleted_user_no_recommendation_is_remembered(client: itemlens.Client, collection: str) -> None:
    client.upsert(sample_items(20)).raise_for_errors()
    taken = sample_items(1)[0].item_id
    client.record_events([itemlens.Event("one", taken, "purchase"), itemlens.Event("two", taken, "purchase")])
    gone, kept = (client.recommend(user_id=user, k=3) for user in ("one", "two"))

    client.delete_user("one", collection=collection)

    with pytest.raises(itemlens.NotFound):
        client.explain([gone.items[0].item_id], recommendation_id=gone.recommendation_id)
    assert client.explain([kept.items[0].item_id], recommendation_id=kept.recommendation_id)[0].score
