"""A sample of the candidates of each question, with the probability that each was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itemlens_server.fusion.channel_data import Ints
from itemlens_server.fusion.choice import ChoiceSets
from itemlens_server.fusion.head import Array

BEST = 50
RANDOM = 250


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

    scores: matrices [questions, items], each a way to rank the items; the BEST of each are taken for certain. They
    carry nearly all of the sum over the items: a score of 40 nats per unit of cosine leaves little for the others.
    targets: the right answers, always taken. RANDOM of the remaining items are drawn.
    """
    rng = np.random.default_rng(seed)
    n = scores[0].shape[1]
    items, lengths, log_q = [], [], []
    for question, target in enumerate(targets.tolist()):
        certain = np.zeros(n, bool)
        for matrix in scores:
            certain[_best(matrix[question])] = True
        q = np.where(certain, 1.0, min(1.0, RANDOM / max(n - int(certain.sum()), 1)))
        drawn = rng.random(n) < q
        drawn[target] = True
        items.append(np.flatnonzero(drawn))
        lengths.append(len(items[-1]))
        log_q.append(np.log(q[items[-1]]))
    rows = np.concatenate(items)
    chosen = (rows == np.repeat(targets, lengths)).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Sample(rows, offsets, chosen, np.concatenate(log_q).astype(np.float32))


def _best(scores: Array) -> Ints:
    if len(scores) <= BEST:
        return np.arange(len(scores))
    return np.asarray(np.argpartition(-scores, BEST)[:BEST])
