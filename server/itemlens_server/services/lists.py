"""Lists from scores: candidates, alpha and Z of each interest, and the best items in turns, under caps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.caps import FREE, NO_CAPS, Caps, first_of_each
from itemlens_server.fusion.head import Array, unit
from itemlens_server.fusion.interests import merge
from itemlens_server.fusion.ranking import top
from itemlens_server.fusion.rows import Bools, Ints
from itemlens_server.fusion.scoring import Scorer, log_sum, sample_of
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.sources import Interest
from itemlens_server.fusion.spread import best_newest_first, contents, pool_size, spread
from itemlens_server.index.candidate_index import CandidateIndex, CandidateRequest
from itemlens_server.index.exact import ExactIndex
from itemlens_server.services.results import RecommendedItem
from itemlens_server.stages import stage

# An index finds almost all of the nearest `depth` / FOUND_SURELY items when it looks for `depth`.
FOUND_SURELY = 2
# Searches for items that boosts lift, where one leaves too many.
BOOST_ROUNDS = 3
# Other items of a group that are returned with one that stands for it.
MOST_OTHERS = 20


@dataclass(frozen=True)
class Scored:
    """The items that were scored for an interest: positions, ascending, and alpha, float32 [positions]."""

    positions: Ints
    alpha: Array


def score(scorer: Scorer, index: CandidateIndex, mask: Bools, k: int) -> tuple[Scorer, list[Scored], bool]:
    """Score candidates for lists of `k` out of the items in `mask`. Return the scorer of log-probabilities, what
    was scored for each interest, and whether these are all items of the mask.

    Where not all items are scored, a sample stands for the others in Z. So Z does not depend on k.
    """
    scored, sums = [], []
    with stage("search"):
        candidates, whole = _candidates(scorer, index, mask, k)
    with stage("score"):
        for n, positions in enumerate(candidates):
            scored.append(Scored(positions, scorer.scores(n, positions)))
            sums.append(log_sum(scored[-1].alpha))
        for n, own in enumerate(scored):
            rest = mask.copy()
            rest[own.positions] = False
            others = np.flatnonzero(rest)
            if len(others):
                sample = sample_of(others)
                unseen = log_sum(scorer.scores(n, sample)) + math.log(len(others) / len(sample))
                sums[n] = float(np.logaddexp(sums[n], unseen)) if len(own.positions) else unseen
    return scorer.normalised(sums), scored, whole


def best(
    scorer: Scorer, index: CandidateIndex, mask: Bools, k: int, caps: Caps, placed: Sequence[int] = ()
) -> tuple[Scorer, list[Scored], list[RecommendedItem]]:
    """The best k of the items in `mask` under caps, with what was scored and the scorer of log-probabilities. placed:
    rows that have places besides these."""
    known, scored, whole = score(scorer, index, mask, caps.wanted(k + len(placed), mask))
    if not known.says_wanted:
        ranked = rank_by_prior(known, scored[0], k, caps, placed)
        dry = len(ranked) < k
    else:
        ranked = rank(known, scored, k, caps, placed)
        listed = [*placed, *(item.position for item in ranked)]
        dry = bool(caps.codes) and any(
            np.isin(caps.with_room(own.positions, listed), listed).all() for own in scored
        )
    if caps.codes and dry and not whole:
        # The candidates have too few values, and other items may have more.
        return best(scorer, ExactIndex(), mask, k, caps, placed)
    return known, scored, ranked


def rank(
    scorer: Scorer, scored: Sequence[Scored], k: int, caps: Caps = NO_CAPS, placed: Sequence[int] = ()
) -> list[RecommendedItem]:
    """The best k of the items under caps. Places are dealt to the interests by their shares. placed: as in `best`."""
    wanted = [len(own.alpha) if caps.codes else k + len(placed) for own in scored]
    lists = [own.positions[top(own.alpha, n)] for own, n in zip(scored, wanted, strict=True)]
    item_ids = scorer.snapshot.view.item_ids
    ranked = []
    for position, n in merge(lists, [i.weight for i in scorer.interests], k, caps, placed):
        own = scored[n]
        alpha = own.alpha[np.searchsorted(own.positions, position)]
        ranked.append(
            RecommendedItem(item_ids[position], position, float(alpha + np.float32(scorer.shifts[n])), n)
        )
    return ranked


def rank_by_prior(
    scorer: Scorer, scored: Scored, k: int, caps: Caps = NO_CAPS, placed: Sequence[int] = ()
) -> list[RecommendedItem]:
    """The best k of the items under caps for a user of whom nothing is known: of different kinds, and of equal ones
    the newest. placed: as in `best`."""
    view = scorer.snapshot.view
    best = best_newest_first(scored.alpha, len(scored.alpha) if caps.codes else pool_size(k) + len(placed))
    if caps.codes or placed:
        # What is in this list may be in that of the places, in whatever order.
        rows = scored.positions[best]
        pool = [row for row, _ in merge([rows], [1.0], pool_size(k), caps, placed)]
        best = best[np.isin(rows, pool)]
    positions, alpha = scored.positions[best], scored.alpha[best]
    chosen = spread(alpha, contents(scorer.snapshot.head, view.h[positions]), k)
    scores = alpha[chosen] + np.float32(scorer.shifts[0])
    return [
        RecommendedItem(view.item_ids[position], position, score, 0)
        for position, score in zip(positions[chosen].tolist(), scores.tolist(), strict=True)
    ]


def with_others(
    scorer: Scorer, scored: Sequence[Scored], ranked: Sequence[RecommendedItem], groupings: Sequence[Ints]
) -> list[RecommendedItem]:
    """Return the items with the ids of the others of their groups that were scored, the best first. groupings: by way
    to group, the code of each row's group."""
    listed = np.asarray([item.position for item in ranked], np.int64)
    item_ids = scorer.snapshot.view.item_ids
    # By interest and way to group: the numbers, in the order of the scores, of the rows of each group.
    found: list[list[dict[int, list[int]]]] = []
    ordered: list[Ints] = []
    for own in scored:
        there = np.zeros(len(own.positions), np.bool_)
        for groups in groupings:
            codes = groups[own.positions]
            there |= np.isin(codes, groups[listed]) & (codes != FREE)
        there &= ~np.isin(own.positions, listed)
        rows = own.positions[there][np.argsort(-own.alpha[there], kind="stable")]
        ordered.append(rows)
        found.append([_members(groups, rows, groups[listed]) for groups in groupings])
    told = []
    for item in ranked:
        numbers: set[int] = set()
        for groups, members in zip(groupings, found[item.interest], strict=True):
            numbers.update(members.get(int(groups[item.position]), ()))
        rows = ordered[item.interest][sorted(numbers)[:MOST_OTHERS]]
        told.append(replace(item, others=tuple(item_ids[row] for row in rows.tolist())))
    return told


