"""L2 is chosen by choices of other users."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.choice import ChoiceSets
from itemlens_server.fusion.regularisation import L2S, choose_l2, fit_by_users, user_folds
from support.simulated_choices import WEIGHTS, simulated


def test_few_choices_among_many_useless_columns_need_a_larger_l2() -> None:
    rng = np.random.default_rng(3)

    def noisy(seed: int) -> ChoiceSets:
        sets = simulated(60, 20, seed, WEIGHTS[:2])
        noise = rng.standard_normal((len(sets.x), 40), np.float32)
        return ChoiceSets(np.hstack([sets.x, noise]), sets.offsets, sets.chosen)

    l2, nll = choose_l2([(noisy(1), noisy(2))], (1e-3, 1.0, 10.0, 1e5))
    assert l2 in (1.0, 10.0)
    assert nll[l2] < nll[1e-3] and nll[l2] < nll[1e5]


def test_the_likelihood_of_an_l2_is_that_of_all_folds() -> None:
    a, b, c = (simulated(40, 10, seed) for seed in range(3))
    alone = [choose_l2([fold])[1] for fold in ((a, b), (b, c))]
    both = choose_l2([(a, b), (b, c)])[1]
    assert all(np.isclose(both[l2], (alone[0][l2] + alone[1][l2]) / 2) for l2 in L2S)


def test_a_user_is_in_one_part_whose_choices_are_asked_together() -> None:
    users = np.repeat(np.arange(30), 4)
    parts = user_folds(users)
    assert np.stack(parts).sum(0).tolist() == [1] * 120
    assert all(len(set(part[users == user].tolist())) == 1 for part in parts for user in range(30))
    assert [part.sum() for part in parts] == [40, 40, 40]


def test_tastes_of_single_users_need_a_larger_l2_than_tastes_of_all() -> None:
    # Each of six users chooses by weights of their own, which say nothing of the others.
    rng, columns, candidates = np.random.default_rng(0), 10, 20
    users = np.repeat(np.arange(6), 40)
    x = rng.standard_normal((len(users), candidates, columns))
    alpha = np.einsum("sck,sk->sc", x, 2 * rng.standard_normal((6, columns))[users])
    chosen = np.zeros(alpha.shape, np.float32)
    chosen[np.arange(len(users)), (alpha + rng.gumbel(size=alpha.shape)).argmax(1)] = 1.0
    offsets = np.arange(len(users) + 1) * candidates
    sets = ChoiceSets(x.reshape(-1, columns).astype(np.float32), offsets, chosen.ravel())
    free = [False] * columns
    # With each choice of a user of its own, those of the same person are on both sides.
    assert fit_by_users(sets, users, free).l2 > fit_by_users(sets, np.arange(len(users)), free).l2


def test_choices_of_one_user_have_the_largest() -> None:
    sets = simulated(30, 10)
    assert fit_by_users(sets, np.zeros(30, np.int64), [False] * 4).l2 == max(L2S)
