"""The score, compared with the formulas of the design written out item by item, and its parts, for any question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens_server.errors import ItemlensError
from itemlens_server.fusion.boosts import AppliedBoost
from itemlens_server.fusion.head import unit
from itemlens_server.fusion.history import DISLIKED, PURCHASE, RETURN, Interaction
from itemlens_server.fusion.parts import Floats, Part
from itemlens_server.fusion.query import CHANNEL_ITEMS, Query, ask
from itemlens_server.fusion.scoring import UNSCORED_SAMPLE, Scorer, bind, log_sum, sample_of
from itemlens_server.fusion.weights import (
    ANYONE,
    DISLIKE,
    NEXT,
    SIMILAR,
    ChannelWeights,
    ColumnWeights,
    QuestionWeights,
    search_question,
)
from itemlens_server.fusion.word_source import COSINE_PER_NAT
from itemlens_server.words.table import TYPO
from support.bm25 import bm25
from support.sizes import size
from support.tables import entry
from support.world import TYPE_WEIGHTS, World, random_boosts, random_query, random_world

SEEDS = st.integers(0, 2**32 - 1)
TOLERANCE = 1e-4


def bound(world: World, query: Query, boosts: Sequence[AppliedBoost] = ()) -> Scorer | None:
    """The scorer of a query; None if the query asks for nothing."""
    try:
        return bind(replace(ask(world.snapshot, query, TYPE_WEIGHTS), boosts=tuple(boosts)))
    except ItemlensError as error:
        assert any(said in error.message for said in ("empty", "none of the items", "leaves out all"))
        return None


class Reference:
    """alpha as a sum over sources and terms, in float64, written from the formulas alone."""

    def __init__(self, world: World, query: Query, interest_items: Sequence[str]) -> None:
        self.world, self.query, self.interest_items = world, query, interest_items
        told = [i for i in query.history if i.type == DISLIKED or i.type in TYPE_WEIGHTS]
        latest = {i.item_id: i.type for i in told}
        # Age in dislikes: those of the request are said now.
        said = [i.item_id for i in reversed(told) if i.type == DISLIKED and latest[i.item_id] == DISLIKED]
        earlier = {i: age for age, i in enumerate(dict.fromkeys(said))}
        self.disliked = earlier | dict.fromkeys(query.disliked, 0)
        self.past = {i: own for i, own in past_of(query.history).items() if i not in self.disliked}
        self.present = [i for i in self.past if i in world.item_ids]
        tables = world.snapshot.tables
        if not self.present and not (tables is not None and any(i in tables.rows for i in self.past)):
            self.past = {}  # nothing is known of it

    def alpha(self, item_id: str) -> float:
        query, total = self.query, self.prior(item_id)
        history, liked = query.weight("history"), query.weight("liked")
        weights, similar = self.weights(NEXT), self.weights(SIMILAR)
        ages = {i: n for i, (n, *_) in self.past.items()}
        strengths = {i: s for i, (_, s, *_) in self.past.items()}

        def shares(kind: str) -> dict[str, float]:
            return {i: strengths[i] * weights.decay(kind) ** ages[i] for i in self.past}

        newest = [i for i in self.present[:CHANNEL_ITEMS] if i in self.interest_items]
        a = shares("CHANNEL")
        total += history * self.channels(item_id, weights, {i: a[i] for i in newest})
        there = [i for i in query.liked if i in self.world.item_ids]
        total += liked * self.channels(item_id, similar, dict.fromkeys(there, 1.0))
        if query.content:
            asked = self.weights(search_question(query.content))
            total += query.weight("query") * (
                self.cosines(item_id, asked, query.content) + self.lexical(item_id)
            )
        if query.vector is not None:
            total += query.weight("query_vector") * float(self.world.h(item_id) @ query.vector)
        for kind in ("BEHAVIOUR", "SEQUENCE", "ATTRIBUTE"):
            for weight, own, past in (
                (history, weights, shares(kind)),
                (liked, similar, dict.fromkeys(query.liked, 1.0)),
            ):
                if past and own.column(kind).used and weight:
                    total += weight * self.past_term(kind, own, past, item_id)
        taken = {kind: shares(kind) if history else {} for kind in ("BEHAVIOUR", "SEQUENCE", "ATTRIBUTE")}
        lost = query.weight("disliked") * (self.dislikes(item_id) + self.rejections(item_id, taken))
        return total + history * self.repeats(item_id) - lost

    def weights(self, question: str) -> QuestionWeights:
        """The head's, with the caller's changes."""
        weights, query, names = self.world.head.weights(question), self.query, self.world.head.names
        factor = 1.0 if query.behaviour_weight is None else query.behaviour_weight
        weights = weights.scaled(("BEHAVIOUR", "SEQUENCE"), factor)
        channels = {n: weights.of(n) for n in names}
        for name, change in query.channel_changes.items():
            w = channels[name]
            changed = ChannelWeights(
                w.weight if change.weight is None else change.weight,
                w.threshold if change.threshold is None else change.threshold,
                w.imputed_threshold if change.imputed_threshold is None else change.imputed_threshold,
                w.cold if change.weight is None else change.weight,
            )
            channels[name] = changed
        return replace(weights, channels=channels)

    def state(self, item_id: str) -> int:
        """0 new to the user, 1 had, 2 without events."""
        tables = self.world.snapshot.tables
        if item_id in self.present:
            return 1
        return 2 if tables is not None and item_id not in tables.item_ids else 0

    def by_state(self, weights: QuestionWeights, column: str, item_id: str) -> float:
        w = weights.column(column)
        return (w.new, w.had, w.cold)[self.state(item_id)]

    def prior(self, item_id: str) -> float:
        head, h, tables = self.world.head, self.world.h(item_id), self.world.snapshot.tables
        weights, total = self.weights(NEXT if self.past else ANYONE), 0.0
        for name in head.names:
            flag = head.block(name).stop
            total += weights.column(f"PRESENT.{name}").new * h[flag]
            total += weights.column(f"IMPUTED.{name}").new * h[flag + 1]
        if tables is None:
            return total
        if self.state(item_id) == 2:
            return total + weights.column("NEWNESS").cold
        row = tables.rows.get(item_id)
        numbers = {"all": tables.takers, "recent": tables.recent, "trend": tables.trend}
        for name, counts in ((f"POPULARITY.{n}", of) for n, of in numbers.items()):
            g = 0.0 if row is None else math.log1p(counts[row])
            total += self.by_state(weights, name, item_id) * (g - weights.column(name).neutral)
        return total

    def channels(self, item_id: str, weights: QuestionWeights, past: Mapping[str, float]) -> float:
        head, q = self.world.head, {}
        for name in head.names:
            own = [(a, self.world.h(i)) for i, a in past.items()]
            e = [a * h[head.block(name)].astype(np.float64) for a, h in own if h[head.block(name).stop]]
            if np.linalg.norm(np.sum(e, axis=0)) > 1e-6:  # otherwise they cancel each other out
                q[name] = unit(np.sum(e, axis=0))
        return self.cosines(item_id, weights, q)

    def lexical(self, item_id: str) -> float:
        """A colour as it is, and "shoee" as a typo."""
        query, items = self.query, {i: own for i, own in self.world.words.items() if own}
        if not (query.words and item_id in items):
            return 0.0
        weights = self.world.head.weights(search_question(query.content))
        w = COSINE_PER_NAT * max(weights.of(name).weight for name in query.words)
        colour, shoe = next(iter(query.words.values()))
        return w * (bm25(colour.text, item_id, items) + TYPO * bm25(shoe.text[:-1], item_id, items))

    def cosines(self, item_id: str, weights: QuestionWeights, q: Mapping[str, np.ndarray]) -> float:
        h, head, total = self.world.h(item_id), self.world.head, 0.0
        for name, direction in q.items():
            block, w = head.block(name), weights.of(name)
            weight = w.cold if w.cold is not None and self.state(item_id) == 2 else w.weight
            cosine = float(h[block].astype(np.float64) @ direction)
            present, imputed = h[block.stop], h[block.stop + 1]
            total += weight * (cosine - w.threshold * present - w.imputed_threshold * imputed)
        return total

    def past_term(
        self, kind: str, weights: QuestionWeights, past: Mapping[str, float], item_id: str
    ) -> float:
        if kind != "ATTRIBUTE" and self.world.snapshot.tables is None:
            return 0.0
        w = weights.column(kind)
        bent = self.bent(kind, w, past, item_id)
        return self.by_state(weights, kind, item_id) * (bent - w.neutral)

    def bent(self, kind: str, w: ColumnWeights, past: Mapping[str, float], item_id: str) -> float:
        """g(S)."""
        tables = self.world.snapshot.tables
        if kind == "ATTRIBUTE":
            s = sum(a * self.common(j, item_id) for j, a in past.items())
        elif tables is None:
            s = 0.0
        else:
            table = tables.behaviour if kind == "BEHAVIOUR" else tables.sequence
            s = sum(a * entry(table, tables, j, item_id) for j, a in past.items())
        bends = {"identity": s, "sqrt": math.sqrt(s), "log": math.log1p(s / w.transform.scale)}
        return bends[w.transform.kind]

    def common(self, past: str, item_id: str) -> float:
        """The cosine of two items' attribute values, weighted by idf."""
        attributes = self.world.attributes
        if past not in attributes:
            return 0.0
        with_values = [a for a in map(pairs, attributes.values()) if a]

        def idf(value: tuple[str, str]) -> float:
            count = sum(value in own for own in with_values)
            return math.log(len(with_values) / count) if count > 1 else 0.0

        x, y = pairs(attributes[past]), pairs(attributes[item_id])
        norms = [math.sqrt(sum(idf(v) ** 2 for v in own)) or 1.0 for own in (x, y)]
        return sum(idf(v) ** 2 for v in x & y) / math.prod(norms)

    def repeats(self, item_id: str) -> float:
        if item_id not in self.past:
            return 0.0
        age, _, count, frequency = self.past[item_id]
        columns = {
            "REPEAT.had": 1.0,
            "REPEAT.count": math.log(count),
            "REPEAT.recency": -math.log1p(age),
            "REPEAT.frequency": math.log1p(3 * frequency),
        }
        return sum(self.weights(NEXT).column(n).had * v for n, v in columns.items())

    def dislikes(self, item_id: str) -> float:
        """What is above the threshold of likeness, of the disliked item that is most alike."""
        weights = self.weights(DISLIKE)
        of_any_state = {n: replace(w, cold=None) for n, w in weights.channels.items()}
        weights = replace(weights, channels=of_any_state)
        there = self.disliked.keys() & set(self.world.item_ids)
        return max(0.0, *(self.channels(item_id, weights, {i: 1.0}) for i in there), 0.0)

    def rejections(self, item_id: str, taken: Mapping[str, Mapping[str, float]]) -> float:
        """What taking the disliked items, too, would have added."""
        weights, total = self.weights(DISLIKE), 0.0
        for kind, past in taken.items():
            w = weights.column(kind)
            added = {**past, **{i: weights.decay(kind) ** age for i, age in self.disliked.items()}}
            more = self.bent(kind, w, added, item_id) - self.bent(kind, w, past, item_id)
            total += self.by_state(weights, kind, item_id) * more
        return total


