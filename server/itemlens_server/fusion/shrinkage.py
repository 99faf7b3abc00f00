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


def mixed_prior(scaled: QuestionWeights, anyone: QuestionWeights, share: float) -> QuestionWeights:
    """Return the weights of the prior for a user whose history counts by `share`. scaled: those of "next", times it.

    The prior of "anyone" must weigh items that the user had as others, as its fit does.
    """
    columns, rest = dict(scaled.columns), anyone.scaled(COLUMNS, 1 - share)
    cold = scaled.column(NEWNESS).cold + (1 - share) * anyone.column(NEWNESS).cold
    for name in COLUMNS:
        one, other = scaled.column(name), rest.column(name)
        neutral = one.neutral if one.used else other.neutral
        columns[name] = ColumnWeights(one.new + other.new, one.had + other.had, neutral=neutral)
        # With this neutral point, items with events lose what items without lose here.
        cold -= other.new * (neutral - other.neutral)
    columns[NEWNESS] = ColumnWeights(cold=cold)
    return replace(scaled, columns=columns)
