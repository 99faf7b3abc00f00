"""Chooses how thin histories shrink toward the prior: by the likelihood of users' choices, as if users had done less.

Each choice is asked after the newest 1, 2 and 5 items of the user alone, and after all of them. So what is chosen for
thin histories must not harm those that the weights were fitted to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from itemlens_server.fusion.choices import Choice
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.query import Query, ask_with
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.scoring import bound, log_sum
from itemlens_server.fusion.shrinkage import trust
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.taken import Taken
from itemlens_server.fusion.weights import ANYONE, NEXT, QuestionWeights

SHRINKAGES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
NEWEST = (1, 2, 5)
MOST_CHOICES = 200


def fit_shrinkage(
    snapshot: Snapshot, next_: QuestionWeights, anyone: QuestionWeights, choices: Sequence[Choice]
) -> tuple[float, Mapping[float, float]]:
    """Return the best of `SHRINKAGES`, and the mean nll of a choice with each, nats.

    snapshot: with tables of the events before the choices.
    """
    questions = {**snapshot.head.questions, NEXT: replace(next_, shrinkage=0.0), ANYONE: anyone}
    asked = replace(snapshot, head=replace(snapshot.head, questions=questions))
    eligible = np.flatnonzero(asked.view.alive)
    nobody = _scores(asked, Past.equal(()), eligible)[0]
    rows = []
    for choice in choices[:: max(1, len(choices) // MOST_CHOICES)][:MOST_CHOICES]:
        chosen = np.flatnonzero(np.isin(eligible, asked.positions(choice.chosen)))
        pasts = [choice.past.take(np.arange(n)) for n in NEWEST if n < len(choice.past)]
        for past in [*pasts, choice.past] if len(chosen) else ():
            own, strength = _scores(asked, past, eligible)
            rows.append([_nll(own, nobody, trust(strength, s), chosen) for s in SHRINKAGES])
    nll: Floats = np.asarray(rows).reshape(-1, len(SHRINKAGES)).mean(0) if rows else np.zeros(len(SHRINKAGES))
    by_shrinkage = dict(zip(SHRINKAGES, nll.tolist(), strict=True))
    return min(SHRINKAGES, key=lambda s: round(by_shrinkage[s], 6)), by_shrinkage


def _scores(snapshot: Snapshot, past: Past, positions: Ints) -> tuple[Array, float]:
    """Return the scores of items for a user with this past, float32 [positions], and how much is known of the user."""
    asking = ask_with(snapshot, Query(max_interests=1, of_user=True), Taken(past))
    return bound(asking).scores(0, positions), asking.history.strength


def _nll(own: Array, nobody: Array, share: float, chosen: Ints) -> float:
    """Return -ln P of the chosen items where the history counts by `share`, their mean, nats."""
    alpha = np.asarray(share * own + (1 - share) * nobody, np.float32)
    return log_sum(alpha) - float(alpha[chosen].mean(dtype=np.float64))
