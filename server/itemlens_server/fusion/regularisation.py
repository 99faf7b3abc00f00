"""Choice of L2: by choices that the weights were not fitted to, and that do not judge them later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from itemlens_server.fusion.choice import ChoiceSets, Fitted, fit_choices, set_nll
from itemlens_server.fusion.parts import Floats
from itemlens_server.fusion.rows import Bools, Ints

L2S = (0.1, 1.0, 10.0, 100.0, 1000.0)
FOLDS = 3
"""Each choice is asked once, by weights fitted to the choices of the users of the other folds."""
L2_CHOICES = 900
"""Choices by which L2 is chosen: more change its order of magnitude no more."""

Mask = Sequence[bool] | np.ndarray[Any, Any]


def choose_l2(
    folds: Sequence[tuple[ChoiceSets, ChoiceSets]],
    candidates: Sequence[float] = L2S,
    *,
    prior: Floats | None = None,
    nonnegative: Mask | None = None,
) -> tuple[float, dict[float, float]]:
    """Return the l2 whose fits to the first sets of each pair have the smallest nll on the second ones, and the mean
    nll of each l2, nats a choice.

    l2 adds to a sum over choices, so the same l2 weighs less in a larger set of choices. Of equal ones, the largest
    is taken.
    """
    total = sum(float(held_out.choices().sum()) for _, held_out in folds)
    nll = dict.fromkeys(sorted(candidates, reverse=True), 0.0)
    for train, held_out in folds:
        start = None
        for l2 in nll:
            fitted = fit_choices(train, l2, prior=prior, nonnegative=nonnegative, start=start)
            start = fitted.weights
            nll[l2] += float(set_nll(held_out, fitted.weights).sum() / total)
    return min(nll, key=lambda l2: nll[l2]), nll


def fit_by_users(sets: ChoiceSets, users: Ints, nonnegative: Mask) -> Fitted:
    """Return the weights fitted to all choices, with the l2 that is best for users whose choices are not known.

    users: code of each choice's user, int64 [choices]. If there is one user, the largest l2 is taken.
    """
    some = np.arange(len(sets))[:: max(1, -(-len(sets) // L2_CHOICES))]
    folds = [
        (sets.take(some[~apart]), sets.take(some[apart])) for apart in user_folds(users[some]) if apart.any()
    ]
    l2 = choose_l2(folds, nonnegative=nonnegative)[0] if len(folds) > 1 else max(L2S)
    return fit_choices(sets, l2, nonnegative=nonnegative)


def user_folds(users: Ints, folds: int = FOLDS) -> list[Bools]:
    """Return the choices of each of several random parts of the users, bool [choices]. users: of each choice."""
    different, numbers = np.unique(users, return_inverse=True)
    fold = np.random.default_rng(2).permutation(len(different)) % folds
    return [fold[numbers] == n for n in range(folds)]