def _members(groups: Ints, rows: Ints, wanted: Ints) -> dict[int, list[int]]:
    """Return by code of a wanted group the numbers of its first rows. groups: code of each row."""
    codes = groups[rows]
    numbers = np.flatnonzero(np.isin(codes, wanted) & (codes != FREE))
    members: dict[int, list[int]] = {}
    for n in numbers[first_of_each(codes[numbers], MOST_OTHERS)].tolist():
        members.setdefault(int(codes[n]), []).append(n)
    return members


def of_best_interest(scorer: Scorer, positions: Ints) -> list[RecommendedItem]:
    """Return the items at some positions, each with its score for the interest that it fits best. scorer: of
    log-probabilities."""
    scores = np.stack([scorer.scores(n, positions) for n in range(len(scorer.interests))])
    item_ids = scorer.snapshot.view.item_ids
    return [
        RecommendedItem(item_ids[position], position, float(own[n]), n)
        for position, own, n in zip(positions.tolist(), scores.T, scores.argmax(0).tolist(), strict=True)
    ]


def best_rows(scorer: Scorer, index: CandidateIndex, mask: Bools, k: int) -> tuple[Ints, bool]:
    """Return positions of the mask, at least the best k of each interest, the best of any interest first, and whether
    these are all of the mask. scorer: of log-probabilities."""
    found, whole = _candidates(scorer, index, mask, k)
    rows = np.unique(np.concatenate(found))
    scores = np.stack([scorer.scores(n, rows) for n in range(len(scorer.interests))]).max(0)
    return rows[np.argsort(-scores, kind="stable")], whole


