"""How well users and searches for what they then took answer together, with weights that were fitted apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.choice import ChoiceSets, fit_choices
from itemlens_server.fusion.choices import Choice
from itemlens_server.fusion.comparison import Answers, Collected
from itemlens_server.fusion.head import Array, unit
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.query import Query
from itemlens_server.fusion.regularisation import user_folds
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.taken import Taken
from itemlens_server.services.fitting.report import NEW
from itemlens_server.services.fitting.rivals import score

QUESTION = "next + search"
LISTED = 20
FEWEST = 30
MOST_ITEMS = 10_000
"""Of larger catalogues a random part is ranked."""
TOGETHER = "fitted together"


@dataclass(frozen=True)
class Searches:
    """Gives raw query vectors of pieces of items' contents in a channel, such as two words; None for those without."""

    channel: str
    of: Callable[[Sequence[str]], Sequence[Array | None]]


def compare(
    snapshot: Snapshot, choices: Sequence[Choice], searches: Searches, seed: int = 0
) -> Answers | None:
    """Return how a user, a search and both find one item of each choice; None if too few items can be searched for.

    The evidence of both is added. Beside it stands the sum with a factor for each, fitted to the choices of other
    users: what is lost by fitting them apart.

    snapshot: with fitted weights, and tables of the events before the choices.
    """
    rng = np.random.default_rng(seed)
    wanted = [
        str(rng.choice([i for i in c.chosen if snapshot.view.position(i) is not None])) for c in choices
    ]
    vectors = searches.of(wanted)
    asked = [(c, i, v) for c, i, v in zip(choices, wanted, vectors, strict=True) if v is not None]
    if len(asked) < FEWEST:
        return None
    alive = np.flatnonzero(snapshot.view.alive)
    some = rng.permutation(alive)[:MOST_ITEMS]
    ranked = np.union1d(some, snapshot.positions([item_id for _, item_id, _ in asked]))
    channel = snapshot.head.channel(searches.channel)
    users, alone, both, targets = [], [], [], []
    for choice, item_id, vector in asked:
        query = Query(content={searches.channel: unit(channel.project(vector))}, max_interests=1)
        taken = Taken(choice.past)
        users.append(score(snapshot, Query(max_interests=1), taken, ranked))
        alone.append(score(snapshot, query, Taken(Past.equal(())), ranked))
        both.append(score(snapshot, query, taken, ranked))
        targets.append(int(np.searchsorted(ranked, snapshot.positions([item_id]))[0]))
    groups = np.asarray([choice.user for choice, _, _ in asked])
    together = _together(np.stack(users), np.stack(both), np.asarray(targets), groups)
    collected = Collected(QUESTION, LISTED)
    nothing = np.zeros(len(ranked), bool)
    for n, target in enumerate(targets):
        scores = {NEW: both[n], "user alone": users[n], "search alone": alone[n], TOGETHER: together[n]}
        collected.add(int(groups[n]), scores, np.asarray([target]), nothing, tuple(scores))
    return collected.answers()


def _together(users: Array, both: Array, targets: Ints, groups: Ints) -> Array:
    """Return the scores with a factor for the user's evidence and one for the search's, float32 [questions, items]."""
    searched = both - users
    x = np.stack([users.ravel(), searched.ravel()], axis=1)
    items = users.shape[1]
    chosen = np.zeros(users.size, np.float32)
    chosen[np.arange(len(targets)) * items + targets] = 1.0
    sets = ChoiceSets(x, np.arange(len(targets) + 1) * items, chosen)
    found = both.copy()
    for own in user_folds(groups, 2):
        if own.any() and not own.all():
            factors = fit_choices(sets.take(~own), prior=np.ones(2)).weights.astype(np.float32)
            found[own] = factors[0] * users[own] + factors[1] * searched[own]
    return found
