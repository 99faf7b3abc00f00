"""How well held-out choices of users are answered, beside yardsticks, and without each term."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from itemlens_server.fusion.choice import fit_choices
from itemlens_server.fusion.choice_columns import Prober, at, columns_at
from itemlens_server.fusion.choices import Choice
from itemlens_server.fusion.comparison import Answers, Collected
from itemlens_server.fusion.default_weights import restated
from itemlens_server.fusion.dislike_fit import DislikeFit
from itemlens_server.fusion.features import Feature, choice_sets, design
from itemlens_server.fusion.head import Array, Head
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.query import CHANNEL, Query, ask_with
from itemlens_server.fusion.rows import Bools, Ints
from itemlens_server.fusion.scoring import Scorer
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.taken import Taken
from itemlens_server.fusion.terms import TERMS, Channels
from itemlens_server.fusion.weights import ANYONE, DISLIKE, NEXT, SIMILAR, ChannelWeights, QuestionWeights
from itemlens_server.services.fitting.reading import FitData
from itemlens_server.services.fitting.report import DEFAULTS, FALLBACK, NEW, NOW

if TYPE_CHECKING:
    from itemlens_server.services.fitting.behaviour import Asked

K = 20
MOST_CHOICES = 400
RATIOS = (0.0, 1.0, 2.0, 4.0)
PRIOR_TERMS = ("POPULARITY", "NEWNESS")


def compare(data: FitData, asked: Asked, head: Head, now: Head) -> Answers:
    """Return how the systems answer held-out choices of "next", and of "explore": the same without what was had."""
    numbers = _some(asked.held_out)
    others = _Others.of(data, asked, head, now)
    prober = Prober(asked.snapshot, {kind: (decay,) for kind, decay in asked.shape.decays.items()})
    variants = {NEW: (asked.fit.features, asked.fit.fitted.weights), **dict(_left_out(asked))}
    collected = Collected(NEXT, K)
    for choice in (asked.choices[n] for n in numbers.tolist()):
        bound = prober.bind(choice.past)
        columns = columns_at(bound, prober.eligible)
        states = bound[0].asking.states()[prober.eligible]
        scores = {
            name: design(f, columns, states) @ w.astype(np.float32) for name, (f, w) in variants.items()
        }
        scores |= others.scores(Query(max_interests=1), Taken(choice.past), prober.eligible)
        for name, column in _yardsticks(asked).items():
            scores[name] = columns.get(column, np.zeros(len(states), np.float32))
        probable = [*variants, *others.names]
        had = np.zeros(len(asked.snapshot.view.labels), bool)
        had[bound[0].asking.had] = True
        chosen = _positions(asked.snapshot, prober.eligible, choice.chosen)
        collected.add(choice.user, scores, chosen, had[prober.eligible], probable)
    return _with_best_blend(collected.answers())


def compare_similar(
    data: FitData,
    asked: Asked,
    found: Sequence[Choice],
    held_out: Bools,
    weights: QuestionWeights,
    head: Head,
    now: Head,
) -> Answers:
    """Return how the systems answer held-out pairs of one basket, by one item that is liked. Without a fit of their own
    they have the weights of "next", restated."""
    questions = {SIMILAR: weights, ANYONE: asked.fit.anyone, NEXT: asked.fit.weights}
    fitted = replace(head, questions={**head.questions, **questions})
    others = _Others.of(data, asked, head, now)
    from_next = replace(fitted, questions={**fitted.questions, SIMILAR: restated(asked.fit.weights)})
    heads = {NEW: fitted, FALLBACK: from_next}
    snapshots = {name: replace(asked.snapshot, head=own) for name, own in heads.items()}
    eligible = np.flatnonzero(asked.snapshot.view.alive)
    collected = Collected(SIMILAR, K)
    for pair in (found[n] for n in _some(held_out).tolist()):
        query, nothing = Query(liked=pair.past.item_ids, max_interests=1), Taken(Past.equal(()))
        scores = {name: _score(snapshot, query, nothing, eligible) for name, snapshot in snapshots.items()}
        scores |= others.scores(query, nothing, eligible)
        given = np.isin(eligible, asked.snapshot.positions(pair.past.item_ids))
        masked = {name: np.where(given, s.min() - 1, s) for name, s in scores.items()}
        chosen = _positions(asked.snapshot, eligible, pair.chosen)
        collected.add(pair.user, masked, chosen, np.zeros(len(eligible), bool), tuple(scores))
    return _with_best_blend(collected.answers())


def compare_dislike(fit: DislikeFit) -> Answers:
    """Return how well the items that users kept are told from those they rejected."""
    systems = (NEW, DEFAULTS, "without dislikes")
    return Answers(DISLIKE, {s: {"nll": nll} for s, nll in zip(systems, fit.nll, strict=True)}, fit.users)


class _Others:
    """The systems beside the fitted weights that are scored from a query: defaults, what serves now, raw cosines."""

    def __init__(self, heads: dict[str, Snapshot], raw: Snapshot | None) -> None:
        self._heads, self._raw = heads, raw
        self.names = tuple(heads)

    @staticmethod
    def of(data: FitData, asked: Asked, head: Head, now: Head) -> _Others:
        """Bind the systems to the items and the earlier events."""
        tables = None
        if now.table_rules is not None:
            known = asked.snapshot.tables
            assert known is not None
            same = known.rules == now.table_rules
            tables = known if same else Tables.fit(asked.earlier, now.table_rules)
        heads = {
            DEFAULTS: replace(asked.snapshot, head=head, tables=None),
            NOW: data.snapshot(now, tables),
        }
        raw = None
        if data.used:
            plain = Head.identity({name: d.vectors.shape[1] for name, d in data.used.items()})
            alike = QuestionWeights(
                {name: ChannelWeights(1.0, 0.0, 0.0) for name in data.used}, {}, {CHANNEL: 0.9}
            )
            raw = data.snapshot(replace(plain, questions={NEXT: alike, SIMILAR: alike}), None)
        return _Others(heads, raw)

    def scores(self, query: Query, taken: Taken, eligible: Ints) -> dict[str, Array]:
        """Return the scores of all systems, float32 [eligible] each."""
        found = {name: _score(snapshot, query, taken, eligible) for name, snapshot in self._heads.items()}
        return found | self._raw_cosines(query, taken, eligible)

    def _raw_cosines(self, query: Query, taken: Taken, eligible: Ints) -> dict[str, Array]:
        if self._raw is None:
            return {}
        names = self._raw.head.names
        columns = {name: np.zeros(len(eligible), np.float32) for name in names}
        for term in Channels.bind(ask_with(self._raw, query, taken)):
            found = term.columns(0, eligible)
            columns = {name: found[f"{CHANNEL}.{name}"] for name in names}
        scores = {f"raw cosine: {name}": column for name, column in columns.items()}
        for ratios in product(RATIOS, repeat=len(names)) if len(names) > 1 else ():
            if min(ratios) == 1.0:
                blend = " + ".join(f"{r:g} {name}" for r, name in zip(ratios, names, strict=True))
                parts = (np.float32(r) * columns[name] for r, name in zip(ratios, names, strict=True))
                scores[f"{BLEND}{blend}"] = np.asarray(sum(parts))
        return scores


BLEND = "raw cosines: "


def _with_best_blend(answers: Answers) -> Answers:
    """Return the same with the best blend of raw cosines only. It is chosen on these questions, in its favour."""
    blends = [system for system in answers.measures if system.startswith(BLEND)]
    best = max(blends, key=lambda system: answers.mean(system, f"R@{K}") or 0.0, default="")
    kept = {n: m for n, m in answers.measures.items() if n == best or n not in blends}
    return replace(answers, measures=kept)


def _score(snapshot: Snapshot, query: Query, taken: Taken, eligible: Ints) -> Array:
    asking = ask_with(snapshot, query, taken)
    terms = tuple(term for cls in TERMS for term in cls.bind(asking))
    return Scorer(asking, terms, (0.0,) * len(asking.interests)).scores(0, eligible)


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


def _some(held_out: Bools) -> Ints:
    """Return at most 400 of the held-out questions, spread evenly."""
    numbers = np.flatnonzero(held_out)
    return numbers[:: -(-len(numbers) // MOST_CHOICES) or 1]


def _positions(snapshot: Snapshot, eligible: Ints, item_ids: Sequence[str]) -> Ints:
    """Return where items are among the eligible ones."""
    return np.searchsorted(eligible, snapshot.positions(item_ids))
