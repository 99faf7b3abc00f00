"""Candidates of choices and their columns: those that the server will compute, and fair samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from itemlens_server.fusion import choice_columns, sampling
from itemlens_server.fusion.choice_columns import DECAYS, Prober, at, candidate_columns, columns_at
from itemlens_server.fusion.choices import Choice
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.query import Query, ask_with
from itemlens_server.fusion.scoring import bind
from itemlens_server.fusion.taken import Taken
from itemlens_server.fusion.terms import Channels, Popularity
from itemlens_server.fusion.weights import NEXT, State
from support.world import World, random_world


@pytest.fixture(scope="module")
def world() -> World:
    return random_world(np.random.default_rng(4), 60)


def past(*item_ids: str) -> Past:
    n = len(item_ids)
    return Past.of_baskets(item_ids, range(n), [1.0] * n, 100)


def test_every_decay_has_columns_of_its_own_where_a_term_decays(world: World) -> None:
    bound = Prober(world.snapshot).bind(past("i5", "i6", "i7"))
    names = columns_at(bound, np.arange(3)).keys()
    for name in ("BEHAVIOUR", "SEQUENCE", "ATTRIBUTE"):
        assert {at(name, d) for d in DECAYS} <= names
    assert {"REPEAT.count", "POPULARITY.recent", "NEWNESS"} <= names
    assert not any(n.startswith(("REPEAT", "POPULARITY")) and "@" in n for n in names)


@pytest.mark.parametrize("decay", DECAYS)
def test_are_what_the_terms_compute_that_serve(world: World, decay: float) -> None:
    own, positions = past("i5", "i6", "i7"), np.flatnonzero(world.snapshot.view.alive)
    columns = columns_at(Prober(world.snapshot).bind(own), positions)
    head = choice_columns.probing(world.head, decay)
    snapshot = replace(world.snapshot, head=head)
    for term in bind(ask_with(snapshot, Query(max_interests=1), Taken(own))).terms:
        for name, values in term.columns(0, positions).items():
            np.testing.assert_array_equal(columns[at(name, decay) if term.decays else name], values)
    assert head.weights(NEXT).column("BEHAVIOUR").used and not head.weights(NEXT).choices


class TestCandidates:
    def test_are_what_the_user_had_the_best_of_each_term_the_chosen_ones_and_a_sample(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(choice_columns, "BEST_OF_TERM", 3)
        monkeypatch.setattr(sampling, "DRAWN", 10)
        prober, own = Prober(world.snapshot), past("i5", "i6", "gone")
        data = candidate_columns(prober, [Choice(1, own, ("i9",))])
        sure = {world.position(i) for i in ("i5", "i6")}
        for term in prober.bind(own)[0].terms:
            sure |= set(term.candidates(3, np.flatnonzero(world.snapshot.view.alive)).tolist())
        assert (data.log_q == 0).sum() == len(sure)
        rest = len(world.item_ids) - len(sure)
        drawn = data.log_q[data.log_q < 0]
        assert len(drawn) in (10, 11)  # the chosen item may be among the drawn ones
        np.testing.assert_allclose(drawn, np.log(10 / rest), rtol=1e-6)
        assert data.chosen.sum() == 1 and (data.states == State.HAD).sum() == 2

    def test_are_all_items_where_these_are_few(self, world: World) -> None:
        data = candidate_columns(Prober(world.snapshot), [Choice(1, past("i5"), ("i9",))])
        assert len(data.log_q) == len(world.item_ids) and not data.log_q.any()

    def test_each_choice_weighs_1_and_counts_the_chosen_that_are_there(self, world: World) -> None:
        choices = [
            Choice(3, past("i5"), ("i9", "i10", "gone")),
            Choice(4, past("i5"), ("gone",)),
            Choice(5, past("i1"), ("i2",)),
        ]
        data = candidate_columns(Prober(world.snapshot), choices)
        assert data.users.tolist() == [3, 5] and len(data) == 2
        per_choice = np.add.reduceat(data.chosen, data.offsets[:-1])
        np.testing.assert_allclose(per_choice, 1.0)
        assert sorted(set(data.chosen.tolist())) == [0.0, 0.5, 1.0]

    def test_of_no_choices_are_none(self, world: World) -> None:
        assert len(candidate_columns(Prober(world.snapshot), [])) == 0

    def test_some_of_the_choices_can_be_taken(self, world: World) -> None:
        choices = [Choice(n, past(f"i{n}"), (f"i{n + 9}",)) for n in range(5)]
        data = candidate_columns(Prober(world.snapshot), choices)
        some = data.take(np.asarray([3, 1]))
        assert some.users.tolist() == [3, 1]
        for taken, n in ((0, 3), (1, 1)):
            new, old = (slice(*d.offsets[[m, m + 1]]) for d, m in ((some, taken), (data, n)))
            np.testing.assert_array_equal(some.chosen[new], data.chosen[old])
            np.testing.assert_array_equal(
                some.columns["BEHAVIOUR@0.9"][new], data.columns["BEHAVIOUR@0.9"][old]
            )

    def test_the_same_seed_draws_the_same(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice_columns, "BEST_OF_TERM", 1)
        monkeypatch.setattr(sampling, "DRAWN", 5)
        choices = [Choice(1, past("i5"), ("i9",))]
        one, two = (candidate_columns(Prober(world.snapshot), choices) for _ in range(2))
        np.testing.assert_array_equal(one.columns["POPULARITY.all"], two.columns["POPULARITY.all"])


def test_terms_that_do_not_decay_are_bound_once(world: World) -> None:
    bound = Prober(world.snapshot).bind(past("i5"))
    assert [sum(isinstance(t, Popularity) for t in b.terms) for b in bound] == [1, 0, 0, 0]
    assert [sum(isinstance(t, Channels) for t in b.terms) for b in bound] == [1, 1, 1, 1]