def pairs(attributes: Mapping[str, str | list[str]]) -> set[tuple[str, str]]:
    return {(n, v) for n, own in attributes.items() for v in ([own] if isinstance(own, str) else own)}


def past_of(history: Sequence[Interaction]) -> dict[str, tuple[int, float, int, float]]:
    """Age, strength, count and frequency of each item that was taken, newest first."""
    taken = [i for i in history if i.type in TYPE_WEIGHTS]
    returned: list[int] = []
    for n, event in enumerate(history):
        if event.type == RETURN:  # of the last purchase before it that was not returned yet
            bought = [
                m for m in range(n)
                if (history[m].item_id, history[m].type) == (event.item_id, PURCHASE) and m not in returned
            ]  # fmt: skip
            returned += bought[-1:]
    gone = [id(history[n]) for n in returned]
    baskets: list[list[Interaction]] = []
    for n, event in enumerate(taken):
        if not (n and event.time_ns is not None and event.time_ns == taken[n - 1].time_ns):
            baskets.append([])
        if id(event) not in gone:
            baskets[-1].append(event)
    taken = [event for event in taken if id(event) not in gone]
    newest_first = dict.fromkeys(i.item_id for i in reversed(taken))
    past = {}
    for item_id in newest_first:
        ages = [a for a, basket in enumerate(reversed(baskets)) if any(i.item_id == item_id for i in basket)]
        strength = max(TYPE_WEIGHTS[i.type] for i in taken if i.item_id == item_id)
        past[item_id] = (ages[0], strength, len(ages), sum(0.9**age for age in ages))
    return past


