"""A thin history shrinks toward the prior: the score of a user of whom little is known is between two scores.

    alpha = t alpha_next + (1 - t) alpha_anyone,      t = m / (m + shrinkage),      m = sum_j strength_j

alpha_next is what the history says, with the prior beside it; alpha_anyone is what is said to somebody of whom nothing
is known. Both are linear in their weights, so the mixture is a score like any other, with weights of its own.
"""

from __future__ import annotations

from dataclasses import replace

from itemlens_server.fusion.prior_columns import COLUMNS, NEWNESS
from itemlens_server.fusion.weights import ColumnWeights, QuestionWeights


def trust(strength: float, shrinkage: float) -> float:
    """Return t, 0 to 1: how much a history of this strength counts. It is 0 for none."""
    return strength / (strength + shrinkage) if strength else 0.0


def mixed_prior(next_: QuestionWeights, anyone: QuestionWeights, share: float) -> QuestionWeights:
    """Return the weights of the prior for a user whose history counts by `share`.

    The prior of "anyone" must weigh items that the user had as others, as its fit does.
    """
    mixed = next_.times(share)
    columns = dict(mixed.columns)
    cold = share * next_.column(NEWNESS).cold + (1 - share) * anyone.column(NEWNESS).cold
    for name in COLUMNS:
        one, other = next_.column(name), anyone.column(name)
        neutral = one.neutral if one.used else other.neutral
        new, had = (share * a + (1 - share) * b for a, b in ((one.new, other.new), (one.had, other.had)))
        columns[name] = ColumnWeights(new, had, neutral=neutral)
        # With this neutral point, items with events lose what items without lose here.
        cold -= (1 - share) * other.new * (neutral - other.neutral)
    columns[NEWNESS] = ColumnWeights(cold=cold)
    return replace(mixed, columns=columns)
