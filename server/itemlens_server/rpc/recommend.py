"""Recommend."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from itemlens.v1 import common_pb2, itemlens_pb2
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import InvalidArgument
from itemlens_server.rpc import messages as convert
from itemlens_server.rpc.waiting import ready
from itemlens_server.services import parts, sentences
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.recommender import Answer, Recommendations, RecommendOptions, recommend
from itemlens_server.services.titles import titles

DEFAULT_K = 10


@dataclass(frozen=True)
class Recommend:
    """The best items for a user or a query."""

    catalogue: Catalogue
    sides: convert.SideReader
    recommendations: Recommendations
    settings: Settings
    pool: Executor
    computing: Executor

    async def __call__(
        self, request: itemlens_pb2.RecommendRequest, call: CallContext
    ) -> itemlens_pb2.RecommendResponse:
        loop = asyncio.get_running_loop()
        begun = None
        if request.user.query:
            begun = await loop.run_in_executor(self.pool, self._begin, request, call)
            await ready(begun.encoding)
        return await loop.run_in_executor(self.computing, self._recommend, request, call, begun)

    def _begin(self, request: itemlens_pb2.RecommendRequest, call: CallContext) -> convert.EncodingQuery:
        collection = self.catalogue.collection(request.collection)
        return self.sides.begin(collection, request.user, call)

    def _recommend(
        self, request: itemlens_pb2.RecommendRequest, call: CallContext, begun: convert.EncodingQuery | None
    ) -> itemlens_pb2.RecommendResponse:
        language = sentences.language(request.language)
        collection = self.catalogue.collection(request.collection)
        if not request.HasField("user"):
            raise InvalidArgument("say who or what is asking", "user")
        convert.at_most(request.candidate_item_ids, self.settings.max_candidates, "candidate_item_ids", 0)
        side, warnings = self.sides.read(collection, request.user, call, begun)
        answer = recommend(
            collection, side, _wanted(request), self.sides.rules,
            candidates_per_channel=self.settings.candidates_per_channel, max_k=self.settings.max_k, call=call,
        )  # fmt: skip
        self.recommendations.add(replace(answer, user_id=request.user.user_id))
        return self._reply(request, answer, language, convert.warnings([*warnings, *answer.warnings]))

    def _reply(
        self,
        request: itemlens_pb2.RecommendRequest,
        answer: Answer,
        language: sentences.Language,
        warnings: list[common_pb2.Warning],
    ) -> itemlens_pb2.RecommendResponse:
        space_id = answer.collection.space.space_id
        reply = itemlens_pb2.RecommendResponse(
            recommendation_id=answer.recommendation_id, space_id=space_id, eligible_items=answer.eligible,
            warnings=warnings,
        )  # fmt: skip
        for interest in answer.resolved.interests:
            one = reply.interests.add(weight=interest.weight, item_ids=interest.item_ids)
            if request.with_query_vectors:
                role = common_pb2.VECTOR_ROLE_QUERY
                one.query_vector.CopyFrom(convert.one_vector(interest.u, role, space_id))
        for n, item in enumerate(answer.items):
            reply.items.add(item_id=item.item_id, position=n + 1, score=item.score, interest=item.interest)
        if request.with_parts or request.with_reasons:
            self._explain(request, answer, language, reply)
        return reply

    def _explain(
        self,
        request: itemlens_pb2.RecommendRequest,
        answer: Answer,
        language: sentences.Language,
        reply: itemlens_pb2.RecommendResponse,
    ) -> None:
        head = answer.collection.space.head
        interests = answer.resolved.interests
        sides = [parts.directions(head, answer.view, i) for i in interests]
        past = [i for interest in interests for i in parts.named_items(answer.view, interest)]
        encoders = answer.collection.space.encoders
        kinds = {name: e.modality.place for name, e in encoders.items()}
        named = titles(self.catalogue, answer.collection, past) if request.with_reasons else {}
        for item, message in zip(answer.items, reply.items, strict=True):
            interest, h = interests[item.interest], answer.view.h[item.position]
            follow = parts.behaviour_parts(interest, item.item_id)
            sources = [
                *parts.by_source(head, sides[item.interest], h),
                *follow,
                *parts.baselines(head, interest, h),
            ]
            if request.with_parts:
                message.parts.extend(convert.part(p) for p in sources)
            if request.with_reasons:
                channels = parts.by_channel(head, sides[item.interest], h)
                places = sentences.place_parts(channels, kinds)
                message.reason = sentences.sentence(language, sources, places, lambda i: named.get(i, i))


def _wanted(request: itemlens_pb2.RecommendRequest) -> RecommendOptions:
    which = request.WhichOneof("size")
    return RecommendOptions(
        k=None if which == "top_fraction" else request.k if which == "k" else DEFAULT_K,
        top_fraction=request.top_fraction if which == "top_fraction" else None,
        candidates=tuple(dict.fromkeys(request.candidate_item_ids)),
        exclude_seen=request.exclude_seen if request.HasField("exclude_seen") else True,
        exact=request.exact,
    )
