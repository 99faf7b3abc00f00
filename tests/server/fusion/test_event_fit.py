"""The weights of "next" and "anyone" from choices: they find what made the choices, and nothing where nothing did."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from itemlens_server.fusion.choice import fit_choices, set_nll
from itemlens_server.fusion.choice_columns import DECAYS, CandidateColumns, Prober, at, candidate_columns
from itemlens_server.fusion.event_fit import EventFit, Shape, fit_events, fit_shape, held_out_choices
from itemlens_server.fusion.features import choice_sets
from itemlens_server.fusion.head import Head
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.query import Query, ask_with
from itemlens_server.fusion.scoring import bind
from itemlens_server.fusion.taken import Taken
from itemlens_server.fusion.weights import NEXT
from support import choosing


@cache
def fitted(random: bool = False) -> tuple[CandidateColumns, Shape, EventFit]:
    snapshot, choices, _ = choosing.asked(choosing.log())
    if random:
        choices = choosing.shuffled(choices)
    held_out = held_out_choices(np.asarray([c.user for c in choices]))
    shape = fit_shape(candidate_columns(Prober(snapshot), choices[:60]), [])
    data = candidate_columns(Prober(snapshot, {k: (d,) for k, d in shape.decays.items()}), choices)
    return data, shape, fit_events(data, shape, held_out)


def explained(random: bool = False) -> float:
    """Nats a choice that the weights explain of those that they were fitted to."""
    data, _, fit = fitted(random)
    sets = choice_sets(fit.features, data).take(~held_out_choices(data.users))
    return float(set_nll(sets, np.zeros(sets.columns)).mean()) - fit.fitted.nll


def test_what_users_take_together_explains_what_they_take_next() -> None:
    assert fitted()[2].weights.column("BEHAVIOUR").new > 0.5
    assert explained() > 1.0


def test_choices_without_a_reason_are_explained_hardly_better_than_by_chance() -> None:
    assert explained(random=True) < 0.3 * explained()


def test_the_weights_score_as_the_fit_does() -> None:
    # The scorer that serves gives the sums that the likelihood was computed from, up to a constant of each question.
    data, _, fit = fitted()
    snapshot, choices, _ = choosing.asked(choosing.log())
    head = Head((), {NEXT: fit.weights})
    serving = replace(snapshot, head=head)
    sets = choice_sets(fit.features, data)
    alpha = sets.x @ fit.fitted.weights
    everything = np.flatnonzero(snapshot.view.alive)
    for n in range(5):
        scores = bind(ask_with(serving, Query(max_interests=1), Taken(choices[n].past))).scores(0, everything)
        own = alpha[data.offsets[n] : data.offsets[n + 1]]
        assert len(own) == len(everything)  # of so few items all are candidates
        difference = scores - own
        # Thresholds are constant for each state of an item.
        states = data.states[data.offsets[n] : data.offsets[n + 1]]
        for state in np.unique(states):
            assert np.ptp(difference[states == state]) < 1e-3


def test_choices_of_a_fifth_of_the_users_are_held_out() -> None:
    users = np.repeat(np.arange(50), 3)
    held_out = held_out_choices(users)
    assert held_out.sum() == 30
    assert all(len(set(held_out[users == user].tolist())) == 1 for user in range(50))
    assert held_out.tolist() == held_out_choices(users).tolist()


def test_choices_that_judge_the_fit_take_no_part_in_it() -> None:
    data, shape, fit = fitted()
    held_out = held_out_choices(data.users)
    rows = np.repeat(held_out, np.diff(data.offsets))
    chosen = data.chosen.copy()
    chosen[rows] = np.random.default_rng(0).permutation(chosen[rows])
    other = fit_events(replace(data, chosen=chosen), shape, held_out)
    assert np.array_equal(other.fitted.weights, fit.fitted.weights)


def test_a_past_without_known_items_is_a_choice_too() -> None:
    snapshot, choices, _ = choosing.asked(choosing.log())
    strange = replace(choices[0], past=Past.equal(["gone"]))
    data = candidate_columns(Prober(snapshot), [strange, choices[1]])
    assert len(data) == 2
    first = slice(0, int(data.offsets[1]))
    assert all(np.isfinite(values).all() for values in data.columns.values())
    assert data.columns["BEHAVIOUR@1"][first].max() == 0.0


def test_one_decay_a_term_gives_its_columns_only() -> None:
    snapshot, choices, _ = choosing.asked(choosing.log())
    decays = {"BEHAVIOUR": (0.8,), "SEQUENCE": (1.0,), "ATTRIBUTE": (1.0,), "CHANNEL": (1.0,)}
    data = candidate_columns(Prober(snapshot, decays), choices[:3])
    assert {"BEHAVIOUR@0.8", "SEQUENCE@1", "REPEAT.had", "POPULARITY.all"} <= set(data.columns)
    assert "BEHAVIOUR@1" not in data.columns


def test_a_term_with_nothing_to_say_has_no_weight() -> None:
    # There are no attributes.
    fit = fitted()[2]
    assert fit.weights.column("ATTRIBUTE").new == pytest.approx(0.0)
    sets = choice_sets(fit.features, fitted()[0])
    assert np.isfinite(fit_choices(sets).standard_errors).all()


def test_the_transform_and_the_decay_that_made_the_choices_are_found_both() -> None:
    rng = np.random.default_rng(0)
    sets, size = 1500, 40
    offsets = np.arange(0, sets * size + 1, size)
    columns = {}
    for decay in DECAYS:
        columns[at("BEHAVIOUR", decay)] = rng.exponential(size=sets * size).astype(np.float32)
    alpha = 3 * np.sqrt(columns[at("BEHAVIOUR", 0.6)]) + rng.gumbel(size=sets * size)
    chosen = np.zeros(sets * size, np.float32)
    chosen[offsets[:-1] + alpha.reshape(sets, size).argmax(1)] = 1.0
    zeros = np.zeros(sets * size, np.float32)
    data = CandidateColumns(columns, zeros.astype(np.int8), offsets, chosen, zeros, np.arange(sets))
    shape = fit_shape(data, [])
    assert shape.decays["BEHAVIOUR"] == 0.6
    # A transform that was chosen before the right decay was known is chosen among nearly equal ones.
    again = fit_shape(
        replace(data, columns={at("BEHAVIOUR", d): columns[at("BEHAVIOUR", 0.6)] for d in DECAYS}), []
    )
    assert again.transforms["BEHAVIOUR"].kind == "sqrt"
