"""y = topK(alpha), and the log-probability of each item of the list."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from itemlens_server.attributes.filters import Filter
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound, Warning, quoted
from itemlens_server.fusion.caps import FREE, NO_CAPS, Cap, Caps, first_of_each
from itemlens_server.fusion.head import Array, unit
from itemlens_server.fusion.interests import merge
from itemlens_server.fusion.query import ask
from itemlens_server.fusion.ranking import top
from itemlens_server.fusion.rows import Bools, Ints
from itemlens_server.fusion.scoring import Scorer, bind, log_sum, sample_of
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.sources import Interest
from itemlens_server.fusion.spread import best_newest_first, contents, pool_size, spread
from itemlens_server.index.candidate_index import CandidateIndex, CandidateRequest
from itemlens_server.index.exact import ExactIndex
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.services.limits import check_length, check_references
from itemlens_server.services.query import EncodingQuery, QueryReader, QueryRequest
from itemlens_server.services.recommendation_ids import RecommendationIds
from itemlens_server.services.results import RecommendedItem, RecommendResult
from itemlens_server.services.sentences import Language, Others, check_language, sentence, whole_channels
from itemlens_server.services.titles import titles
from itemlens_server.storage.answers import AnswerRecord

DEFAULT_K = 10
MOST_ATTRIBUTES = 50
MOST_CAPS = 5
# Other items of a group that are returned with one that stands for it.
MOST_OTHERS = 20
SURFACE = re.compile(r"[a-z0-9_-]{0,64}")


@dataclass(frozen=True)
class RecommendOptions:
    """The options of a list and of its items. Exactly one of k and top_fraction is set.

    surface: where the list is shown; kept with the answer.
    filter: which items may be in the list.
    caps: at most so many items of one value. grouped: the first cap is that of groups, of which the best stand for all.
    attributes: names of attributes to return with each item.
    """

    k: int | None = DEFAULT_K
    top_fraction: float | None = None
    candidates: Sequence[str] = ()
    exclude_seen: bool = True
    exact: bool = False
    with_parts: bool = False
    with_reasons: bool = False
    with_probabilities: bool = False
    language: str = "en"
    surface: str = ""
    filter: Filter | None = None
    caps: Sequence[Cap] = ()
    grouped: bool = False
    attributes: Sequence[str] = ()


@dataclass(frozen=True)
class Recommender:
    """Recommends the best items for a query. Call `begin`, then `recommend`; the content is encoded in between."""

    catalogue: Catalogue
    query_reader: QueryReader
    settings: Settings

    def begin(self, collection: str, request: QueryRequest, call: CallContext) -> EncodingQuery:
        """Start to encode the content of a query."""
        return self.query_reader.begin(self.catalogue.collection(collection), request, call)

    def recommend(
        self,
        collection_name: str,
        request: QueryRequest | None,
        options: RecommendOptions,
        call: CallContext,
        begun: EncodingQuery | None = None,
    ) -> RecommendResult:
        """Return the best items for `request`, and keep the result for Explain and for the report.

        Raises:
            InvalidArgument: the user side is empty, or a field is wrong.
            NotFound: the collection, all liked items, or all candidates are unknown.
        """
        collection, results = self.catalogue.collection(collection_name), self.catalogue.results
        with results.pending(collection, request.user_id if request else "") as pending:
            result = self._recommend(collection, request, options, call, begun)
            results.add(result, pending)
            results.unless_forgotten(pending, lambda: self._remember(result, request, options))
        return result

    def _remember(
        self, result: RecommendResult, request: QueryRequest | None, options: RecommendOptions
    ) -> None:
        collection, items = result.collection, result.items
        self.catalogue.answers.add(
            AnswerRecord(
                result.recommendation_id, collection.record.id, request.user_id if request else "", options.surface,
                RecommendationIds.seconds(result.recommendation_id), collection.space.space_id,
                tuple(item.item_id for item in items), tuple(item.score for item in items),
                tuple(n for n, item in enumerate(items) if item.explored),
            )
        )  # fmt: skip

    def _recommend(
        self,
        collection: Collection,
        request: QueryRequest | None,
        options: RecommendOptions,
        call: CallContext,
        begun: EncodingQuery | None,
    ) -> RecommendResult:
        language = check_language(options.language)
        if request is None:
            raise InvalidArgument(
                "`user` is required: give a user id, a history, a query or liked items", "user"
            )
        if not SURFACE.fullmatch(options.surface):
            raise InvalidArgument(
                f"{quoted(options.surface)} is not a valid surface; use up to 64 characters of a-z, 0-9, '_' and '-'",
                "surface",
            )
        check_length(options.candidates, self.settings.max_candidates, "candidate_item_ids", 0)
        check_references(options.candidates, "candidate_item_ids")
        check_caps(options.caps)
        check_length(options.attributes, MOST_ATTRIBUTES, "attribute_names", 0)
        check_references(options.attributes, "attribute_names")
        query, warnings = self.query_reader.read(collection, request, call, begun)
        scorer = bind(ask(collection.snapshot(), query, collection.type_weights))
        mask, unknown = eligible_items(scorer, options)
        eligible = int(np.count_nonzero(mask))
        k = min(list_size(options, eligible, self.settings.max_k), eligible)
        if options.with_probabilities and not scorer.asking.of_choices:
            raise FailedPrecondition(
                "probabilities are known only where all weights were fitted to choices of users: run `itemlens fit` on "
                "a collection with events, and ask by a user or a history alone, without weights"
            )
        call.check()
        exact = options.exact or bool(options.candidates)
        caps = Caps.of(options.caps, scorer.snapshot.view) if options.caps else NO_CAPS
        k = min(k, caps.longest(mask))
        scorer, scored, ranked = best(scorer, ExactIndex() if exact else collection.index, mask, k, caps)
        recommendation_id = self.catalogue.ids.make(collection.record.id, time.time())
        if (exploration := collection.record.settings.exploration).share:
            # The id is the seed, so that a list can be made again.
            random = np.random.default_rng(list(recommendation_id.encode()))
            explorer = self.catalogue.explorer
            ranked = explorer.explore(collection.record.id, exploration, scorer, mask, ranked, random, caps)
        if options.grouped:
            ranked = with_others(scorer, scored, ranked, caps.codes[0])
        if options.with_probabilities:
            ranked = with_probabilities(scorer, ranked)
        if options.attributes:
            ranked = self._with_attributes(collection, ranked, options.attributes)
        explained = self._explain(collection, scorer, ranked, options, language)
        asking = scorer.asking
        return RecommendResult(
            recommendation_id, collection, asking, scorer.shifts, tuple(explained), eligible,
            (*warnings, *asking.warnings, *unknown), scorer.says_wanted,
        )  # fmt: skip

    def _with_attributes(
        self, collection: Collection, ranked: Sequence[RecommendedItem], names: Sequence[str]
    ) -> list[RecommendedItem]:
        """The items with those of the attributes that they have. One that is damaged, or was deleted meanwhile, has
        none."""
        told = []
        for item in ranked:  # one by one, because the documents may not fit in memory together
            own: Mapping[str, Any] = {}
            with suppress(DataLoss):
                for _, document in self.catalogue.reads.documents(collection, [item.item_id]):
                    own = {name: document.attributes[name] for name in names if name in document.attributes}
            told.append(replace(item, attributes=own))
        return told

    def _explain(
        self,
        collection: Collection,
        scorer: Scorer,
        ranked: list[RecommendedItem],
        options: RecommendOptions,
        language: Language,
    ) -> list[RecommendedItem]:
        """The items with their parts and reasons, if requested."""
        if not (options.with_parts or options.with_reasons):
            return ranked
        title = titles(self.catalogue, collection, scorer.disliked)
        modalities = collection.space.modalities
        others = Others(collection, self.settings.min_reason_users)
        explained = []
        for item in ranked:
            parts, reason = scorer.by_source(item.interest, item.position), ""
            if options.with_reasons:
                channels = whole_channels(scorer.of_channels(item.interest, item.position), modalities)
                reason = sentence(
                    language, parts, channels, title, item.item_id, known=scorer.says_wanted, others=others
                )
            explained.append(replace(item, parts=tuple(parts) if options.with_parts else (), reason=reason))
        return explained


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
    candidates, whole = _candidates(scorer, index, mask, k)
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
    scorer: Scorer, index: CandidateIndex, mask: Bools, k: int, caps: Caps
) -> tuple[Scorer, list[Scored], list[RecommendedItem]]:
    """The best k of the items in `mask` under caps, with what was scored and the scorer of log-probabilities."""
    known, scored, whole = score(scorer, index, mask, caps.wanted(k, mask))
    if not known.says_wanted:
        ranked = rank_by_prior(known, scored[0], k, caps)
        dry = len(ranked) < k
    else:
        ranked = rank(known, scored, k, caps)
        listed = [item.position for item in ranked]
        dry = any(not len(np.setdiff1d(caps.with_room(own.positions, listed), listed)) for own in scored)
    if caps.codes and dry and not whole:
        # The candidates have too few values, and other items may have more.
        return best(scorer, ExactIndex(), mask, k, caps)
    return known, scored, ranked


def rank(scorer: Scorer, scored: Sequence[Scored], k: int, caps: Caps = NO_CAPS) -> list[RecommendedItem]:
    """The best k of the items under caps. Places are dealt to the interests by their shares."""
    lists = [own.positions[top(own.alpha, len(own.alpha) if caps.codes else k)].tolist() for own in scored]
    item_ids = scorer.snapshot.view.item_ids
    ranked = []
    for position, n in merge(lists, [i.weight for i in scorer.interests], k, caps):
        own = scored[n]
        alpha = own.alpha[np.searchsorted(own.positions, position)]
        ranked.append(
            RecommendedItem(item_ids[position], position, float(alpha + np.float32(scorer.shifts[n])), n)
        )
    return ranked


def rank_by_prior(scorer: Scorer, scored: Scored, k: int, caps: Caps = NO_CAPS) -> list[RecommendedItem]:
    """The best k of the items under caps for a user of whom nothing is known: of different kinds, and of equal ones
    the newest."""
    view = scorer.snapshot.view
    best = best_newest_first(scored.alpha, len(scored.alpha) if caps.codes else pool_size(k))
    if caps.codes:
        # What is in this list may be in that of the places, in whatever order.
        rows = scored.positions[best]
        pool = [row for row, _ in merge([rows], [1.0], pool_size(k), caps)]
        best = best[np.isin(rows, pool)]
    positions, alpha = scored.positions[best], scored.alpha[best]
    chosen = spread(alpha, contents(scorer.snapshot.head, view.h[positions]), k)
    scores = alpha[chosen] + np.float32(scorer.shifts[0])
    return [
        RecommendedItem(view.item_ids[position], position, score, 0)
        for position, score in zip(positions[chosen].tolist(), scores.tolist(), strict=True)
    ]


def with_others(
    scorer: Scorer, scored: Sequence[Scored], ranked: Sequence[RecommendedItem], groups: Ints
) -> list[RecommendedItem]:
    """Return the items with the ids of the others of their groups that were scored, the best first. groups: code of
    each row."""
    listed = np.asarray([item.position for item in ranked], np.int64)
    item_ids = scorer.snapshot.view.item_ids
    others: list[dict[int, list[str]]] = []
    for own in scored:
        there = np.isin(groups[own.positions], groups[listed]) & (groups[own.positions] != FREE)
        there &= ~np.isin(own.positions, listed)
        rows = own.positions[there][np.argsort(-own.alpha[there], kind="stable")]
        found: dict[int, list[str]] = {}
        for row in rows[first_of_each(groups[rows], MOST_OTHERS)].tolist():
            found.setdefault(int(groups[row]), []).append(item_ids[row])
        others.append(found)
    return [
        replace(item, others=tuple(others[item.interest].get(int(groups[item.position]), ())))
        for item in ranked
    ]


def check_caps(caps: Sequence[Cap]) -> None:
    """Check caps.

    Raises:
        InvalidArgument: there are too many, or one has no attribute or no place.
    """
    check_length(caps, MOST_CAPS, "caps", 0)
    for cap in caps:
        if not cap.attribute:
            raise InvalidArgument("an attribute is required", f"{cap.field}.attribute")
        if cap.most < 1:
            raise InvalidArgument("at least one item must be allowed", f"{cap.field}.most")


def with_probabilities(scorer: Scorer, ranked: Sequence[RecommendedItem]) -> list[RecommendedItem]:
    """Return the items with the probabilities that they are among what is taken next, over all interests."""
    positions = np.asarray([item.position for item in ranked], np.int64)
    probability = np.zeros(len(positions))
    for n in range(len(scorer.interests)):
        probability += np.exp(scorer.scores(n, positions).astype(np.float64))
    if (calibration := scorer.asking.prior.calibration) is not None:
        probability = calibration(probability)
    return [replace(item, probability=p) for item, p in zip(ranked, probability.tolist(), strict=True)]


def list_size(options: RecommendOptions, eligible: int, max_k: int) -> int:
    """The number of items to return out of `eligible`.

    Raises:
        InvalidArgument: k or top_fraction is out of range.
    """
    if options.top_fraction is not None:
        if not 0 < options.top_fraction <= 1:
            raise InvalidArgument(
                f"top_fraction is {options.top_fraction}; it must be above 0 and at most 1", "top_fraction"
            )
        # top_fraction is a float32 in the proto: 0.1 of 100 must be 10, not 11.
        k = max(1, math.ceil(options.top_fraction * eligible * (1 - 1e-6)))
        if k > max_k:
            raise InvalidArgument(
                f"top_fraction yields {k} items out of {eligible}, the limit is {max_k}", "top_fraction"
            )
        return k
    assert options.k is not None
    if not 1 <= options.k <= max_k:
        raise InvalidArgument(f"k is {options.k}; it must be 1 to {max_k}", "k")
    return options.k


def eligible_items(scorer: Scorer, options: RecommendOptions) -> tuple[Bools, list[Warning]]:
    """The positions that may be in the list, and warnings for candidates that do not exist."""
    snapshot, warnings = scorer.snapshot, []
    mask = snapshot.view.alive.copy()
    if options.candidates:
        own = snapshot.positions(options.candidates)
        for item_id in options.candidates:
            if snapshot.view.position(item_id) is None:
                message = f"candidate {item_id!r} is not in collection {snapshot.collection!r}; it is ignored"
                warnings.append(Warning("UNKNOWN_ITEM", message, "candidate_item_ids"))
        if not len(own):
            raise NotFound(
                "none of the candidates is in the collection",
                "item",
                options.candidates[0],
                "candidate_item_ids",
            )
        only = np.zeros_like(mask)
        only[own] = True
        mask &= only
    if options.exclude_seen:
        mask[snapshot.positions(scorer.asking.seen)] = False
    if options.filter is not None and len(mask):
        some = mask.any()
        mask &= snapshot.view.matching(options.filter)
        if some and not mask.any():
            message = "no item that may be in the list matches the filter, so the list is empty"
            warnings.append(Warning("FILTERED_OUT", message, "filter"))
    return mask, warnings


def _candidates(scorer: Scorer, index: CandidateIndex, mask: Bools, k: int) -> tuple[list[Ints], bool]:
    """Positions to score for each interest, the index's candidates and the top positions of single terms, and whether
    these are all of the mask."""
    view = scorer.snapshot.view
    request = CandidateRequest(
        directions(scorer.snapshot, scorer.interests), mask, k, len(scorer.interests),
        from_items=all(source.of_items for source in scorer.interests[0].sources),
    )  # fmt: skip
    found = index.search(view, request)
    if found.depth is None:
        return found.positions, True
    eligible = np.flatnonzero(mask)
    own = [term.candidates(found.depth, eligible) for term in scorer.terms]
    extra = np.unique(np.concatenate(own)) if own else np.zeros(0, np.int64)
    both = [np.union1d(positions, extra) for positions in found.positions] if len(extra) else found.positions
    return both, False


def directions(snapshot: Snapshot, interests: Sequence[Interest]) -> dict[str, np.ndarray]:
    """Unit directions of u by channel, float32 [interests, width]. Channels without a query are left out.

    A channel that counts for items without events only has the direction of their u.
    """
    u, cold = np.stack([i.u for i in interests]), np.stack([i.cold for i in interests])
    blocks = {name: snapshot.head.block(name) for name in snapshot.head.names}
    found = {n: np.where(u[:, b].any(1, keepdims=True), u[:, b], cold[:, b]) for n, b in blocks.items()}
    return {name: unit(block) for name, block in found.items() if block.any()}
