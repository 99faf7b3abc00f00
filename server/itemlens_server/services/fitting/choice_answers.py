"""How well held-out choices of users are answered, beside yardsticks, and without each term."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.choice import fit_choices
from itemlens_server.fusion.choice_columns import CandidateColumns, Prober, at, columns_at
from itemlens_server.fusion.choices import Choice
from itemlens_server.fusion.comparison import Answers, Collected
from itemlens_server.fusion.default_weights import restated
from itemlens_server.fusion.dislike_fit import DislikeFit
from itemlens_server.fusion.event_fit import EventFit, Shape
from itemlens_server.fusion.event_log import EventLog
from itemlens_server.fusion.features import Feature, choice_sets, design
from itemlens_server.fusion.head import Array, Head
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.query import CHANNEL, Query
from itemlens_server.fusion.rows import Bools, Ints
from itemlens_server.fusion.shrinkage import trust
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.taken import Taken
from itemlens_server.fusion.weights import ANYONE, DISLIKE, NEXT, SIMILAR, QuestionWeights
from itemlens_server.services.fitting.report import DEFAULTS, FALLBACK, NEW
from itemlens_server.services.fitting.rivals import Rivals, score, with_best_blend

LISTED = 20
JUDGED_CHOICES = 400
PRIOR_TERMS = ("POPULARITY", "NEWNESS")


@dataclass(frozen=True)
class Asked:
    """Choices, the events before them, and what was fitted to them. held_out: bool [choices].
    anyone: the weights of the prior."""

    earlier: EventLog
    snapshot: Snapshot
    choices: list[Choice]
    held_out: Bools
    shape: Shape
    data: CandidateColumns
    fit: EventFit
    anyone: QuestionWeights


def compare(asked: Asked, rivals: Rivals) -> Answers:
    """Return how the systems answer held-out choices of "next", and of "explore": the same without what was had."""
    prober = Prober(asked.snapshot, {kind: (decay,) for kind, decay in asked.shape.decays.items()})
    variants = {NEW: (asked.fit.features, asked.fit.fitted.weights), **dict(_left_out(asked))}
    nobody = _of_nobody(asked, prober.eligible)
    collected = Collected(NEXT, LISTED)
    for choice in judging(asked):
        bound = prober.bind(choice.past)
        columns = columns_at(bound, prober.eligible)
        states = bound[0].asking.states()[prober.eligible]
        share = np.float32(trust(bound[0].asking.history.strength, asked.fit.weights.shrinkage))
        scores = {
            name: share * (design(f, columns, states) @ w.astype(np.float32)) + (1 - share) * nobody
            for name, (f, w) in variants.items()
        }
        scores |= rivals.scores(Query(max_interests=1), Taken(choice.past), prober.eligible)
        for name, column in _yardsticks(asked).items():
            scores[name] = columns.get(column, np.zeros(len(states), np.float32))
        probable = [*variants, *rivals.names]
        had = np.zeros(len(asked.snapshot.view.labels), bool)
        had[bound[0].asking.had] = True
        chosen = _positions(asked.snapshot, prober.eligible, choice.chosen)
        collected.add(choice.user, scores, chosen, had[prober.eligible], probable)
    return with_best_blend(collected.answers(), f"R@{LISTED}")


def compare_similar(
    asked: Asked,
    rivals: Rivals,
    found: Sequence[Choice],
    held_out: Bools,
    weights: QuestionWeights,
    head: Head,
) -> Answers:
    """Return how the systems answer held-out pairs of one basket, by one item that is liked. Without a fit of their own
    they have the weights of "next", restated."""
    questions = {SIMILAR: weights, ANYONE: asked.anyone, NEXT: asked.fit.weights}
    fitted = replace(head, questions={**head.questions, **questions})
    from_next = replace(fitted, questions={**fitted.questions, SIMILAR: restated(asked.fit.weights)})
    heads = {NEW: fitted, FALLBACK: from_next}
    snapshots = {name: replace(asked.snapshot, head=own) for name, own in heads.items()}
    eligible = np.flatnonzero(asked.snapshot.view.alive)
    collected = Collected(SIMILAR, LISTED)
    for pair in (found[n] for n in _some(held_out).tolist()):
        query, nothing = Query(liked=pair.past.item_ids, max_interests=1), Taken(Past.equal(()))
        scores = {name: score(snapshot, query, nothing, eligible) for name, snapshot in snapshots.items()}
        scores |= rivals.scores(query, nothing, eligible)
        given = np.isin(eligible, asked.snapshot.positions(pair.past.item_ids))
        masked = {name: np.where(given, s.min() - 1, s) for name, s in scores.items()}
        chosen = _positions(asked.snapshot, eligible, pair.chosen)
        collected.add(pair.user, masked, chosen, np.zeros(len(eligible), bool), tuple(scores))
    return with_best_blend(collected.answers(), f"R@{LISTED}")


def compare_dislike(fit: DislikeFit) -> Answers:
    """Return how well the items that users kept are told from those they rejected."""
    systems = (NEW, DEFAULTS, "without dislikes")
    return Answers(DISLIKE, {s: {"nll": nll} for s, nll in zip(systems, fit.nll, strict=True)}, fit.users)


def _of_nobody(asked: Asked, eligible: Ints) -> Array:
    """Return the scores for somebody of whom nothing is known, float32 [eligible], to which thin histories shrink."""
    head = asked.snapshot.head
    anyone = replace(head, questions={**head.questions, ANYONE: asked.anyone})
    query = Query(max_interests=1, of_user=True)
    return score(replace(asked.snapshot, head=anyone), query, Taken(Past.equal(())), eligible)


def _yardsticks(asked: Asked) -> dict[str, str]:
    """Return the column that each of the simplest systems ranks by."""
    behaviour = at("BEHAVIOUR", asked.shape.decays["BEHAVIOUR"])
    return {"popularity": "POPULARITY.all", "own frequency": "REPEAT.frequency", "EASE alone": behaviour}


def _left_out(asked: Asked) -> Iterator[tuple[str, tuple[Sequence[Feature], Floats]]]:
    """Yield the fit without each term, with weights fitted again."""
    terms = dict.fromkeys(_term(feature) for feature in asked.fit.features)
    sets = choice_sets(asked.fit.features, asked.data).take(~asked.held_out)
    for term in terms:
        features = [feature for feature in asked.fit.features if _term(feature) != term]
        if not features:
            continue
        kept = [n for n, feature in enumerate(asked.fit.features) if _term(feature) != term]
        signs = [feature.name.startswith(CHANNEL) for feature in features]
        start = asked.fit.fitted.weights[kept]
        fitted = fit_choices(sets.select(kept), asked.fit.fitted.l2, nonnegative=signs, start=start)
        yield f"without {term}", (features, fitted.weights)


def _term(feature: Feature) -> str:
    kind, _, name = feature.name.partition(".")
    if kind in PRIOR_TERMS:
        return PRIOR_TERMS[0]
    return f"channel {name}" if kind in (CHANNEL, "PRESENT", "IMPUTED") else kind


def judging(asked: Asked) -> list[Choice]:
    """Return the held-out choices by which systems are compared."""
    return [asked.choices[n] for n in _some(asked.held_out).tolist()]


def _some(held_out: Bools) -> Ints:
    """Return at most 400 of the held-out questions, spread evenly."""
    numbers = np.flatnonzero(held_out)
    return numbers[:: -(-len(numbers) // JUDGED_CHOICES) or 1]


def _positions(snapshot: Snapshot, eligible: Ints, item_ids: Sequence[str]) -> Ints:
    """Return where items are among the eligible ones."""
    return np.searchsorted(eligible, snapshot.positions(item_ids))
