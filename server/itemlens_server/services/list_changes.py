"""What was done to a list besides sorting it by score: the rank that an item had, and what caps passed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from itemlens_server.fusion.caps import Caps
from itemlens_server.fusion.scoring import Scorer
from itemlens_server.services.lists import Scored
from itemlens_server.services.results import RecommendedItem

# Nats. Scores of one item that were computed in different batches differ by less.
ROUNDING = 1e-5


def with_ranks(
    scorer: Scorer, scored: Sequence[Scored], ranked: Sequence[RecommendedItem]
) -> list[RecommendedItem]:
    """Return the items with their ranks by score among what was scored for their interests. scorer: of
    log-probabilities."""
    scores = [np.sort(own.alpha) + shift for own, shift in zip(scored, scorer.shifts, strict=True)]
    return [
        replace(item, rank=1 + len(own) - int(np.searchsorted(own, item.score + ROUNDING, "right")))
        for item, own in ((item, scores[item.interest]) for item in ranked)
    ]


def passed_over(
    scorer: Scorer, scored: Sequence[Scored], ranked: Sequence[RecommendedItem], caps: Caps
) -> list[int]:
    """Return for each cap how many items it passed over: those that it has no room for, and that have at least the
    score of the last item of their interest that is there by its score. An item counts for the first such cap."""
    listed = [item.position for item in ranked]
    above = []
    for n, own in enumerate(scored):
        own_items = [item for item in ranked if item.interest == n and not item.explored and not item.rules]
        by_score = [item.score for item in own_items]
        if by_score:
            above.append(own.positions[own.alpha + scorer.shifts[n] >= min(by_score) - ROUNDING])
    if not above:
        return [0] * len(caps.codes)
    rows = np.setdiff1d(np.concatenate(above), np.asarray(listed, np.int64))
    return [len(left_out) for left_out in caps.full(rows, listed)]
