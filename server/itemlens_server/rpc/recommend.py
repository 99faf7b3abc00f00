"""Recommend."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from google.protobuf.struct_pb2 import Value

from itemlens.v1 import common_pb2, itemlens_pb2
from itemlens_server.rpc import boosts, filters, messages
from itemlens_server.rpc.waiting import in_thread, ready
from itemlens_server.services import (
    CallContext,
    Cap,
    EncodingQuery,
    Facet,
    ListChange,
    QueryRequest,
    Recommender,
    RecommendOptions,
    RecommendResult,
    WantedFacet,
)

# Values of a facet unless the caller says how many.
DEFAULT_VALUES = 10


@dataclass(frozen=True)
class Recommend:
    """Return the best items for a user or a query. Blocking work runs in `pool`, ranking in `computing`."""

    recommender: Recommender
    pool: Executor
    computing: Executor

    async def __call__(
        self, request: itemlens_pb2.RecommendRequest, call: CallContext
    ) -> itemlens_pb2.RecommendResponse:
        query = messages.query(request.user) if request.HasField("user") else None
        begun = None
        if query is not None and query.content:
            begun = await in_thread(self.pool, self.recommender.begin, request.collection, query, call)
            await ready(begun.encoding)
        return await in_thread(self.computing, self._recommend, request, query, call, begun)

    def _recommend(
        self,
        request: itemlens_pb2.RecommendRequest,
        query: QueryRequest | None,
        call: CallContext,
        begun: EncodingQuery | None,
    ) -> itemlens_pb2.RecommendResponse:
        result = self.recommender.recommend(request.collection, query, _options(request), call, begun)
        return _reply(result, request.with_query_vectors)


def _options(request: itemlens_pb2.RecommendRequest) -> RecommendOptions:
    default, size = RecommendOptions(), request.WhichOneof("size")
    return RecommendOptions(
        k=None if size == "top_fraction" else request.k if size == "k" else default.k,
        top_fraction=request.top_fraction if size == "top_fraction" else None,
        candidates=tuple(dict.fromkeys(request.candidate_item_ids)),
        exclude_seen=request.exclude_seen if request.HasField("exclude_seen") else default.exclude_seen,
        exact=request.exact,
        with_parts=request.with_parts,
        with_reasons=request.with_reasons,
        language=request.language,
        with_probabilities=request.with_probabilities,
        surface=request.surface,
        filter=filters.condition(request),
        caps=_caps(request),
        fold_duplicates=request.fold_duplicates,
        disabled_rules=tuple(request.disabled_rules),
        attributes=tuple(request.attribute_names),
        facets=messages.Decoded(request.facets, _wanted),
        boosts=boosts.choice(request),
    )


def _caps(request: itemlens_pb2.RecommendRequest) -> tuple[Cap, ...]:
    caps = tuple(Cap(cap.attribute, cap.most, f"caps[{n}]") for n, cap in enumerate(request.caps))
    if not request.group_by:
        return caps
    return (Cap(request.group_by, request.per_group or 1, "group_by"), *caps)


def _reply(result: RecommendResult, with_query_vectors: bool) -> itemlens_pb2.RecommendResponse:
    space_id = result.collection.space.space_id
    reply = itemlens_pb2.RecommendResponse(
        recommendation_id=result.recommendation_id, space_id=space_id, eligible_items=result.eligible,
        warnings=messages.warnings(result.warnings),
        basis=itemlens_pb2.BASIS_EVIDENCE if result.says_wanted else itemlens_pb2.BASIS_PRIOR,
        changes=[_change(change) for change in result.changes],
        facets=[_facet(facet) for facet in result.facets],
    )  # fmt: skip
    for interest in result.interests:
        message = reply.interests.add(weight=interest.weight, item_ids=interest.item_ids)
        if with_query_vectors:
            u = messages.one_vector(interest.u, common_pb2.VECTOR_ROLE_QUERY, space_id)
            message.query_vector.CopyFrom(u)
    for position, item in enumerate(result.items, 1):
        added = reply.items.add(
            item_id=item.item_id, position=position, score=item.score, interest=item.interest,
            parts=[messages.part(p) for p in item.parts], reason=item.reason, probability=item.probability,
            explored=item.explored, other_item_ids=item.others, rank=item.rank,
            rules=item.rules,
        )  # fmt: skip
        if item.attributes:
            added.attributes.update(dict(item.attributes))
    return reply


def _change(change: ListChange) -> itemlens_pb2.ListChange:
    return itemlens_pb2.ListChange(
        attribute=change.attribute, most=change.most, items=change.items, rule=change.rule
    )


def _wanted(facet: itemlens_pb2.FacetRequest) -> WantedFacet:
    return WantedFacet(facet.attribute, facet.max_values or DEFAULT_VALUES)


def _facet(facet: Facet) -> itemlens_pb2.Facet:
    message = itemlens_pb2.Facet(
        attribute=facet.attribute, items=facet.items, value_count=facet.different,
        counts=[itemlens_pb2.FacetCount(value=_json(value), items=count) for value, count in facet.counts],
    )  # fmt: skip
    if facet.least is not None:
        message.min.CopyFrom(_json(facet.least))
        message.max.CopyFrom(_json(facet.largest))
    return message


def _json(value: str | float | bool) -> Value:
    if isinstance(value, bool):
        return Value(bool_value=value)
    return Value(string_value=value) if isinstance(value, str) else Value(number_value=value)
