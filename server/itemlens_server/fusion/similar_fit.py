"""Fits "similar" to pairs of items that were taken together: which item is in a basket with this one?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.choice import Fitted
from itemlens_server.fusion.choice_columns import CandidateColumns, at
from itemlens_server.fusion.choices import Choice, HeldOut
from itemlens_server.fusion.event_fit import BENT, EventFit, weights_of
from itemlens_server.fusion.features import COLD, NEW, WARM, Feature, choice_sets, design, mean_of
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.prior_columns import NEWNESS
from itemlens_server.fusion.regularisation import fit_by_users
from itemlens_server.fusion.rows import Bools
from itemlens_server.fusion.weights import QuestionWeights, State

MOST_PAIRS = 1000
NEVER = np.float32(50)
LIKED_DECAY = 1.0
"""Liked items have no order. The columns of pairs are those of this decay."""


def pairs(held: HeldOut, seed: int = 0) -> list[Choice]:
    """Return a random pair of each of at most 1,000 held-out baskets with several items: one is given, one chosen."""
    log, rng = held.log, np.random.default_rng(seed)
    ends = np.append(log.basket_starts, len(log))
    found = []
    for basket in rng.permutation(held.baskets).tolist():
        own = slice(int(ends[basket]), int(ends[basket + 1]))
        items = np.unique(log.items[own][log.strengths[own] >= held.least])
        if len(items) > 1:
            given, chosen = (log.item_ids[item] for item in rng.choice(items, 2, replace=False).tolist())
            found.append(Choice(int(log.users[own.start]), Past.equal([given]), (chosen,)))
        if len(found) == MOST_PAIRS:
            break
    return found


@dataclass(frozen=True)
class SimilarFit:
    """Fitted weights of "similar", with the features that they belong to."""

    features: tuple[Feature, ...]
    fitted: Fitted
    weights: QuestionWeights


def fit_similar(
    data: CandidateColumns, events: EventFit, anyone: QuestionWeights, held_out: Bools
) -> SimilarFit:
    """Return the weights with the largest likelihood of the pairs in `data`, beside the prior of "anyone".

    events: the fit of "next", whose transforms are kept. anyone: the prior. held_out: pairs to leave out, bool [pairs].
    """
    features = [replace(f, neutral=mean_of(f, data)) for f in similar_features(events.features)]
    sets = choice_sets(features, data)
    # The prior is part of the score whatever the question, and is not fitted again.
    prior = prior_of(anyone, data)
    # The given item is no candidate: nothing is similar to itself.
    given = np.where(data.states == State.HAD, NEVER, np.float32(0))
    sets = replace(sets, log_q=data.log_q - prior + given)
    signs = [feature.name.startswith("CHANNEL") for feature in features]
    fitted = fit_by_users(sets.take(~held_out), data.users[~held_out], signs)
    weights = weights_of(features, fitted.weights.tolist(), {}, len(data))
    return SimilarFit(tuple(features), fitted, also_had(weights))


def similar_features(features: Iterable[Feature]) -> list[Feature]:
    """Return the features of a fit of "next" that apply to liked items, too: all but repeats and the prior."""
    kept: dict[tuple[str, bool], Feature] = {}
    for f in features:
        kind = f.name.partition(".")[0]
        if kind not in (*BENT, "CHANNEL"):
            continue
        cold = f.states == COLD
        states = COLD if cold else (State.NEW, State.HAD) if kind == "CHANNEL" else NEW
        name = f.source.rpartition("@")[0]
        less = f.less and at(f.less.rpartition("@")[0], LIKED_DECAY)
        kept.setdefault((f.name, cold), replace(f, source=at(name, LIKED_DECAY), states=states, less=less))
    return list(kept.values())


def also_had(weights: QuestionWeights) -> QuestionWeights:
    """Return the same where what a user had counts like what is new: liked items say the same of both."""
    return replace(weights, columns={n: replace(w, had=w.new) for n, w in weights.columns.items()})


def prior_of(anyone: QuestionWeights, data: CandidateColumns) -> Array:
    """Return the evidence of "anyone" for the candidates, nats, float32 [rows]."""
    prior = [
        Feature(name, name, COLD if name == NEWNESS else WARM, neutral=w.neutral)
        for name, w in anyone.columns.items()
    ]
    values = [float(anyone.column(f.name).by_state[f.states[0]]) for f in prior]
    return design(prior, data.columns, data.states) @ np.asarray(values, np.float32)
