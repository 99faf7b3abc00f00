"""Explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlens.v1 import itemlens_pb2
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import FailedPrecondition, InvalidArgument, ItemlensError, NotFound, Warning
from itemlens_server.fusion.rows import View
from itemlens_server.rpc import messages as convert
from itemlens_server.rpc.errors import item_status
from itemlens_server.services import parts, sentences
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import ContentEncoder, EncodedContent, stored_content
from itemlens_server.services.places import ChannelSum, ItemInput, channel_sums
from itemlens_server.services.query import Interest, resolve
from itemlens_server.services.recommender import Recommendations, score
from itemlens_server.services.titles import titles
from itemlens_server.storage.records import StoredItem


@dataclass(frozen=True)
class _Task:
    """One item to explain: where it is, for which interest, and the score it had."""

    item_id: str
    position: int
    interest: Interest
    score: float


@dataclass(frozen=True)
class _Context:
    """What all items of a call share."""

    collection: Collection
    view: View
    tasks: list[_Task | ItemlensError]
    warnings: list[Warning]


@dataclass(frozen=True)
class Explain:
    """Why items get their scores."""

    catalogue: Catalogue
    encoder: ContentEncoder
    sides: convert.SideReader
    recommendations: Recommendations
    settings: Settings

    def __call__(
        self, request: itemlens_pb2.ExplainRequest, call: CallContext
    ) -> itemlens_pb2.ExplainResponse:
        language = sentences.language(request.language)
        convert.at_most(request.item_ids, min(100, self.settings.max_inputs), "item_ids")
        which = request.WhichOneof("side")
        if which is None:
            raise InvalidArgument("give a recommendation_id or a user side", "side")
        context = self._recommended(request) if which == "recommendation_id" else self._asked(request, call)
        reply = itemlens_pb2.ExplainResponse(
            space_id=context.collection.space.space_id, warnings=convert.warnings(context.warnings)
        )
        stored = self.catalogue.get(context.collection, list(request.item_ids), pictures=True)
        interests = {id(t.interest): t.interest for t in context.tasks if isinstance(t, _Task)}
        past = [i for interest in interests.values() for i in parts.named_items(context.view, interest)]
        named = titles(self.catalogue, context.collection, past)
        for n, task in enumerate(context.tasks):
            message = reply.explanations.add(item_id=request.item_ids[n])
            try:
                if isinstance(task, ItemlensError):
                    raise task
                self._explain(
                    message, request, language, context, task, stored.get(task.item_id), named, call
                )
            except ItemlensError as error:
                message.status.CopyFrom(item_status(error, f"item_ids[{n}]"))
        return reply

    def _recommended(self, request: itemlens_pb2.ExplainRequest) -> _Context:
        answer = self.recommendations.get(request.recommendation_id)
        current = self.catalogue.collection(answer.collection.name)
        if request.collection and request.collection != current.name:
            raise InvalidArgument(f"that recommendation is of collection {current.name!r}", "collection")
        if current is not answer.collection:
            raise FailedPrecondition(
                "the collection has moved to another space since; ask for a new recommendation"
            )
        items = {i.item_id: i for i in answer.items}
        tasks: list[_Task | ItemlensError] = []
        for item_id in request.item_ids:
            ranked = items.get(item_id)
            if ranked is None:
                tasks.append(
                    InvalidArgument(
                        f"item {item_id!r} is not in that recommendation; explain it with a user side"
                    )
                )
            elif current.index.position(item_id) != ranked.position:
                tasks.append(
                    FailedPrecondition(
                        f"item {item_id!r} was changed or deleted since; ask for a new recommendation"
                    )
                )
            else:
                interest = answer.resolved.interests[ranked.interest]
                tasks.append(_Task(item_id, ranked.position, interest, ranked.score))
        return _Context(current, answer.view, tasks, [])

    def _asked(self, request: itemlens_pb2.ExplainRequest, call: CallContext) -> _Context:
        collection = self.catalogue.collection(request.collection)
        side, warnings = self.sides.read(collection, request.user, call)
        view = collection.index.view()
        resolved = resolve(collection, view, side, self.sides.rules)
        tasks: list[_Task | ItemlensError] = []
        for item_id in request.item_ids:
            position = view.position(item_id)
            if position is None:
                tasks.append(
                    NotFound(f"item {item_id!r} is not in collection {collection.name!r}", "item", item_id)
                )
                continue
            # Of several interests the one that likes the item most explains it.
            alphas = [
                float(score(collection, view, np.asarray([position]), i)[0]) for i in resolved.interests
            ]
            best = int(np.argmax(alphas))
            tasks.append(_Task(item_id, position, resolved.interests[best], alphas[best]))
        return _Context(collection, view, tasks, [*warnings, *resolved.warnings])

    def _explain(
        self, message: itemlens_pb2.Explanation, request: itemlens_pb2.ExplainRequest, language: sentences.Language,
        context: _Context, task: _Task, item: StoredItem | None, named: dict[str, str], call: CallContext,
    ) -> None:  # fmt: skip
        if item is None or item.row != context.view.labels[task.position]:
            raise NotFound(
                f"item {task.item_id!r} was changed or deleted meanwhile; ask again", "item", task.item_id
            )
        head = context.collection.space.head
        h = context.view.h[task.position]
        sides = parts.directions(head, context.view, task.interest)
        inputs = self._encode(context.collection, item, call)
        sums = channel_sums(context.collection.space, sides, h, inputs)
        fixed = [
            *parts.baselines(head, task.interest, h),
            *parts.behaviour_parts(task.interest, task.item_id),
        ]
        places = [p for s in sums for p in s.places]
        sources = [*parts.by_source(head, sides, h), *fixed]
        message.score = task.score
        message.residual = task.score - sum(p.value for p in [*places, *fixed])
        message.by_channel.extend(convert.part(p) for p in [*parts.by_channel(head, sides, h), *fixed])
        message.by_source.extend(convert.part(p) for p in sources)
        message.by_place.extend(convert.part(p) for p in [*places, *fixed])
        message.sentence = sentences.sentence(language, sources, places, lambda i: named.get(i, i))
        if request.with_sums:
            message.sums.extend(_sum_message(s) for s in sums)
        if request.heat_map:
            message.heat_maps.extend(self._heat_maps(context.collection, request.heat_map, item, sums))

    def _encode(self, collection: Collection, item: StoredItem, call: CallContext) -> list[ItemInput]:
        contents = [stored_content(collection.space, item, stored) for stored in item.inputs]
        outcomes = self.encoder.encode(collection.space, contents, "item", call, with_places=True)
        inputs = []
        for content, outcome in zip(contents, outcomes, strict=True):
            if not isinstance(outcome, EncodedContent):
                raise FailedPrecondition(
                    f"the stored content of channel {content.channel!r} cannot be encoded: {outcome.message}"
                )
            inputs.append(ItemInput(content.channel, outcome))
        return inputs

    def _heat_maps(
        self,
        collection: Collection,
        form: itemlens_pb2.HeatMapFormat.ValueType,
        item: StoredItem,
        sums: list[ChannelSum],
    ) -> list[itemlens_pb2.HeatMap]:
        heat_maps = []
        for channel_sum in sums:
            by_content: dict[tuple[str, int], list[float]] = {}
            for place in channel_sum.places:
                by_content.setdefault((place.source_channel, place.picture_index), []).append(place.value)
            for (source, number), values in by_content.items():
                encoder = collection.space.encoders[source]
                if encoder.heat_map_size is None:
                    continue
                rows, columns = encoder.heat_map_size
                message = itemlens_pb2.HeatMap(
                    channel=channel_sum.channel, picture_index=number, rows=rows, columns=columns
                )
                if form == itemlens_pb2.HEAT_MAP_FORMAT_PNG:
                    stored = [i.picture for i in item.inputs if i.channel == source][number]
                    message.png = encoder.draw_heat_map(stored, values)
                else:
                    message.values.extend(values)
                heat_maps.append(message)
        return heat_maps


def _sum_message(one: ChannelSum) -> itemlens_pb2.ChannelSum:
    return itemlens_pb2.ChannelSum(
        channel=one.channel, sources=one.sources, places=[convert.part(p) for p in one.places],
        values=np.ascontiguousarray(one.values, "<f4").tobytes(),
    )  # fmt: skip
