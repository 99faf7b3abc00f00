"""The candidates of a choice: those that matter for certain, and a sample of the others, with its probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.channel_data import Bools, Ints
from itemlens_server.fusion.choice import ChoiceSets
from itemlens_server.fusion.head import Array

DRAWN = 250
"""Candidates of a choice that are drawn at random."""
BEST_OF_RANKING = 50
"""Candidates of a search that are taken from each way to rank the items."""


def draw(sure: Bools, eligible: Ints, chosen: Ints, rng: np.random.Generator) -> tuple[Ints, Array]:
    """Return the candidates of a choice, ascending, and ln q of each, the probability of being one of them.

    sure: the certain ones, bool [items]. eligible: the items to choose among. chosen: always there. DRAWN of the others
    are drawn, all with the same probability.
    """
    rest = eligible[~sure[eligible]]
    drawn = rest if len(rest) <= DRAWN else rng.choice(rest, DRAWN, replace=False)
    items = np.unique(np.concatenate([eligible[sure[eligible]], drawn, chosen]))
    share = len(drawn) / len(rest) if len(rest) else 1.0
    return items, np.where(sure[items], 0.0, np.log(share)).astype(np.float32)


@dataclass(frozen=True)
class Sample:
    """The sampled items of all questions, one question after the other.

    items: int64 [rows]. offsets: int64 [questions + 1]. chosen: float32 [rows], 1 for the right answer. log_q: float32
    [rows], ln of the probability of being drawn.
    """

    items: Ints
    offsets: Ints
    chosen: Array
    log_q: Array

    def sets(self, columns: Sequence[Array]) -> ChoiceSets:
        """Return the choice sets whose columns are the sampled numbers of matrices [questions, items]."""
        questions = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        x = np.stack([c[questions, self.items] for c in columns], axis=1)
        return ChoiceSets(np.asarray(x, np.float32), self.offsets, self.chosen, self.log_q)


def sample_candidates(scores: Sequence[Array], targets: Ints, seed: int = 0) -> Sample:
    """Sample the items that each question is a choice among.

    scores: matrices [questions, items], each a way to rank the items; the best of each are taken for certain. They
    carry nearly all of the sum over the items: a score of 40 nats per unit of cosine leaves little for the others.
    targets: the right answers.
    """
    rng = np.random.default_rng(seed)
    everything = np.arange(scores[0].shape[1])
    items, log_q = [], []
    for question, target in enumerate(targets):
        sure = np.zeros(len(everything), bool)
        for matrix in scores:
            sure[_best(matrix[question])] = True
        own, own_log_q = draw(sure, everything, np.asarray([target]), rng)
        items.append(own)
        log_q.append(own_log_q)
    rows, lengths = np.concatenate(items), [len(own) for own in items]
    chosen = (rows == np.repeat(targets, lengths)).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Sample(rows, offsets, chosen, np.concatenate(log_q))


def _best(scores: Array) -> Ints:
    if len(scores) <= BEST_OF_RANKING:
        return np.arange(len(scores))
    return np.asarray(np.argpartition(-scores, BEST_OF_RANKING)[:BEST_OF_RANKING])
