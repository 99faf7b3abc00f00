"""The user side: the weights of a history, and the contribution of each source."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import InvalidArgument, NotFound
from itemlens_server.fusion.head import HISTORY, Array
from itemlens_server.fusion.history import CART, CLICK, DISLIKED, PURCHASE, VIEW, HistoryRules, Interaction
from itemlens_server.fusion.query import Asking, ChannelChange, Query, ask
from itemlens_server.fusion.scoring import bind
from itemlens_server.fusion.terms import Behaviour
from itemlens_server.services import Content, EncodedContent
from itemlens_server.services.fuser import content_units
from support.live import Live

IMPRESSION, RETURN = 1, 6


def content_of(live: Live, text: str) -> dict[str, Array]:
    """q by channel of a text."""
    [outcome] = live.encoder.encode(
        live.collection.space, [Content("text", "text", text)], "query", CallContext()
    )
    assert isinstance(outcome, EncodedContent)
    return content_units(live.collection.space, {"text": [outcome.v]})


EVENTS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 9)), max_size=40)


class TestShares:
    rules = HistoryRules()

    def share(self, *events: tuple[str, int]) -> dict[str, float]:
        return self.rules.shares([Interaction(i, t) for i, t in events])

    def test_what_was_done_weighs_by_its_type(self) -> None:
        for kind, weight in ((VIEW, 0.2), (CLICK, 0.5), (CART, 0.8), (PURCHASE, 1.0)):
            assert self.share(("a", kind)) == {"a": weight}

    def test_impressions_returns_and_dislikes_are_no_interest(self) -> None:
        assert self.share(("a", IMPRESSION), ("b", RETURN), ("c", DISLIKED), ("d", 99)) == {}

    def test_each_older_item_counts_a_tenth_less(self) -> None:
        shares = self.share(("old", CLICK), ("newer", CLICK), ("newest", CLICK))
        assert shares == pytest.approx({"newest": 0.5, "newer": 0.45, "old": 0.405})

    def test_an_item_that_comes_again_stands_at_its_latest_place_with_its_strongest_type(self) -> None:
        shares = self.share(("a", PURCHASE), ("b", CLICK), ("a", VIEW))
        assert shares == pytest.approx({"a": 1.0, "b": 0.45})

    def test_only_the_latest_items_of_the_window_count(self) -> None:
        shares = HistoryRules(window=50).shares([Interaction(f"i{n}", CLICK) for n in range(60)])
        assert set(shares) == {f"i{n}" for n in range(10, 60)}

    @given(EVENTS, st.integers(1, 5))
    def test_whatever_the_history(self, events: list[tuple[str, int]], window: int) -> None:
        rules = HistoryRules(window=window)
        shares = rules.shares([Interaction(i, t) for i, t in events])
        wanted = [i for i, t in events if t in rules.type_weights]
        assert len(shares) == min(window, len(set(wanted)))
        assert list(shares) == list(dict.fromkeys(reversed(wanted)))[:window]  # newest first
        assert all(0 < a <= 1 for a in shares.values())


class TestResolve:
    def resolve(self, sample: Live, **query: object) -> Asking:
        return sample.scorer(Query(**query)).asking  # type: ignore[arg-type]

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

    def test_u_is_the_weighted_sum_of_its_sources(self, sample: Live) -> None:
        parts: list[dict[str, Any]] = [
            {"content": content_of(sample, "red shoe")},
            {"liked": ["item-0001"]},
            {"disliked": ["item-0002"]},
            {"vector": np.random.default_rng(0).normal(size=36).astype(np.float32)},
        ]
        weights = {"query": 2.0, "liked": 0.5, "disliked": 3.0, "query_vector": 0.25}
        alone = [
            self.resolve(sample, **part).interests[0].u * factor
            for part, factor in zip(parts, weights.values(), strict=True)
        ]
        merged: dict[str, Any] = {}
        for part in parts:
            merged |= part
        together = self.resolve(sample, **merged, source_weights=weights).interests[0].u
        np.testing.assert_allclose(together, sum(alone), atol=1e-5)

    def test_a_dislike_counts_against_under_weights_of_its_own(self, sample: Live) -> None:
        head = sample.collection.space.head
        disliked = self.resolve(sample, disliked=["item-0000"]).interests[0].u
        liked = self.resolve(sample, liked=["item-0000"]).interests[0].u
        block = head.block("text")
        np.testing.assert_allclose(disliked[block], -liked[block], atol=1e-6)  # both weigh 1 in text
        assert disliked[block.stop] == pytest.approx(0.05)  # w theta of dislikes, not of histories

    def test_an_event_of_type_dislike_is_a_dislike(self, sample: Live) -> None:
        told = self.resolve(
            sample, history=[Interaction("item-0001", CLICK), Interaction("item-0000", DISLIKED)]
        )
        asked = self.resolve(sample, history=[Interaction("item-0001", CLICK)], disliked=["item-0000"])
        np.testing.assert_array_equal(told.interests[0].u, asked.interests[0].u)
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
        assert u[head.block("image").stop] == pytest.approx(-0.7 * 0.9)

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
            self.resolve(sample, history=[Interaction("gone", CLICK)])
        assert (error.value.resource_type, error.value.name) == ("item", "gone")

    @pytest.mark.parametrize(
        "side", [{}, {"content": {"text": np.ones(20, np.float32)}, "source_weights": {"query": 0.0}}]
    )
    def test_a_side_that_asks_for_nothing_is_refused(self, sample: Live, side: dict[str, object]) -> None:
        with pytest.raises(InvalidArgument) as error:
            self.resolve(sample, **side)
        assert error.value.field == "user"

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
        asking = ask(turned, Query(liked=["item-0000", "item-0030"]), HistoryRules())
        assert not asking.interests[0].u.any()

    def test_behaviour_follows_each_source_by_its_weight(self, sample: Live) -> None:
        def past(**weights: float) -> dict[str, float]:
            history = [Interaction("item-0003", PURCHASE)]
            asking = self.resolve(
                sample, history=history, liked=["item-0000", "item-0003"], source_weights=weights
            )
            [term] = [term for term in bind(asking).terms if isinstance(term, Behaviour)]
            return dict(term.past)

        assert past() == {"item-0003": 1.5, "item-0000": 0.5}
        assert past(liked=0.0) == {"item-0003": 1.0}
        assert past(history=0.0) == {"item-0003": 0.5, "item-0000": 0.5}
        assert past(history=2.0, liked=0.2) == pytest.approx({"item-0003": 2.1, "item-0000": 0.1})

    def test_behaviour_weight_is_that_of_histories_unless_given(self, sample: Live) -> None:
        positions = np.arange(150)

        def behaviour(**query: object) -> np.ndarray:
            scorer = bind(self.resolve(sample, liked=["item-0000"], **query))
            return sum(t.scores(0, positions) for t in scorer.terms if isinstance(t, Behaviour))  # type: ignore[return-value]

        fitted = sample.collection.space.head.weights(HISTORY).behaviour
        assert behaviour().any() and fitted == 0.8
        np.testing.assert_allclose(behaviour(behaviour_weight=1.6), 2 * behaviour(), rtol=1e-6)
        assert not behaviour(behaviour_weight=0.0).any()
