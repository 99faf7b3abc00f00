"""Explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlens.v1 import itemlens_pb2
from itemlens_server.errors import InvalidArgument
from itemlens_server.rpc import boosts, filters, messages
from itemlens_server.rpc.calls import check_reply
from itemlens_server.rpc.errors import item_status
from itemlens_server.services import (
    CallContext,
    ChannelSum,
    Explainer,
    ExplainOptions,
    Explanation,
    HeatMap,
    HeatMapFormat,
)

HEAT_MAPS: dict[int, HeatMapFormat] = {
    itemlens_pb2.HEAT_MAP_FORMAT_GRID: "GRID",
    itemlens_pb2.HEAT_MAP_FORMAT_PNG: "PNG",
}


@dataclass(frozen=True)
class Explain:
    """Explain the scores of items."""

    explainer: Explainer
    max_bytes: int

    def __call__(
        self, request: itemlens_pb2.ExplainRequest, call: CallContext
    ) -> itemlens_pb2.ExplainResponse:
        options, side = _options(request), request.WhichOneof("side")
        if side is None:
            raise InvalidArgument("give a recommendation_id or a user side", "side")
        if side == "recommendation_id":
            if request.HasField("exclude_seen"):
                raise InvalidArgument(
                    "exclude_seen is known of a recommendation; leave it out", "exclude_seen"
                )
            if field := filters.given(request):
                raise InvalidArgument("the filter is known of a recommendation; leave it out", field)
            for field in ("surface", "disabled_rules", "boosts", "without_boosts"):
                if getattr(request, field):
                    raise InvalidArgument(f"{field} is known of a recommendation; leave it out", field)
            result = self.explainer.explain_result(
                request.collection, request.recommendation_id, request.item_ids, options, call
            )
        else:
            query = messages.query(request.user)
            result = self.explainer.explain_query(request.collection, query, request.item_ids, options, call)
        reply = itemlens_pb2.ExplainResponse(
            space_id=result.space_id, warnings=messages.warnings(result.warnings)
        )
        reply_bytes = 0
        for n, explanation in enumerate(result.explanations):
            message = reply.explanations.add()
            message.CopyFrom(_explanation(explanation, n))
            reply_bytes += message.ByteSize()
            check_reply(reply_bytes, self.max_bytes, n + 1, len(request.item_ids), "item_ids")
        return reply


def _options(request: itemlens_pb2.ExplainRequest) -> ExplainOptions:
    default = ExplainOptions()
    return ExplainOptions(
        language=request.language,
        heat_map=HEAT_MAPS.get(request.heat_map),
        with_sums=request.with_sums,
        exclude_seen=request.exclude_seen if request.HasField("exclude_seen") else default.exclude_seen,
        filter=filters.condition(request),
        surface=request.surface,
        disabled_rules=tuple(request.disabled_rules),
        boosts=boosts.choice(request),
    )


def _explanation(e: Explanation, n: int) -> itemlens_pb2.Explanation:
    if e.error is not None:
        return itemlens_pb2.Explanation(item_id=e.item_id, status=item_status(e.error, f"item_ids[{n}]"))
    return itemlens_pb2.Explanation(
        item_id=e.item_id, score=e.score, residual=e.residual, sentence=e.sentence,
        by_channel=[messages.part(p) for p in e.by_channel], by_source=[messages.part(p) for p in e.by_source],
        by_place=[messages.part(p) for p in e.by_place], sums=[_sum(s) for s in e.sums],
        heat_maps=[_heat_map(m) for m in e.heat_maps], rules=e.rules,
    )  # fmt: skip


def _sum(whole: ChannelSum) -> itemlens_pb2.ChannelSum:
    return itemlens_pb2.ChannelSum(
        channel=whole.channel, sources=whole.sources, places=[messages.part(p) for p in whole.places],
        values=np.ascontiguousarray(whole.values, "<f4").tobytes(),
    )  # fmt: skip


def _heat_map(heat_map: HeatMap) -> itemlens_pb2.HeatMap:
    return itemlens_pb2.HeatMap(
        channel=heat_map.channel, picture_index=heat_map.picture_index, rows=heat_map.rows,
        columns=heat_map.columns, values=heat_map.values, png=heat_map.png,
    )  # fmt: skip
