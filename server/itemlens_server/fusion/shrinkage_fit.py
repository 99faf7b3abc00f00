"""Chooses how thin histories shrink toward the prior: by the likelihood of users' choices, as if users had done less.

Each choice is asked after the newest 1, 2 and 5 items of the user alone, and after all of them. What is chosen for thin
histories may not make the whole ones, which the weights were fitted to, less likely by more than a bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from itemlens_server.fusion.choices import Choice
from itemlens_server.fusion.head import Array
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
MOST_WORSE = 0.01
"""Nats that a choice after a whole history may lose."""
MOST_CHOICES = 200


def fit_shrinkage(
    snapshot: Snapshot, next_: QuestionWeights, anyone: QuestionWeights, choices: Sequence[Choice]
) -> tuple[float, Mapping[float, float]]:
    """Return the best of `SHRINKAGES`, and the mean nll of a choice with each, after thin and whole histories, nats.

    snapshot: with tables of the events before the choices.
    """
    questions = {**snapshot.head.questions, NEXT: replace(next_, shrinkage=0.0), ANYONE: anyone}
    asked = replace(snapshot, head=replace(snapshot.head, questions=questions))
    eligible = np.flatnonzero(asked.view.alive)
    nobody = _scores(asked, Past.equal(()), eligible)[0]
    thin: list[list[float]] = []
    whole: list[list[float]] = []
    for choice in choices[:: max(1, len(choices) // MOST_CHOICES)][:MOST_CHOICES]:
        chosen = np.flatnonzero(np.isin(eligible, asked.positions(choice.chosen)))
        if not len(chosen):
            continue
        for count in (*(n for n in NEWEST if n < len(choice.past)), len(choice.past)):
            own, strength = _scores(asked, choice.past.take(np.arange(count)), eligible)
            nll = [_nll(own, nobody, trust(strength, s), chosen) for s in SHRINKAGES]
            (whole if count == len(choice.past) else thin).append(nll)
    if not whole:
        return 0.0, dict.fromkeys(SHRINKAGES, 0.0)
    of_whole, mean = np.mean(whole, axis=0), np.mean([*thin, *whole], axis=0)
    mean_by_shrinkage = dict(zip(SHRINKAGES, mean.tolist(), strict=True))
    harmless = [s for s, nll in zip(SHRINKAGES, of_whole, strict=True) if nll <= of_whole[0] + MOST_WORSE]
    return min(harmless, key=lambda s: round(mean_by_shrinkage[s], 6)), mean_by_shrinkage


def _scores(snapshot: Snapshot, past: Past, positions: Ints) -> tuple[Array, float]:
    """Return the scores of items for a user with this past, float32 [positions], and how much is known of the user."""
    asking = ask_with(snapshot, Query(max_interests=1, of_user=True), Taken(past))
    return bound(asking).scores(0, positions), asking.history.strength


def _nll(own: Array, nobody: Array, share: float, chosen: Ints) -> float:
    """Return -ln P of the chosen items where the history counts by `share`, their mean, nats."""
    alpha = np.asarray(share * own + (1 - share) * nobody, np.float32)
    return log_sum(alpha) - float(alpha[chosen].mean(dtype=np.float64))
