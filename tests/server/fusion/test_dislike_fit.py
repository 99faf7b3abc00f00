"""The weights of "dislike" from what users kept and rejected after their dislikes."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from itemlens_server.fusion.choices import HeldOut
from itemlens_server.fusion.default_weights import rejecting
from itemlens_server.fusion.dislike_fit import DislikeFit, fit_dislike, meetings
from itemlens_server.fusion.event_log import EventLog
from itemlens_server.fusion.head import Head
from itemlens_server.fusion.history import Interaction
from itemlens_server.fusion.rows import Rows
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.taken import Taken
from itemlens_server.fusion.weights import (
    DISLIKE,
    NEXT,
    ColumnWeights,
    QuestionWeights,
    TableRules,
    Transform,
)

PURCHASE, DISLIKED = 5, 7
ITEMS, GROUPS, USERS = 120, 6, 200
NEXT_WEIGHTS = QuestionWeights(
    {}, {"BEHAVIOUR": ColumnWeights(0.5, 0.5, transform=Transform("log", 0.01))}, {"BEHAVIOUR": 1.0}
)

IDS = [f"i{n:03d}" for n in range(ITEMS)]

Rows_ = list[tuple[str, str, int, float]]


def events(consistent: bool, seed: int = 0) -> Rows_:
    """Users who take items of two groups; of one of them they reject one item, and later others (if `consistent`) or
    items of both groups alike."""
    rng = np.random.default_rng(seed)
    rows: Rows_ = []
    for user in range(USERS):
        good, bad = rng.permutation(GROUPS)[:2].tolist()
        own = {g: rng.permutation(np.arange(g, ITEMS, GROUPS)).tolist() for g in (good, bad)}
        for day in range(10):
            item, time = own[good if day % 2 else bad].pop(), day + user / USERS / 2
            rows.append((f"u{user:03d}", f"i{item:03d}", PURCHASE, time))
        rows.append((f"u{user:03d}", f"i{own[bad].pop():03d}", DISLIKED, 11.0))
        for n in range(3):
            kept, rejected = (good, bad) if consistent or n % 2 else (bad, good)
            rows.append((f"u{user:03d}", f"i{own[kept].pop():03d}", PURCHASE, 20.0 + n))
            rows.append((f"u{user:03d}", f"i{own[rejected].pop():03d}", DISLIKED, 20.5 + n))
    return sorted(rows, key=lambda row: (row[0], row[3]))


def held_out(rows: Rows_) -> tuple[HeldOut, EventLog]:
    log = EventLog.of(rows, {PURCHASE: 1.0})
    held = HeldOut(log, log.times < 15, np.zeros(0, np.int64))
    return held, EventLog.of(rows, {DISLIKED: 1.0})


@cache
def fitted(consistent: bool) -> DislikeFit:
    held, disliked = held_out(events(consistent))
    tables = Tables.fit(held.log.take(held.earlier), TableRules(30.0))
    ids = IDS
    rows = Rows(0)
    rows.append(np.arange(1, ITEMS + 1), ids, np.zeros((ITEMS, 0), np.float32))
    questions = {NEXT: NEXT_WEIGHTS, DISLIKE: rejecting(QuestionWeights(), NEXT_WEIGHTS)}
    known = np.asarray([tables.rows.get(item_id, -1) for item_id in ids], np.int64)
    snapshot = Snapshot("", Head((), questions, fitted=True), rows.view(), tables, known)
    return fit_dislike(snapshot, meetings(held, disliked, ids))


def test_a_choice_is_what_was_kept_among_the_new_items_that_were_met_later() -> None:
    rows = events(consistent=True)
    held, disliked = held_out(rows)
    first = next(m for m in meetings(held, disliked, IDS) if held.log.user_ids[m.user] == "u007")
    own = [row for row in rows if row[0] == "u007"]
    assert {*first.disliked} == {item for _, item, kind, time in own if kind == DISLIKED and time < 15}
    assert {*first.kept} == {item for _, item, kind, time in own if kind == PURCHASE and time > 15}
    assert {*first.rejected} == {item for _, item, kind, time in own if kind == DISLIKED and time > 15}
    assert {*first.past.item_ids} == {item for _, item, kind, time in own if kind == PURCHASE and time < 15}


def test_items_that_are_not_in_the_collection_any_more_were_not_met() -> None:
    held, disliked = held_out(events(consistent=True))
    whole = next(m for m in meetings(held, disliked, IDS) if held.log.user_ids[m.user] == "u007")
    rest = [i for i in IDS if i not in (whole.kept[0], whole.rejected[0])]
    part = next(m for m in meetings(held, disliked, rest) if held.log.user_ids[m.user] == "u007")
    assert (part.kept, part.rejected) == (whole.kept[1:], whole.rejected[1:])
    without = [i for i in IDS if i not in whole.rejected]
    assert "u007" not in {held.log.user_ids[m.user] for m in meetings(held, disliked, without)}


def test_the_past_is_the_one_that_the_server_sees() -> None:
    rows = events(consistent=True)
    again = next(item for user, item, kind, time in rows if user == "u007" and kind == DISLIKED and time < 15)
    other = next(item for user, item, kind, time in rows if user == "u007" and kind == PURCHASE and time < 15)
    rows = sorted(
        [*rows, ("u007", again, PURCHASE, 12.0), ("u007", other, DISLIKED, 13.0)],
        key=lambda row: (row[0], row[3]),
    )
    held, disliked = held_out(rows)
    made = next(m for m in meetings(held, disliked, IDS) if held.log.user_ids[m.user] == "u007")
    history = [Interaction(i, kind, int(t * 1e9)) for u, i, kind, t in rows if u == "u007" and t < 15]
    taken = Taken.of(history, {PURCHASE: 1.0})
    assert made.disliked == taken.disliked == (other,)
    assert made.past.item_ids == taken.past.item_ids and again in made.past.item_ids
    np.testing.assert_array_equal(made.past.ages, taken.past.ages)


def test_users_without_a_later_rejection_say_nothing() -> None:
    rows = [row for row in events(consistent=True) if row[2] == PURCHASE or row[3] < 15]
    held, disliked = held_out(rows)
    assert meetings(held, disliked, IDS) == []


def test_times_that_are_only_an_order_say_nothing_of_before_and_after() -> None:
    rows = [(user, item, kind, float(math.floor(time))) for user, item, kind, time in events(consistent=True)]
    held, disliked = held_out(rows)
    assert meetings(held, disliked, IDS) == []


def test_dislikes_that_tell_what_is_rejected_weigh_more() -> None:
    fit = fitted(consistent=True)
    assert fit.factors["BEHAVIOUR"] > 1.5
    assert fit.weights.column("BEHAVIOUR").new == pytest.approx(0.5 * fit.factors["BEHAVIOUR"])
    of_fitted, of_default, of_none = (nll.mean() for nll in fit.nll)
    assert of_fitted < of_default < of_none


def test_dislikes_that_tell_nothing_weigh_what_they_do_without_a_fit() -> None:
    fit = fitted(consistent=False)
    assert fit.factors["BEHAVIOUR"] == pytest.approx(1.0, abs=0.1)


def test_what_has_no_part_in_the_choices_stays() -> None:
    fit = fitted(consistent=True)
    assert fit.factors["CHANNEL"] == fit.factors["SEQUENCE"] == 1.0


def test_the_same_choices_give_the_same_weights() -> None:
    assert fitted.__wrapped__(True).weights == fitted(True).weights
