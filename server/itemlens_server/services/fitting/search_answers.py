"""How well searches are answered, beside raw cosines and what serves now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from itemlens_server.fusion.comparison import Answers, Collected
from itemlens_server.fusion.fused import fused
from itemlens_server.fusion.head import Array, Head, HeadChannel, unit
from itemlens_server.fusion.held_out import Trial
from itemlens_server.fusion.measures import recall
from itemlens_server.fusion.search_fit import mixes
from itemlens_server.fusion.weights import QuestionWeights, search_question
from itemlens_server.services.fitting.questions import Questions
from itemlens_server.services.fitting.report import DEFAULTS, FALLBACK, NEW, NOW

LISTED = 10
RATIOS = (1.0, 2.0, 3.0, 4.0, 6.0)
"""Weights of a channel relative to the others that are tried for the best blend of raw cosines."""


def compare(
    channels: Mapping[str, HeadChannel],
    fitted: Mapping[str, QuestionWeights],
    defaults: Mapping[str, QuestionWeights],
    now: Head,
    questions: Questions,
) -> list[Answers]:
    """Return how the systems answer the checked questions, by every mix of channels.

    The answers compete with the items that have all these channels: the others are never asked for, so a system would
    look better if it put them last.

    channels: as fitted, with predictors that do not know the targets. The best blend of raw cosines is chosen on the
    questions that the weights are fitted to.
    """
    raw = {n: HeadChannel(n, np.zeros(len(c.mean), np.float32)) for n, c in channels.items()}
    heads = {
        NEW: Head(tuple(channels.values()), fitted),
        DEFAULTS: Head(tuple(raw.values()), _raw_weights(defaults)),
        FALLBACK: Head(tuple(channels.values()), defaults),
    }
    if now.fitted:
        heads[NOW] = now
    found = []
    for mix in mixes(channels):
        question = search_question(dict.fromkeys(mix))
        blend = _best_blend(raw, mix, questions.fitted) if len(mix) > 1 else None
        collected = Collected(question, LISTED)
        for trial in questions.checked:
            scores = {name: _scores(head, trial, mix, question) for name, head in heads.items()}
            if blend is not None:
                cosines = [trial.cosines(raw[name]) for name in mix]
                scores["best blend of raw cosines"] = _blended(cosines, blend)
            rivals = np.flatnonzero(np.all([trial.data[n].has(trial.items) for n in mix], axis=0))
            nobody = np.zeros(len(rivals), bool)
            for n, target in enumerate(trial.targets.tolist()):
                own = {name: s[n, rivals] for name, s in scores.items()}
                place = np.searchsorted(rivals, [target])
                collected.add(int(trial.numbers[target]), own, place, nobody, tuple(heads))
        found.append(collected.answers())
    return found


def _raw_weights(defaults: Mapping[str, QuestionWeights]) -> dict[str, QuestionWeights]:
    """Return what a space without a fit serves with: equal weights of all channels."""
    return {
        question: QuestionWeights({n: _EQUAL.of(n) for n in w.channels}) for question, w in defaults.items()
    }


_EQUAL = QuestionWeights()


def _scores(head: Head, trial: Trial, mix: Sequence[str], question: str) -> Array:
    """Return the scores of all items of a trial, float32 [questions, items]."""
    h = fused(head, trial.data, trial.items)
    q = {name: unit(head.channel(name).project(trial.queries[name])) for name in mix}
    weights = head.weights(question)
    u = [head.query_vector({n: v[i] for n, v in q.items()}, weights) for i in range(len(trial.targets))]
    return np.asarray(np.stack(u) @ h.T, np.float32)


def _best_blend(
    raw: Mapping[str, HeadChannel], mix: Sequence[str], asked: Sequence[Trial]
) -> tuple[float, ...]:
    cosines = [[trial.cosines(raw[name]) for name in mix] for trial in asked]

    def value(blend: tuple[float, ...]) -> float:
        hits = [recall(_blended(c, blend), t.targets, LISTED) for c, t in zip(cosines, asked, strict=True)]
        return float(np.concatenate(hits).mean())

    # All weights are positive: a mix without one of its channels is another question.
    blends = [blend for blend in product(RATIOS, repeat=len(mix)) if min(blend) == 1.0]
    return max(blends, key=value)


def _blended(cosines: Sequence[Array], blend: Sequence[float]) -> Array:
    return np.asarray(sum(np.float32(w) * c for w, c in zip(blend, cosines, strict=True)))
