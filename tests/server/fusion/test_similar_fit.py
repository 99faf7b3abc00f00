"""The weights of "similar" from pairs of one basket."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from itemlens_server.fusion.choice_columns import Prober, candidate_columns
from itemlens_server.fusion.choices import HeldOut
from itemlens_server.fusion.event_fit import fit_events, fit_shape, held_out_choices
from itemlens_server.fusion.event_log import EventLog
from itemlens_server.fusion.prior_fit import fit_prior
from itemlens_server.fusion.similar_fit import LIKED_DECAY, SimilarFit, fit_similar, pairs
from support import choosing


@cache
def fitted() -> SimilarFit:
    snapshot, choices, held = choosing.asked(choosing.log())
    held_out = held_out_choices(np.asarray([c.user for c in choices]))
    shape = fit_shape(candidate_columns(Prober(snapshot), choices[:60]), [])
    data = candidate_columns(Prober(snapshot, {k: (d,) for k, d in shape.decays.items()}), choices)
    events = fit_events(data, shape, held_out)
    found = pairs(held)
    prober = Prober(snapshot, dict.fromkeys(shape.decays, (LIKED_DECAY,)))
    apart = held_out_choices(np.asarray([p.user for p in found]))
    anyone = fit_prior(held.log, choices, snapshot.view.item_ids).weights
    return fit_similar(candidate_columns(prober, found), events, anyone, apart)


def test_a_pair_is_two_items_of_one_held_out_basket() -> None:
    events = choosing.log()
    _, _, held = choosing.asked(events)
    found = pairs(held)
    together: dict[int, list[set[str]]] = {}
    for basket in held.baskets.tolist():
        own = events.basket_numbers == basket
        items = {events.item_ids[i] for i in events.items[own].tolist()}
        together.setdefault(int(events.users[own][0]), []).append(items)
    assert found
    for pair in found:
        both = {*pair.past.item_ids, *pair.chosen}
        assert len(both) == 2
        assert any(both <= items for items in together[pair.user])
    assert [p.chosen for p in pairs(held)] == [p.chosen for p in found]


def test_pairs_are_of_events_that_are_choices() -> None:
    events = [("u", "a", 3, 0.0), ("u", "b", 3, 1.0), ("u", "c", 3, 1.0), ("u", "d", 5, 2.0)]
    log = EventLog.of(events, {3: 0.5, 5: 1.0})
    clicks = HeldOut(log, log.times < 1, np.asarray([1, 2]), least=0.5)
    assert [{*pair.past.item_ids, *pair.chosen} for pair in pairs(clicks)] == [{"b", "c"}]
    assert not pairs(replace(clicks, least=1.0))


def test_items_that_are_taken_together_are_similar() -> None:
    weights = fitted().weights
    assert weights.column("BEHAVIOUR").new > 0
    assert weights.choices > 0


def test_it_has_no_repeats_no_prior_and_no_decay() -> None:
    weights = fitted().weights
    assert not [name for name in weights.columns if name.startswith(("REPEAT", "POPULARITY", "NEWNESS"))]
    assert weights.decay("BEHAVIOUR") == 1.0


def test_what_the_user_had_counts_like_what_is_new() -> None:
    for weights in fitted().weights.columns.values():
        assert weights.had == weights.new
