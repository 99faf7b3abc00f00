"""Recommend: y = topK(alpha), with parts, reasons and attributes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from itemlens_server.attributes.facets import facets_of
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import DataLoss, FailedPrecondition, InvalidArgument
from itemlens_server.fusion.rows import View
from itemlens_server.fusion.scoring import Scorer
from itemlens_server.index.exact import ExactIndex
from itemlens_server.services.asked_list import AskedList
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.services.list_maker import ListMaker
from itemlens_server.services.lists import with_probabilities
from itemlens_server.services.live_recall import LiveRecall, kind_of
from itemlens_server.services.query import EncodingQuery, QueryReader, QueryRequest
from itemlens_server.services.recommend_options import (
    RecommendOptions,
    check_options,
    list_size,
)
from itemlens_server.services.recommendation_ids import RecommendationIds
from itemlens_server.services.results import RecommendedItem, RecommendResult
from itemlens_server.services.sentences import Language, Others, check_language, sentence, whole_channels
from itemlens_server.services.titles import titles
from itemlens_server.storage.answers import AnswerRecord


@dataclass(frozen=True)
class Recommender:
    """Recommends the best items for a query. Call `begin`, then `recommend`; the content is encoded in between."""

    catalogue: Catalogue
    query_reader: QueryReader
    settings: Settings
    live_recall: LiveRecall

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
        check_options(options, self.settings)
        query, warnings = self.query_reader.read(collection, request, call, begun)
        asked = AskedList.of(collection, query, options)
        scorer, mask, rules = asked.scorer, asked.mask, asked.rules
        eligible = int(np.count_nonzero(mask))
        view = scorer.snapshot.view
        facets = facets_of(view.attributes, options.facets, view.records[mask]) if options.facets else ()
        k = min(list_size(options, eligible, self.settings.max_k), eligible)
        if options.with_probabilities and not scorer.asking.of_choices:
            raise FailedPrecondition(
                "probabilities are known only where all weights were fitted to choices of users: run `itemlens fit` on "
                "a collection with events, and ask by a user or a history alone, without weights and boosts "
                "(`without_boosts` leaves out those that the collection's settings have on by default)"
            )
        call.check()
        exact = options.exact or bool(options.candidates)
        recommendation_id = self.catalogue.ids.make(collection.record.id, time.time())
        index = ExactIndex() if exact else collection.index
        offer = partial(self.live_recall.offer, kind_of(request, options))
        lists = ListMaker(collection, self.catalogue.explorer, index, offer)
        scorer, ranked, changes, outweighing = lists.make(
            scorer, options, rules, mask, k, recommendation_id, call
        )
        if options.with_probabilities:
            ranked = with_probabilities(scorer, ranked)
        if options.attributes:
            ranked = self._with_attributes(collection, view, ranked, options.attributes)
        explained = self._explain(collection, scorer, ranked, options, language)
        told = (*warnings, *asked.warnings, *rules.warnings, *outweighing)
        return RecommendResult(
            recommendation_id, collection, scorer.asking, scorer.shifts, tuple(explained), eligible, told,
            scorer.says_wanted, changes, facets, tuple(rules.rules),
        )  # fmt: skip

    def _with_attributes(
        self, collection: Collection, view: View, ranked: Sequence[RecommendedItem], names: Sequence[str]
    ) -> list[RecommendedItem]:
        """The items with those of the attributes that they have: as they were when the list was made, so that they
        match its filter. One that is damaged has none."""
        told = []
        for item in ranked:  # one by one, because the documents may not fit in memory together
            own: Mapping[str, Any] = {}
            with suppress(DataLoss):
                documents = dict(self.catalogue.reads.documents(collection, [item.item_id]))
                now = documents[item.item_id].attributes if documents else {}
                own = view.attributes.told(int(view.records[item.position]), names, now)
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
        others = Others(collection.event_tables, self.settings.min_reason_users)
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
