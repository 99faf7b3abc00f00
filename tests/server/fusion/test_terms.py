"""Each term: its columns, evidence, candidates and parts, on a collection small enough to see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from itemlens_server.errors import InvalidArgument, NotFound
from itemlens_server.fusion.boosts import AppliedBoost
from itemlens_server.fusion.event_log import EventLog
from itemlens_server.fusion.head import Array, Head, HeadChannel
from itemlens_server.fusion.history import CLICK, PURCHASE, Interaction
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.query import Query, ask
from itemlens_server.fusion.rows import Rows
from itemlens_server.fusion.scoring import Scorer, bind
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.terms import (
    TERMS,
    Attribute,
    Behaviour,
    Boosted,
    Channels,
    Lexical,
    PastTerm,
    Popularity,
    Rejection,
    Repeat,
    Succession,
    Term,
)
from itemlens_server.fusion.weights import (
    ANYONE,
    DISLIKE,
    NEXT,
    SIMILAR,
    ChannelWeights,
    ColumnWeights,
    QuestionWeights,
    State,
    TableRules,
    Transform,
)
from itemlens_server.fusion.word_source import LEXICAL
from support.world import TYPE_WEIGHTS, World, random_query, random_world

IDS = ("a", "b", "c", "new")
# a and b point to c; only a is followed by c. "new" has no events.
B = np.array([[0, 0.1, 0.5], [0.2, 0, 0.3], [0, 0, 0]], np.float32)
T = np.array([[0, 0, 0.4], [0, 0, 0], [0, 0, 0]], np.float32)
TABLES = Tables(
    ("a", "b", "c"), sparse.csr_matrix(B), sparse.csr_matrix(T),
    np.asarray([9, 3, 1], np.float32), np.asarray([1, 3, 0], np.float32), np.asarray([0, 2, 0], np.float32),
)  # fmt: skip
ATTRIBUTES: Mapping[str, Mapping[str, object]] = {
    "a": {"brand": "x", "tags": ["s", "t"]},
    "b": {"brand": "x"},
    "c": {"brand": "y", "tags": ["t"]},
    "new": {"brand": "x", "tags": ["s", "t"]},
}
# The positions of all items.
ALL = np.arange(4)
NO_CHANNELS = {"text": ChannelWeights(0.0)}


def snapshot(
    columns: Mapping[str, ColumnWeights], tables: Tables | None = TABLES, **weights: Any
) -> Snapshot:
    """A catalogue where only `columns` count, with the same weights for every question."""
    own = QuestionWeights(NO_CHANNELS, columns, choices=1, **weights)
    head = Head(
        (HeadChannel("text", np.zeros(2, np.float32)),),
        dict.fromkeys((NEXT, SIMILAR, ANYONE, DISLIKE), own),
        fitted=True,
    )
    rows = Rows(head.dimension)
    h = np.tile(np.asarray([1, 0, 1, 0], np.float32), (4, 1))
    rows.append(np.arange(1, 5), list(IDS), h, [ATTRIBUTES[i] for i in IDS])
    table_rows = [-1 if tables is None else tables.rows.get(i, -1) for i in IDS]
    return Snapshot("c", head, rows.view(), tables, np.asarray(table_rows, np.int64))


def only(kind: type[Term], scorer: Scorer) -> Term:
    [term] = [t for t in scorer.terms if isinstance(t, kind)]
    return term


def asked(
    columns: Mapping[str, ColumnWeights], *history: str, tables: Tables | None = TABLES, **query: Any
) -> Scorer:
    """The scorer of a user who clicked these items, one after the other."""
    past = [Interaction(i, CLICK) for i in history]
    return bind(ask(snapshot(columns, tables), Query(past, max_interests=1, **query), TYPE_WEIGHTS))


def evidence(term: Term, scorer: Scorer) -> dict[str, float]:
    positions = np.arange(4)
    return dict(zip(IDS, term.evidence(0, positions, scorer.states[positions]).tolist(), strict=True))


def by_past(parts: Sequence[Part]) -> dict[str, float]:
    return {p.past_item_id: p.value for p in parts}


class TestRejection:
    bent: ClassVar = {"BEHAVIOUR": ColumnWeights(2.0, transform=Transform("log", 0.1), neutral=0.7)}

    def test_takes_away_what_taking_it_would_have_added(self) -> None:
        scorer = asked(self.bent, "a", disliked=["b"])
        taken, disliked = 0.5 * 0.5, 0.3
        lost = -2 * (math.log1p((taken + disliked) / 0.1) - math.log1p(taken / 0.1))
        assert evidence(only(Rejection, scorer), scorer)["c"] == pytest.approx(lost)
        assert sum(by_past(only(Rejection, scorer).by_source(0, 2, State.NEW)).values()) == pytest.approx(
            lost
        )

    def test_takes_all_that_it_says_where_nothing_else_speaks_for_an_item(self) -> None:
        scorer = asked(self.bent, disliked=["b"])
        assert evidence(only(Rejection, scorer), scorer) == pytest.approx(
            {"a": -2 * math.log1p(0.2 / 0.1), "b": 0, "c": -2 * math.log1p(0.3 / 0.1), "new": 0}
        )

    def test_is_dealt_out_to_the_disliked_items(self) -> None:
        scorer = asked(self.bent, disliked=["b", "a"])
        parts = only(Rejection, scorer).by_source(0, 2, State.NEW)
        whole = -2 * math.log1p(0.8 / 0.1)
        assert by_past(parts) == pytest.approx({"a": whole * 5 / 8, "b": whole * 3 / 8})
        assert {(p.kind, p.is_share) for p in parts} == {("BEHAVIOUR", True)}

    def test_a_disliked_item_does_not_speak_for_others(self) -> None:
        scorer = asked(self.bent, "b", "a", disliked=["b"])
        assert scorer.asking.history.past.item_ids == ("a",)


class TestBehaviour:
    def test_adds_up_what_each_past_item_says(self) -> None:
        scorer = asked({"BEHAVIOUR": ColumnWeights(2.0, 1.0)}, "b", "a")
        term = only(Behaviour, scorer)
        s = dict(zip(IDS, term.columns(0, np.arange(4))["BEHAVIOUR"].tolist(), strict=True))
        assert s == pytest.approx({"a": 0.1, "b": 0.05, "c": 0.5 * 0.5 + 0.5 * 0.3, "new": 0})
        assert evidence(term, scorer) == pytest.approx({"a": 0.1, "b": 0.05, "c": 0.8, "new": 0})

    def test_bends_and_is_dealt_out_by_shares(self) -> None:
        scorer = asked(
            {"BEHAVIOUR": ColumnWeights(2.0, transform=Transform("log", 0.1), neutral=0.7)}, "b", "a"
        )
        term = only(Behaviour, scorer)
        parts = term.by_source(0, 2, State.NEW)
        whole = 2.0 * math.log1p(0.4 / 0.1)
        assert by_past(parts) == pytest.approx({"a": whole * 5 / 8, "b": whole * 3 / 8, "": -1.4})
        assert [p.is_share for p in parts if p.past_item_id] == [True, True]
        assert evidence(term, scorer)["c"] == pytest.approx(whole - 1.4)

    def test_parts_are_no_shares_where_it_is_linear(self) -> None:
        scorer = asked({"BEHAVIOUR": ColumnWeights(2.0)}, "a")
        assert not any(p.is_share for p in only(Behaviour, scorer).by_source(0, 2, State.NEW))

    def test_older_baskets_count_less(self) -> None:
        own = replace(snapshot({"BEHAVIOUR": ColumnWeights(1.0)}))
        weights = replace(own.head.weights(NEXT), decays={"BEHAVIOUR": 0.5})
        own = replace(own, head=replace(own.head, questions={NEXT: weights}))
        history = [Interaction("b", CLICK), Interaction("a", PURCHASE)]
        scorer = bind(ask(own, Query(history), TYPE_WEIGHTS))
        assert evidence(only(Behaviour, scorer), scorer)["c"] == pytest.approx(0.5 + 0.5 * 0.5 * 0.3)

    def test_candidates_are_the_items_with_the_largest_sums(self) -> None:
        term = only(Behaviour, asked({"BEHAVIOUR": ColumnWeights(1.0)}, "a"))
        assert term.candidates(1, ALL).tolist() == [2] and term.candidates(10, ALL).tolist() == [1, 2]
        # Of the items that may be in the list.
        assert term.candidates(1, np.asarray([0, 1, 3])).tolist() == [1]

    def test_history_and_liked_items_are_terms_of_their_own(self) -> None:
        scorer = asked({"BEHAVIOUR": ColumnWeights(1.0)}, "a", liked=["b"], source_weights={"liked": 3.0})
        terms = [t for t in scorer.terms if isinstance(t, Behaviour)]
        assert [evidence(t, scorer)["c"] for t in terms] == pytest.approx([0.5 * 0.5, 3 * 0.3])

    def test_says_nothing_without_tables(self) -> None:
        with pytest.raises(NotFound):
            asked({"BEHAVIOUR": ColumnWeights(1.0)}, "gone", tables=None)


class TestSequence:
    def test_has_a_direction(self) -> None:
        after_a, after_c = (asked({"SEQUENCE": ColumnWeights(1.0, 1.0)}, i) for i in ("a", "c"))
        assert evidence(only(Succession, after_a), after_a)["c"] == pytest.approx(0.5 * 0.4)
        assert evidence(only(Succession, after_c), after_c)["a"] == 0.0

    def test_no_longer_history_makes_a_weight_of_0(self) -> None:
        own = snapshot({"SEQUENCE": ColumnWeights(1.0, transform=Transform("log", 1e-12))})
        weights = replace(own.head.weights(NEXT), decays={"SEQUENCE": 0.6, "CHANNEL": 0.6})
        own = replace(own, head=replace(own.head, questions={NEXT: weights}))
        history = [Interaction("a", CLICK), *[Interaction("b", CLICK)] * 5000]
        scorer = bind(ask(own, Query(history), TYPE_WEIGHTS))
        score = scorer.normalised([0.0] * len(scorer.interests)).scores(0, np.asarray([2]))[0]
        assert np.isfinite(score)
        assert sum(p.value for p in scorer.by_source(0, 2)) == pytest.approx(
            scorer.scores(0, np.asarray([2]))[0]
        )


class TestAttribute:
    def test_is_the_cosine_of_values_weighted_by_idf(self) -> None:
        scorer = asked({"ATTRIBUTE": ColumnWeights(1.0, 1.0, 1.0)}, "a")
        term = only(Attribute, scorer)
        x, s, t = math.log(4 / 3), math.log(4 / 2), math.log(4 / 3)
        norm_a, norm_c = math.sqrt(x * x + s * s + t * t), t  # nobody shares the brand of c
        expected = {"a": 1.0, "b": x * x / (norm_a * x), "c": t * t / (norm_a * norm_c), "new": 1.0}
        s_ = term.columns(0, np.arange(4))["ATTRIBUTE"].tolist()
        assert dict(zip(IDS, s_, strict=True)) == pytest.approx({i: 0.5 * v for i, v in expected.items()})

    def test_counts_for_items_without_events_by_a_weight_of_their_own(self) -> None:
        scorer = asked({"ATTRIBUTE": ColumnWeights(cold=3.0)}, "a")
        assert evidence(only(Attribute, scorer), scorer) == pytest.approx(
            {"a": 0, "b": 0, "c": 0, "new": 1.5}
        )

    def test_candidates_have_something_in_common(self) -> None:
        term = only(Attribute, asked({"ATTRIBUTE": ColumnWeights(1.0)}, "c"))
        assert term.candidates(10, ALL).tolist() == [0, 2, 3]
        assert term.candidates(10, np.asarray([1, 3])).tolist() == [3]


class TestRepeat:
    columns: Mapping[str, ColumnWeights] = {
        f"REPEAT.{name}": ColumnWeights(had=w)
        for name, w in (("had", 0.5), ("count", 0.4), ("recency", 0.3), ("frequency", 0.2))
    }

    def test_grows_with_count_and_recency(self) -> None:
        scorer = asked(self.columns, "a", "b", "a", "new")
        term = only(Repeat, scorer)
        a = 0.5 + 0.4 * math.log(2) - 0.3 * math.log(2) + 0.2 * math.log1p(3 * (0.9 + 0.9**3))
        b = 0.5 - 0.3 * math.log(3) + 0.2 * math.log1p(3 * 0.81)
        new = 0.5 + 0.2 * math.log1p(3)
        assert evidence(term, scorer) == pytest.approx({"a": a, "b": b, "c": 0, "new": new})
        assert by_past(term.by_source(0, 0, State.HAD)) == pytest.approx({"a": a})
        assert term.by_source(0, 2, State.NEW) == []
        assert term.candidates(1, ALL).tolist() == [0, 1, 3]
        assert term.candidates(1, np.asarray([1, 2])).tolist() == [1]

    def test_liked_items_are_no_repeats(self) -> None:
        scorer = asked({**self.columns, "BEHAVIOUR": ColumnWeights(1.0)}, liked=["a"])
        assert not any(isinstance(t, Repeat) for t in scorer.terms)
        assert not (scorer.states == State.HAD).any()


class TestPrior:
    columns: Mapping[str, ColumnWeights] = {
        "POPULARITY.all": ColumnWeights(1.0, 0.1, neutral=1.5),
        "POPULARITY.recent": ColumnWeights(0.5, 0.2, neutral=0.5),
        "NEWNESS": ColumnWeights(cold=-0.7),
    }

    def test_is_popularity_and_trend_or_newness(self) -> None:
        scorer = asked(self.columns, "b")
        term = only(Popularity, scorer)
        assert evidence(term, scorer) == pytest.approx(
            {
                "a": math.log(10) - 1.5 + 0.5 * (math.log(2) - 0.5),
                "b": 0.1 * (math.log(4) - 1.5) + 0.2 * (math.log(4) - 0.5),  # the user had it
                "c": math.log(2) - 1.5 + 0.5 * (0 - 0.5),
                "new": -0.7,
            },
            abs=1e-6,
        )
        kinds = [[p.kind for p in term.by_source(0, n, int(scorer.states[n]))] for n in range(4)]
        assert kinds == [["POPULARITY"], ["POPULARITY"], ["POPULARITY"], ["NEWNESS"]]

    def test_tells_whether_more_of_it_is_of_late(self) -> None:
        for weight, lately in ((1.0, False), (9.0, True)):
            recent = ColumnWeights(weight, neutral=0.5)  # "a": ln 10 - 1.5 ever, ln 2 - .5 of late
            scorer = asked({**self.columns, "POPULARITY.recent": recent}, "b")
            [part] = only(Popularity, scorer).by_source(0, 0, State.NEW)
            assert part.lately is lately

    def test_candidates_are_the_most_popular(self) -> None:
        assert only(Popularity, asked(self.columns, "b")).candidates(2, ALL).tolist() == [0, 1]

    def test_alone_is_no_question(self) -> None:
        with pytest.raises(InvalidArgument):
            asked(self.columns)

    def test_of_a_channel_counts_for_items_that_have_it(self) -> None:
        scorer = asked({"PRESENT.text": ColumnWeights(0.25)}, "a")
        assert evidence(only(Channels, scorer), scorer) == pytest.approx(dict.fromkeys(IDS, 0.25))
        [part] = only(Channels, scorer).by_source(0, 1, State.NEW)[-1:]
        assert (part.kind, part.channel) == ("BASELINE", "text") and part.value == pytest.approx(0.25)


@given(st.integers(0, 2**32 - 1))
def test_columns_weights_and_transforms_give_the_evidence(seed: int) -> None:
    """What a fit sees of a term is what the term adds."""
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    query = replace(random_query(rng, world), source_weights={}, liked=(), max_interests=1)
    try:
        scorer = bind(ask(world.snapshot, query, TYPE_WEIGHTS))
    except (InvalidArgument, NotFound):
        return
    weights = query.weights(world.head, NEXT)
    prior = scorer.asking.prior
    positions = np.asarray([world.position(i) for i in world.item_ids])
    states = scorer.states[positions]
    for term in scorer.terms:
        if isinstance(term, (Boosted, Channels, Rejection)):
            continue
        own = prior if isinstance(term, Popularity) else weights
        if isinstance(term, Lexical):
            assert scorer.asking.words is not None
            own = QuestionWeights(columns={LEXICAL: scorer.asking.words.weights})
        total: Array = np.zeros(len(positions), np.float32)
        for name, s in term.columns(0, positions).items():
            w = own.column(name)
            if isinstance(term, Popularity):
                known = states != State.COLD
                counted = np.where(known, s - w.neutral, 0) if name != "NEWNESS" else s * ~known
            else:
                counted = w.transform(s) - np.float32(w.neutral)
            total += w.by_state[states] * counted
        np.testing.assert_allclose(term.evidence(0, positions, states), total, atol=1e-4)


class TestBoosted:
    def scorer(self, *boosts: AppliedBoost) -> Scorer:
        asking = ask(snapshot({"POPULARITY.all": ColumnWeights(1.0, 1.0)}), Query(of_user=True), TYPE_WEIGHTS)
        return bind(replace(asking, boosts=boosts))

    def test_adds_its_nats_to_every_item_whatever_it_is_to_the_user(self) -> None:
        scorer = self.scorer(AppliedBoost("new", np.asarray([0, 1, -2, 0.5], np.float32)))
        term = only(Boosted, scorer)
        for state in State:
            assert term.evidence(0, ALL, np.full(4, state, np.int8)).tolist() == [0, 1, -2, 0.5]
        assert [term.by_source(0, p, State.NEW) for p in range(4)] == [
            [], [Part("BOOST", 1.0, name="new")], [Part("BOOST", -2.0, name="new")], [Part("BOOST", 0.5, name="new")],
        ]  # fmt: skip

    def test_is_a_prior(self) -> None:
        scorer = self.scorer(AppliedBoost("new", np.ones(4, np.float32)))
        assert not scorer.says_wanted and not only(Boosted, scorer).asked

    def test_gives_the_items_that_gain_most_as_candidates(self) -> None:
        term = Boosted(AppliedBoost("new", np.asarray([3, 0, 1, 2], np.float32)))
        assert term.candidates(2, ALL).tolist() == [0, 3]
        assert term.candidates(2, np.asarray([1, 2])).tolist() == [2]

    def test_of_zero_is_no_term(self) -> None:
        boosts = AppliedBoost("none", np.zeros(4, np.float32)), AppliedBoost("new", np.ones(4, np.float32))
        assert [t.name for t in self.scorer(*boosts).terms if isinstance(t, Boosted)] == ["new"]


@given(st.integers(0, 2**32 - 1))
def test_nothing_negative_is_bent(seed: int) -> None:
    """A root and a logarithm, and shares of a sum, are of positive S: a past item speaks for an item, or not of it."""
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    ids = [*world.item_ids, "gone"]
    taken = [
        (f"u{rng.integers(8)}", str(rng.choice(ids)), int(rng.integers(1, 8)), float(rng.integers(30)))
        for _ in range(rng.integers(0, 120))
    ]
    log = EventLog.of(sorted(taken, key=lambda event: (event[0], event[3])), TYPE_WEIGHTS)
    tables = Tables.fit(log, TableRules(float(rng.choice([1.0, 300.0]))))
    rows = np.asarray([tables.rows.get(i, -1) for i in world.snapshot.view.item_ids], np.int64)
    snapshot = replace(world.snapshot, tables=tables, table_rows=rows)
    try:
        scorer = bind(ask(snapshot, random_query(rng, world), TYPE_WEIGHTS))
    except (InvalidArgument, NotFound):
        return
    positions = np.asarray([world.position(i) for i in world.item_ids])
    for term in scorer.terms:
        if isinstance(term, PastTerm):
            sums = term.sums(positions)
            assert (sums >= 0).all()
            for position, whole in zip(positions.tolist(), sums.tolist(), strict=True):
                shares = list(term.shares(position).values())
                assert all(share > 0 for share in shares)
                assert sum(shares) == pytest.approx(whole, rel=1e-4)


@given(st.integers(0, 2**32 - 1))
def test_candidates_are_positions_of_items_that_are_there(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world: World = random_world(rng)
    try:
        scorer = bind(ask(world.snapshot, random_query(rng, world), TYPE_WEIGHTS))
    except (InvalidArgument, NotFound):
        return
    there = {world.position(i) for i in world.item_ids}
    for term in scorer.terms:
        for depth in (1, 5, 1000):
            for eligible in (np.asarray(sorted(there)), np.asarray(sorted(there))[::2]):
                found = term.candidates(depth, eligible).tolist()
                assert set(found) <= set(eligible.tolist()) and found == sorted(set(found))


def test_every_kind_of_part_and_every_phrase_is_a_terms_own() -> None:
    kinds = [kind for term in TERMS for kind in term.kinds]
    assert len(kinds) == len(set(kinds))
    for term in TERMS:
        assert term.phrases.keys() <= set(term.kinds)
        assert all(phrases.keys() == {"en", "zh"} for phrases in term.phrases.values())


class TestManyInterests:
    """Rows of h are read once for all interests: the scores are those of each interest alone."""

    @pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
    @pytest.mark.parametrize("seed", range(6))
    def test_scores_do_not_depend_on_what_was_scored_before(self, seed: int, share: float) -> None:
        rng = np.random.default_rng(seed)
        world = random_world(rng)
        scorer = bind(ask(world.snapshot, random_query(rng, world), TYPE_WEIGHTS))
        positions = np.flatnonzero(rng.random(len(world.snapshot.view.item_ids)) <= share)
        interests = range(len(scorer.interests))
        together = [scorer.scores(n, positions) for n in interests]
        for number in interests:
            alone = bind(ask(world.snapshot, scorer.asking.query, TYPE_WEIGHTS))
            np.testing.assert_array_equal(alone.scores(number, positions), together[number])
            for row, position in enumerate(positions[:5].tolist()):
                one = alone.scores(number, np.asarray([position]))
                assert one[0] == together[number][row]