def total(parts: Sequence[Part]) -> float:
    return sum(p.value for p in parts)


@settings(max_examples=size(50, 150))
@given(SEEDS)
def test_the_score_is_the_sum_of_the_formulas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng, events=seed % 4 > 0)
    query = random_query(rng, world)
    scorer = bound(world, query)
    if scorer is None:
        return
    positions = np.asarray([world.position(i) for i in world.item_ids])
    for n, interest in enumerate(scorer.interests):
        reference = Reference(world, query, interest.item_ids)
        expected = [reference.alpha(item_id) for item_id in world.item_ids]
        np.testing.assert_allclose(scorer.scores(n, positions), expected, atol=TOLERANCE)


@settings(max_examples=size(50, 150))
@given(SEEDS)
def test_the_parts_add_up_by_channel_by_source_and_by_place(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng, events=seed % 4 > 0)
    scorer = bound(world, random_query(rng, world), random_boosts(rng, world))
    if scorer is None:
        return
    positions = np.asarray([world.position(i) for i in world.item_ids])
    scorer = scorer.normalised([log_sum(scorer.scores(n, positions)) for n in range(len(scorer.interests))])
    for n in range(len(scorer.interests)):
        scores = scorer.scores(n, positions).tolist()
        for item_id, position, score in zip(world.item_ids, positions.tolist(), scores, strict=True):
            by_place, sums = scorer.by_place(n, position, world.inputs[item_id])
            by_source = scorer.by_source(n, position)
            for parts in (scorer.by_channel(n, position), by_source, by_place):
                # Random places may almost cancel each other out: their parts are a thousand times their sum.
                largest = max(abs(p.value) for p in parts)
                assert total(parts) == pytest.approx(score, abs=max(TOLERANCE, 1e-6 * largest))
                assert [p.value for p in parts if p.kind == "NORMALISATION"] == [scorer.shifts[n]]
            for whole in sums:  # the rows and columns of a complete sum are both lists
                assert whole.values.shape == (len(whole.sources), len(whole.places))
                own = [
                    p for p in by_source if p.channel == whole.channel and p.kind in ("PAST_ITEM", "QUERY")
                ]
                np.testing.assert_allclose(whole.values.sum(1), [p.value for p in own], atol=TOLERANCE)


