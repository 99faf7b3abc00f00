"""The user side: interests, and the contribution of each source."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import InvalidArgument, NotFound
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.history import CLICK, DISLIKED, PURCHASE, VIEW, Interaction
from itemlens_server.fusion.query import Asking, ChannelChange, Query, ask
from itemlens_server.fusion.scoring import bind
from itemlens_server.fusion.terms import Attribute, Behaviour, Succession
from itemlens_server.fusion.weights import ANYONE, NEXT, SIMILAR
from itemlens_server.services import Content, EncodedContent
from itemlens_server.services.fuser import content_units
from support.live import Live


def content_of(live: Live, text: str) -> dict[str, Array]:
    """q by channel of a text."""
    [outcome] = live.encoder.encode(
        live.collection.space, [Content("text", "text", text)], "query", CallContext()
    )
    assert isinstance(outcome, EncodedContent)
    return content_units(live.collection.space, {"text": [outcome.v]})


class TestResolve:
    def resolve(self, sample: Live, **query: Any) -> Asking:
        return sample.scorer(Query(**query)).asking

    def test_unlike_past_items_are_interests_of_their_own_with_the_weight_of_their_items(
        self, sample: Live
    ) -> None:
        shoe, dress, shoe2 = "item-0000", "item-0001", "item-0030"
        asking = self.resolve(
            sample,
            history=[Interaction(dress, VIEW), Interaction(shoe, PURCHASE), Interaction(shoe2, PURCHASE)],
        )
        assert [set(i.item_ids) for i in asking.interests] == [{shoe, shoe2}, {dress}]
        total = 1.0 + 0.9 + 0.2 * 0.81
        assert [i.weight for i in asking.interests] == pytest.approx([1.9 / total, 0.2 * 0.81 / total])

    def test_one_interest_can_be_asked_for(self, sample: Live) -> None:
        history = [Interaction(f"item-{n:04d}", CLICK) for n in range(6)]
        [interest] = self.resolve(sample, history=history, max_interests=1).interests
        assert len(interest.item_ids) == 6 and interest.weight == 1.0

    def test_liked_items_are_taken_as_one_interest(self, sample: Live) -> None:
        [interest] = self.resolve(sample, liked=["item-0000", "item-0001", "item-0002"]).interests
        assert interest.item_ids == () and len(interest.sources) == 1

    def test_u_is_the_weighted_sum_of_its_sources_and_the_prior(self, sample: Live) -> None:
        head = sample.collection.space.head
        parts: list[dict[str, Any]] = [
            {"content": content_of(sample, "red shoe")},
            {"liked": ["item-0001"]},
            {"history": [Interaction("item-0000", PURCHASE)]},
            {"vector": np.random.default_rng(0).normal(size=36).astype(np.float32)},
        ]
        weights = {"query": 2.0, "liked": 0.5, "history": 1.5, "query_vector": 0.25}
        start = np.zeros(head.dimension, np.float32)
        flag = head.block("image").stop
        start[flag : flag + 2] = (
            0.2,
            -0.1,
        )  # what having a picture, or a predicted one, says after a history
        alone = []
        for part, factor in zip(parts, weights.values(), strict=True):
            prior = start if "history" in part else 0.0
            alone.append((self.resolve(sample, **part).interests[0].u - prior) * factor)
        merged: dict[str, Any] = {}
        for part in parts:
            merged |= part
        together = self.resolve(sample, **merged, source_weights=weights).interests[0].u
        np.testing.assert_allclose(together, start + sum(alone), atol=1e-4)

    def test_items_without_events_are_asked_with_weights_of_their_own(self, sample: Live) -> None:
        head = sample.collection.space.head
        [interest] = self.resolve(sample, history=[Interaction("item-0000", PURCHASE)]).interests
        text, image = head.block("text"), head.block("image")
        np.testing.assert_allclose(interest.cold[text], interest.u[text] * 7 / 5, rtol=1e-5)
        np.testing.assert_array_equal(interest.cold[image], interest.u[image])

    def test_the_prior_is_that_of_users_or_of_anyone(self, sample: Live) -> None:
        head = sample.collection.space.head
        history = [Interaction("item-0000", PURCHASE)]
        assert self.resolve(sample, history=history, liked=["item-0001"]).prior == head.weights(NEXT)
        assert self.resolve(sample, liked=["item-0001"]).prior == head.weights(ANYONE)

    def test_a_dislike_is_no_part_of_u(self, sample: Live) -> None:
        with_it, without = (
            self.resolve(sample, liked=["item-0001"], disliked=disliked) for disliked in (["item-0000"], [])
        )
        np.testing.assert_array_equal(with_it.interests[0].u, without.interests[0].u)
        assert with_it.disliked.tolist() == [0] and with_it.had.tolist() == []

    def test_an_event_of_type_dislike_is_a_dislike(self, sample: Live) -> None:
        told = self.resolve(
            sample, history=[Interaction("item-0001", CLICK), Interaction("item-0000", DISLIKED)]
        )
        asked = self.resolve(sample, history=[Interaction("item-0001", CLICK)], disliked=["item-0000"])
        np.testing.assert_array_equal(told.interests[0].u, asked.interests[0].u)
        assert told.disliked.tolist() == asked.disliked.tolist() == [0]
        assert told.seen == asked.seen == {"item-0000", "item-0001"}

    def test_changed_weights_hold_for_every_source(self, sample: Live) -> None:
        head = sample.collection.space.head
        changes = {"text": ChannelChange(weight=0.0), "image": ChannelChange(threshold=0.9)}
        u = (
            self.resolve(
                sample, liked=["only-picture"], content=content_of(sample, "red"), channel_changes=changes
            )
            .interests[0]
            .u
        )
        assert not u[head.block("text").start : head.block("text").stop + 2].any()
        assert u[head.block("image").stop] == pytest.approx(-5.0 * 0.9)

    def test_unknown_items_are_passed_over_and_told(self, sample: Live) -> None:
        asking = self.resolve(
            sample, history=[Interaction("gone", CLICK), Interaction("item-0000", CLICK)], liked=["nope"]
        )
        assert [(n.reason, n.field) for n in asking.warnings] == [
            ("UNKNOWN_ITEM", "user.history"),
            ("UNKNOWN_ITEM", "user.liked_item_ids"),
        ]
        assert "'gone'" in asking.warnings[0].message

    def test_nothing_but_unknown_items_is_not_found(self, sample: Live) -> None:
        with pytest.raises(NotFound) as error:
            self.resolve(sample, liked=["gone"])
        assert (error.value.resource_type, error.value.name) == ("item", "gone")

    @pytest.mark.parametrize(
        ("side", "field"),
        [
            ({}, "user"),
            (
                {"content": {"text": np.ones(20, np.float32)}, "source_weights": {"query": 0.0}},
                "user.source_weights",
            ),
        ],
    )
    def test_a_side_that_asks_for_nothing_is_refused(
        self, sample: Live, side: dict[str, object], field: str
    ) -> None:
        with pytest.raises(InvalidArgument) as error:
            self.resolve(sample, **side)
        assert error.value.field == field

    def test_an_unknown_channel_in_the_weights_is_refused(self, sample: Live) -> None:
        with pytest.raises(InvalidArgument, match="no channel 'smell'"):
            self.resolve(sample, liked=["item-0000"], channel_changes={"smell": ChannelChange(1.0)})

    def test_past_items_that_cancel_each_other_out_ask_for_nothing(self, sample: Live) -> None:
        snapshot, head = sample.collection.snapshot(), sample.collection.space.head
        opposite = snapshot.view.h.copy()
        a, b = (snapshot.view.position(i) for i in ("item-0000", "item-0030"))
        assert a is not None and b is not None
        opposite[b] = opposite[a]
        for name in head.names:
            opposite[b, head.block(name)] *= -1
        turned = replace(snapshot, view=replace(snapshot.view, h=opposite))
        asking = ask(turned, Query(liked=["item-0000", "item-0030"]), sample.settings.type_weights())
        assert not asking.interests[0].u.any()

    def test_past_and_liked_items_are_sources_of_their_own(self, sample: Live) -> None:
        history = [Interaction("item-0003", PURCHASE), Interaction("item-0006", PURCHASE)]
        asking = self.resolve(sample, history=history, liked=["item-0000"], source_weights={"liked": 0.5})
        terms = [t for t in bind(asking).terms if isinstance(t, Behaviour)]
        assert [dict(zip(t.source.past.item_ids, t.amounts.tolist(), strict=True)) for t in terms] == [
            pytest.approx({"item-0006": 1.0, "item-0003": 0.9}),
            {"item-0000": 1.0},
        ]
        head = sample.collection.space.head
        sources = (asking.history, asking.liked)
        assert [s.weights for s in sources] == [head.weights(NEXT), head.weights(SIMILAR)]
        assert [s.weight for s in sources] == [1.0, 0.5]

    @pytest.mark.parametrize("source", ["history", "liked"])
    def test_a_source_without_weight_has_no_terms(self, sample: Live, source: str) -> None:
        history = [Interaction("item-0003", PURCHASE)]
        asking = self.resolve(sample, history=history, liked=["item-0000"], source_weights={source: 0.0})
        for kind in (Behaviour, Succession, Attribute):
            assert len([t for t in bind(asking).terms if isinstance(t, kind)]) == 1

    def test_behaviour_weight_multiplies_what_other_users_did(self, sample: Live) -> None:
        positions = np.arange(150)

        def evidence(*kinds: type, **query: Any) -> np.ndarray:
            scorer = bind(self.resolve(sample, history=[Interaction("item-0000", CLICK)], **query))
            own = [t for t in scorer.terms if isinstance(t, kinds)]
            evidence = [t.evidence(0, positions, scorer.states[positions]) for t in own]
            return np.asarray(np.sum(evidence, axis=0))

        both, attribute = (Behaviour, Succession), Attribute
        assert evidence(*both).any() and evidence(attribute).any()
        np.testing.assert_allclose(evidence(*both, behaviour_weight=1.0), evidence(*both))
        np.testing.assert_allclose(evidence(*both, behaviour_weight=2.0), 2 * evidence(*both), rtol=1e-5)
        assert not evidence(*both, behaviour_weight=0.0).any()
        np.testing.assert_array_equal(evidence(attribute, behaviour_weight=2.0), evidence(attribute))