def with_probabilities(scorer: Scorer, ranked: Sequence[RecommendedItem]) -> list[RecommendedItem]:
    """Return the items with the probabilities that they are among what is taken next, over all interests."""
    positions = np.asarray([item.position for item in ranked], np.int64)
    probability = np.zeros(len(positions))
    for n in range(len(scorer.interests)):
        probability += np.exp(scorer.scores(n, positions).astype(np.float64))
    if (calibration := scorer.asking.prior.calibration) is not None:
        probability = calibration(probability)
    return [replace(item, probability=p) for item, p in zip(ranked, probability.tolist(), strict=True)]


def _candidates(scorer: Scorer, index: CandidateIndex, mask: Bools, k: int) -> tuple[list[Ints], bool]:
    """Positions to score for each interest, and whether these are all of the mask."""
    candidates, depth = _found(scorer, index, mask, k)
    if depth is not None and scorer.asking.boosts:
        candidates = _with_boosted(scorer, index, mask, k, candidates, depth)
    return candidates, depth is None


def _found(scorer: Scorer, index: CandidateIndex, mask: Bools, k: int) -> tuple[list[Ints], int | None]:
    """Positions to score for each interest, the index's candidates and the top positions of single terms, and how many
    were looked for; None if these are all of the mask."""
    view = scorer.snapshot.view
    request = CandidateRequest(
        directions(scorer.snapshot, scorer.interests), mask, k, len(scorer.interests),
        from_items=all(source.of_items for source in scorer.interests[0].sources),
    )  # fmt: skip
    found = index.search(view, request)
    if found.depth is None:
        return found.positions, None
    eligible = np.flatnonzero(mask)
    own = [term.candidates(found.depth, eligible) for term in scorer.terms]
    extra = np.unique(np.concatenate(own)) if own else np.zeros(0, np.int64)
    both = [np.union1d(positions, extra) for positions in found.positions] if len(extra) else found.positions
    return both, found.depth


def _with_boosted(
    scorer: Scorer, index: CandidateIndex, mask: Bools, k: int, candidates: list[Ints], depth: int
) -> list[Ints]:
    """The candidates of each interest, and those that boosts may lift among the best k.

    What was not found has less evidence than the best `depth` of what was found. So it is among the best k only if its
    boosts make up for that, which is the threshold of R. Fagin et al., "Optimal aggregation algorithms for middleware"
    (PODS 2001). Such items are found as under a filter.
    """
    boosts = scorer.asking.boost_nats
    found, searched = candidates, mask
    for _ in range(BOOST_ROUNDS):
        gaps = []
        for n, (known, own) in enumerate(zip(candidates, found, strict=True)):
            alpha = scorer.scores(n, known)
            evidence = alpha[np.searchsorted(known, own)] - boosts[own]
            gaps.append(_nth_best(alpha, k) - _nth_best(evidence, min(depth // FOUND_SURELY, len(own))))
        lifted = mask & (boosts > min(gaps))
        if not lifted.any() or np.array_equal(lifted, searched):
            break
        searched = lifted
        found, more = _found(scorer, index, lifted, k)
        candidates = [np.union1d(*both) for both in zip(candidates, found, strict=True)]
        if more is None:
            break
        depth = more
    return candidates


def _nth_best(values: Array, n: int) -> float:
    """The n-th largest of values, float32; -inf if there are fewer."""
    place = len(values) - max(n, 1)
    return float(np.partition(values, place)[place]) if place >= 0 else -math.inf


def directions(snapshot: Snapshot, interests: Sequence[Interest]) -> dict[str, np.ndarray]:
    """Unit directions of u by channel, float32 [interests, width]. Channels without a query are left out.

    A channel that counts for items without events only has the direction of their u.
    """
    u, cold = np.stack([i.u for i in interests]), np.stack([i.cold for i in interests])
    blocks = {name: snapshot.head.block(name) for name in snapshot.head.names}
    found = {n: np.where(u[:, b].any(1, keepdims=True), u[:, b], cold[:, b]) for n, b in blocks.items()}
    return {name: unit(block) for name, block in found.items() if block.any()}