@settings(max_examples=size(25, 50))
@given(SEEDS)
def test_the_scores_of_all_items_and_interests_are_one_distribution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    scorer = bound(world, random_query(rng, world))
    if scorer is None:
        return
    positions = np.asarray([world.position(i) for i in world.item_ids])
    sums = [log_sum(scorer.scores(n, positions)) for n in range(len(scorer.interests))]
    scorer = scorer.normalised(sums)
    p = [np.exp(scorer.scores(n, positions).astype(np.float64)) for n in range(len(scorer.interests))]
    assert np.sum(p) == pytest.approx(1.0, abs=1e-4)
    for own, interest in zip(p, scorer.interests, strict=True):
        assert own.sum() == pytest.approx(interest.weight, abs=1e-4)


@given(SEEDS)
def test_boosts_add_their_nats_and_change_nothing_else(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    query, boosts = random_query(rng, world), random_boosts(rng, world)
    plain, boosted = bound(world, query), bound(world, query, boosts)
    if plain is None or boosted is None:
        assert plain is boosted
        return
    positions = np.asarray([world.position(i) for i in world.item_ids])
    assert boosted.says_wanted == plain.says_wanted
    assert [i.item_ids for i in boosted.interests] == [i.item_ids for i in plain.interests]
    added = sum((b.nats[positions] for b in boosts), np.zeros(len(positions), np.float32))
    for n in range(len(plain.interests)):
        difference = boosted.scores(n, positions) - plain.scores(n, positions)
        np.testing.assert_allclose(difference, added, atol=TOLERANCE)
        for position in positions.tolist():
            own = [p for p in boosted.by_source(n, position) if p.kind == "BOOST"]
            assert {p.name: p.value for p in own} == {
                b.name: b.nats[position] for b in boosts if b.nats[position]
            }
            assert [p for p in boosted.by_source(n, position) if p.kind != "BOOST"] == plain.by_source(
                n, position
            )


class TestNormalisation:
    @given(st.lists(st.floats(-500, 500, width=32), min_size=1, max_size=30))
    def test_log_sum_is_exact_however_large_the_evidence(self, alpha: list[float]) -> None:
        largest = max(alpha)
        expected = largest + math.log(math.fsum(math.exp(a - largest) for a in alpha))
        assert log_sum(np.asarray(alpha, np.float32)) == pytest.approx(expected, abs=1e-6)

    def test_over_no_items_it_is_0(self) -> None:
        assert log_sum(np.zeros(0, np.float32)) == 0.0

    @given(st.integers(0, 3 * UNSCORED_SAMPLE))
    def test_a_sample_has_items_of_every_age(self, n: int) -> None:
        positions = np.arange(10, 10 + n)
        sample = sample_of(positions)
        assert len(sample) == min(n, UNSCORED_SAMPLE) == len(np.unique(sample))
        assert np.isin(sample, positions).all()
        if n:
            assert (sample[0], sample[-1]) == (10, 9 + n)
            assert np.diff(sample).max(initial=0) <= max(n / UNSCORED_SAMPLE + 2, 1)

    def test_a_sample_stands_for_the_rest(self) -> None:
        alpha: Floats = np.random.default_rng(0).normal(size=40 * UNSCORED_SAMPLE)
        sample = sample_of(np.arange(len(alpha)))
        estimate = log_sum(alpha[sample].astype(np.float32)) + math.log(len(alpha) / len(sample))
        assert estimate == pytest.approx(log_sum(alpha.astype(np.float32)), abs=0.05)


def test_the_prior_counts_once_however_many_sources_there_are() -> None:
    world = random_world(np.random.default_rng(5))
    ids = world.item_ids
    positions = np.asarray([world.position(i) for i in ids])

    def priors(query: Query) -> list[list[Part]]:
        scorer = bound(world, replace(query, max_interests=1))
        assert scorer is not None
        kinds = ("POPULARITY", "NEWNESS")
        return [[p for p in scorer.by_source(0, position) if p.kind in kinds] for position in positions]

    history = [Interaction(ids[0], 5)]
    alone = priors(Query(history))
    assert any(alone)
    assert priors(Query(history, liked=ids[1:3], source_weights={"history": 2.0, "liked": 3.0})) == alone


def test_source_weights_multiply_the_evidence_of_a_source_alone() -> None:
    rng = np.random.default_rng(6)
    world = random_world(rng)
    ids = world.item_ids
    positions = np.asarray([world.position(i) for i in ids])
    query = Query([Interaction(ids[0], 5)], liked=ids[1:3], max_interests=1)

    def alpha(history: float, liked: float) -> np.ndarray:
        scorer = bound(world, replace(query, source_weights={"history": history, "liked": liked}))
        assert scorer is not None
        return scorer.scores(0, positions).astype(np.float64)

    of_history, of_liked = alpha(1, 1) - alpha(0, 1), alpha(1, 1) - alpha(1, 0)
    assert np.abs(of_history).max() > 0.1 and np.abs(of_liked).max() > 0.1
    prior = alpha(1, 1) - of_history - of_liked
    np.testing.assert_allclose(alpha(2, 0.5), prior + 2 * of_history + 0.5 * of_liked, atol=TOLERANCE)
