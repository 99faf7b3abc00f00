"""Fits "dislike" to what users took and rejected later: how much do earlier dislikes say of which is which?

    P(i | the later items) = exp(alpha_i - sum over kinds k of m_k loss_k,i) / Z

A choice is a user who disliked something before the held-out time. Its candidates are the items that the user met
after it; chosen are those that were kept. loss_k is what the dislikes take away with the default weights. The factors
m_k multiply these weights and are at least 1: a dislike says that the user wants less of something, even if likeness
does not tell which items they will reject.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.choice import ChoiceSets, set_nll
from itemlens_server.fusion.choices import HeldOut
from itemlens_server.fusion.dislikes import Dislikes
from itemlens_server.fusion.event_fit import held_out_choices
from itemlens_server.fusion.event_log import EventLog
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.query import CHANNEL, MOST_DISLIKED, Query, ask_with
from itemlens_server.fusion.regularisation import fit_by_users
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.scoring import bound
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.taken import MOST_PAST, Taken, last_rejected
from itemlens_server.fusion.terms import PAST_KINDS, Rejection
from itemlens_server.fusion.weights import DISLIKE, QuestionWeights

KINDS = (CHANNEL, *PAST_KINDS)
DISLIKED_STRENGTH, RETURNED_STRENGTH = 1.0, 0.5
"""Strengths that tell dislikes from returns in a log of rejections."""


@dataclass(frozen=True)
class Meeting:
    """A user who disliked something, and the items that they met later.

    disliked: ids, oldest first. kept, rejected: ids of the later items, new to the user
    """

    user: int
    past: Past
    disliked: tuple[str, ...]
    kept: tuple[str, ...]
    rejected: tuple[str, ...]


def meetings(held: HeldOut, rejected: EventLog, item_ids: Collection[str]) -> list[Meeting]:
    """Return the users who disliked something before the held-out time, and kept and rejected something after it.

    rejected: the events of dislikes, of strength 1, and of returns. item_ids: of the collection.
    """
    log = held.log
    if log.times_are_an_order or held.earlier.all():
        return []
    cut = float(log.times[~held.earlier].min())
    codes, there = {user_id: code for code, user_id in enumerate(log.user_ids)}, frozenset(item_ids)
    found = []
    for rejecting, user_id in enumerate(rejected.user_ids):
        code = codes.get(user_id)
        if code is None:
            continue
        taken, against = _of_user(log, code), _of_user(rejected, rejecting)
        earlier = taken.take(taken.times < cut)
        told = _last_rejected(
            earlier, against.take((against.times < cut) & (against.strengths == DISLIKED_STRENGTH))
        )
        past = Past.of_baskets(
            _names(earlier), earlier.basket_numbers.tolist(), earlier.strengths.tolist(), MOST_PAST
        ).without(frozenset(told))
        known = {*told, *past.item_ids}
        lost = there.intersection(_names(against.take(against.times >= cut))) - known
        kept = there.intersection(_names(taken.take(taken.times >= cut))) - known - lost
        if told and len(past) and kept and lost:
            found.append(Meeting(code, past, told[-MOST_DISLIKED:], tuple(sorted(kept)), tuple(sorted(lost))))
    return found


@dataclass(frozen=True)
class DislikeFit:
    """Fitted weights of "dislike".

    factors, errors: m by kind, and their standard errors. nll: of the choices held out, with the fitted weights, the
    default ones, and without dislikes; nats, float64 [choices]. users: of these choices, int64.
    """

    factors: Mapping[str, float]
    errors: Mapping[str, float]
    weights: QuestionWeights
    nll: tuple[Floats, Floats, Floats]
    users: Ints


def fit_dislike(snapshot: Snapshot, found: Sequence[Meeting]) -> DislikeFit:
    """Return the weights with the largest likelihood, pulled towards the default ones. Some users are held out.

    snapshot: with the fitted weights of "next" and the default ones of "dislike". found: at least five.
    """
    users = np.asarray([meeting.user for meeting in found])
    held_out = held_out_choices(users)
    # The columns say what a factor of 1 more would take away; without them, the default weights count.
    sets = _sets(snapshot, found)
    fitted = fit_by_users(sets.take(~held_out), users[~held_out], [True] * len(KINDS))
    more = fitted.weights
    factors = dict(zip(KINDS, (1 + more).tolist(), strict=True))
    errors = dict(zip(KINDS, fitted.standard_errors.tolist(), strict=True))
    judged = sets.take(held_out)
    nll = set_nll(judged, more), set_nll(judged, 0 * more), set_nll(judged, np.full(len(more), -1.0))
    weights = _multiplied(snapshot.head.weights(DISLIKE), factors)
    return DislikeFit(factors, errors, weights, nll, users[held_out])


def _sets(snapshot: Snapshot, found: Sequence[Meeting]) -> ChoiceSets:
    """Return the choices, with what each kind takes away as columns, and alpha with these as -log_q."""
    x, alphas, chosen, sizes = [], [], [], []
    for meeting in found:
        asking = ask_with(snapshot, Query(max_interests=1), Taken(meeting.past, meeting.disliked))
        positions = snapshot.positions((*meeting.kept, *meeting.rejected))
        kept = np.isin(positions, snapshot.positions(meeting.kept))
        scorer = bound(asking)
        states = scorer.states[positions]
        columns: dict[str, Array] = {CHANNEL: Dislikes.of(asking).evidence(snapshot.view.h, positions)}
        for term in scorer.terms:
            if isinstance(term, Rejection):
                columns[term.kind] = term.evidence(0, positions, states)
        nothing = np.zeros(len(positions), np.float32)
        x.append(np.stack([columns.get(kind, nothing) for kind in KINDS], axis=1))
        alphas.append(scorer.scores(0, positions))
        chosen.append(kept / max(int(kept.sum()), 1))
        sizes.append(len(positions))
    return ChoiceSets(
        np.concatenate(x),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate(chosen).astype(np.float32),
        -np.concatenate(alphas),
    )


def _multiplied(default: QuestionWeights, factors: Mapping[str, float]) -> QuestionWeights:
    return replace(
        default,
        channels={name: w.times(factors[CHANNEL]) for name, w in default.channels.items()},
        columns={name: w.times(factors[name]) for name, w in default.columns.items()},
    )


def _of_user(log: EventLog, user: int) -> EventLog:
    return log.take(slice(int(log.user_starts[user]), int(log.user_starts[user + 1])))


def _names(log: EventLog) -> list[str]:
    return [log.item_ids[item] for item in log.items.tolist()]


def _last_rejected(taken: EventLog, disliked: EventLog) -> tuple[str, ...]:
    """Return the disliked items that were not taken again since, oldest first."""
    times = np.concatenate([taken.times, disliked.times])
    words = [*((i, False) for i in _names(taken)), *((i, True) for i in _names(disliked))]
    return last_rejected(words[n] for n in np.argsort(times, kind="stable").tolist())
