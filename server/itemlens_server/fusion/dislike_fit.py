"""Fits "dislike" to what users took and rejected later: how much do earlier dislikes say of which is which?

    P(i | the later items) = exp(alpha_i - sum over kinds k of m_k loss_k,i) / Z

A choice is a user who disliked something before the held-out time. Its candidates are the items that the user met
after it; chosen are those that were kept. loss_k is what the dislikes take away with the default weights. The factors
m_k multiply these weights and are at least 1: a dislike says that the user wants less of something, even if likeness
does not tell which items they will reject.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from itemlens_server.fusion.taken import MOST_PAST, Taken
from itemlens_server.fusion.terms import Rejection
from itemlens_server.fusion.weights import DISLIKE, QuestionWeights

KINDS = (CHANNEL, *(term.kind for term in Rejection.of))


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


def meetings(held: HeldOut, disliked: EventLog, rejected: EventLog) -> list[Meeting]:
    """Return the users who disliked something before the held-out time, and kept and rejected something after it.

    disliked: the events of dislikes. rejected: these and returns.
    """
    log = held.log
    if log.times_are_an_order or held.earlier.all():
        return []
    cut = float(log.times[~held.earlier].min())
    codes = {user_id: code for code, user_id in enumerate(log.user_ids)}
    later_rejected = _by_user(rejected.take(rejected.times >= cut))
    found = []
    for user_id, told in _by_user(disliked.take(disliked.times < cut)).items():
        code, against = codes.get(user_id), set(later_rejected.get(user_id, ()))
        if code is None or not against:
            continue
        own = slice(int(log.user_starts[code]), int(log.user_starts[code + 1]))
        earlier = held.earlier[own]
        ids = [log.item_ids[item] for item in log.items[own].tolist()]
        baskets, strengths = log.basket_numbers[own], log.strengths[own]
        past = Past.of_baskets(
            [i for i, before in zip(ids, earlier.tolist(), strict=True) if before],
            baskets[earlier].tolist(),
            strengths[earlier].tolist(),
            MOST_PAST,
        ).without(frozenset(told))
        known = {*told, *past.item_ids}
        kept = {i for i, before in zip(ids, earlier.tolist(), strict=True) if not before} - against - known
        against -= known
        if len(past) and kept and against:
            found.append(
                Meeting(code, past, tuple(told[-MOST_DISLIKED:]), tuple(sorted(kept)), tuple(sorted(against)))
            )
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


def _by_user(log: EventLog) -> dict[str, list[str]]:
    """Return the ids of each user's items, oldest first, without repeats."""
    found: dict[str, dict[str, None]] = {}
    for user, item in zip(log.users.tolist(), log.items.tolist(), strict=True):
        found.setdefault(log.user_ids[user], {})[log.item_ids[item]] = None
    return {user: list(items) for user, items in found.items()}
