"""A fake server that records requests and fails on demand."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status

import itemlens
from itemlens.v1 import catalog_pb2, catalog_pb2_grpc, common_pb2, itemlens_pb2, itemlens_pb2_grpc

SPACE = "space-1"
WIDTHS = {"title": 4, "photo": 3}
FUSED = 6

QUICK = itemlens.Retry(attempts=4, initial=0.01, maximum=0.05)
Connect = Callable[..., Any]


def numbers(seed: int, *shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Reproducible vectors for a seed."""
    return np.random.default_rng(seed).standard_normal(shape).astype("<f4")


@dataclass
class Failure:
    """The error of a call that fails."""

    code: grpc.StatusCode
    message: str = "told to fail"
    details: tuple[Message, ...] = ()

    def abort(self, context: Any) -> None:
        packed = []
        for detail in self.details:
            box = any_pb2.Any()
            box.Pack(detail)
            packed.append(box)
        status = status_pb2.Status(code=self.code.value[0], message=self.message, details=packed)
        context.abort_with_status(rpc_status.to_status(status))


@dataclass
class Fake(itemlens_pb2_grpc.ItemLensServicer, catalog_pb2_grpc.CatalogServicer):
    """Both services. Entries whose id begins with "bad" fail; those with "long" have a warning."""

    requests: list[tuple[str, Any]] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    failures: dict[str, deque[Failure]] = field(default_factory=dict)
    held: threading.Event | None = None
    """Calls wait until it is set."""
    entered: threading.Event = field(default_factory=threading.Event)
    """Set by the first call."""
    items: dict[str, catalog_pb2.Item] = field(default_factory=dict)
    events: dict[str, catalog_pb2.Event] = field(default_factory=dict)
    break_after: deque[int] = field(default_factory=deque)
    """For each stream in turn: number of batches to answer before it breaks. Later streams do not break."""
    break_with: Failure = field(default_factory=lambda: Failure(grpc.StatusCode.UNAVAILABLE, "going down"))
    refuse: deque[str] = field(default_factory=deque)
    """Ids that the server refuses once each, for lack of room."""
    streams: int = 0
    new_enums: bool = False

    def fail(self, method: str, code: grpc.StatusCode, *details: Message, times: int = 1) -> None:
        self.failures.setdefault(method, deque()).extend([Failure(code, "told to fail", details)] * times)

    def asked(self, method: str) -> list[Any]:
        """The requests of a method, in order."""
        return [request for name, request in self.requests if name == method]

    def _enter(self, method: str, request: Any, context: Any) -> None:
        self.requests.append((method, request))
        self.deadlines.append(context.time_remaining())
        self.entered.set()
        if self.held is not None:
            self.held.wait(30)
        if self.failures.get(method):
            self.failures[method].popleft().abort(context)

    def _results(self, ids: list[str]) -> list[catalog_pb2.WriteResult]:
        results = []
        for place, id in enumerate(ids):
            result = catalog_pb2.WriteResult(id=id)
            if id in self.refuse:
                self.refuse.remove(id)
                result.status.code = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
            elif id.startswith("bad"):
                result.status.code = grpc.StatusCode.INVALID_ARGUMENT.value[0]
                result.status.message = "it is bad"
                result.status.field = f"items[{place}]"
            elif id.startswith("long"):
                result.warnings.add(
                    reason="TEXT_TRUNCATED", message="cut", field=f"items[{place}].contents[0]"
                )
            results.append(result)
        return results

    def GetSpace(self, request: Any, context: Any) -> Any:
        self._enter("GetSpace", request, context)
        kinds = {"title": itemlens_pb2.CHANNEL_KIND_TEXT, "photo": itemlens_pb2.CHANNEL_KIND_IMAGE}
        return itemlens_pb2.GetSpaceResponse(
            space_id=SPACE,
            name="fake",
            fused_dimension=FUSED,
            fitted=True,
            channels=[
                itemlens_pb2.Channel(name=name, kind=kinds[name], dimension=width, precision="fp32")
                for name, width in WIDTHS.items()
            ],
        )

    def GetStatistics(self, request: Any, context: Any) -> Any:
        self._enter("GetStatistics", request, context)
        reply = itemlens_pb2.GetStatisticsResponse(cache_hits=5, cache_misses=6, cache_bytes=7)
        encoder = reply.encoders.add(channel="title")
        for number in encoder.DESCRIPTOR.fields[1:]:
            setattr(encoder, number.name, number.number)
        return reply

    def Encode(self, request: Any, context: Any) -> Any:
        self._enter("Encode", request, context)
        reply = itemlens_pb2.EncodeResponse(space_id=SPACE)
        rows: dict[str, int] = {}
        for place, content in enumerate(request.inputs):
            result = reply.results.add(channel=content.channel)
            if content.text == "" and not content.picture:
                result.status.code = grpc.StatusCode.INVALID_ARGUMENT.value[0]
                result.status.message = "the text is empty"
                result.status.field = f"inputs[{place}].text"
                continue
            result.row = rows.get(content.channel, 0)
            rows[content.channel] = result.row + 1
        for channel, count in rows.items():
            values = numbers(count, count, WIDTHS[channel])
            reply.matrices.add(
                data=values.tobytes(),
                rows=count,
                dimension=WIDTHS[channel],
                role=common_pb2.VECTOR_ROLE_CHANNEL,
                space_id=SPACE,
                channel=channel,
            )
        return reply

    def Fuse(self, request: Any, context: Any) -> Any:
        self._enter("Fuse", request, context)
        reply = itemlens_pb2.FuseResponse(space_id=SPACE)
        for row, _ in enumerate(request.inputs):
            result = reply.results.add(row=row)
            result.channels.add(channel="title", presence=itemlens_pb2.PRESENCE_PRESENT)
            result.channels.add(channel="photo", presence=itemlens_pb2.PRESENCE_PREDICTED)
        count = len(request.inputs)
        reply.vectors.MergeFrom(
            common_pb2.Matrix(
                data=numbers(count, count, FUSED).tobytes(),
                rows=count,
                dimension=FUSED,
                role=request.role,
                space_id=SPACE,
            )
        )
        return reply

    def Recommend(self, request: Any, context: Any) -> Any:
        self._enter("Recommend", request, context)
        kind: Any = 99 if self.new_enums else common_pb2.PART_KIND_CHANNEL
        reply = itemlens_pb2.RecommendResponse(recommendation_id="r1", space_id=SPACE, eligible_items=7)
        reply.basis = itemlens_pb2.BASIS_PRIOR
        for position in range(1, (request.k or 10) + 1):
            item = reply.items.add(item_id=f"i{position}", position=position, score=1 / position)
            item.parts.add(kind=kind, channel="title", value=1 / position, is_share=position == 2)
            if request.with_probabilities:
                item.probability = 0.5 / position
        interest = reply.interests.add(weight=1.0, item_ids=["a"])
        if request.with_query_vectors:
            interest.query_vector.MergeFrom(
                common_pb2.Vector(
                    data=numbers(1, FUSED).tobytes(),
                    dimension=FUSED,
                    role=common_pb2.VECTOR_ROLE_QUERY,
                    space_id=SPACE,
                )
            )
        reply.warnings.add(reason="UNKNOWN_ITEM", message="no such item", field="user.history[0]")
        return reply

    def Explain(self, request: Any, context: Any) -> Any:
        self._enter("Explain", request, context)
        reply = itemlens_pb2.ExplainResponse(space_id=SPACE)
        for item_id in request.item_ids:
            explanation = reply.explanations.add(item_id=item_id, score=0.5, sentence="because")
            if item_id.startswith("bad"):
                explanation.status.code = grpc.StatusCode.NOT_FOUND.value[0]
                continue
            explanation.by_place.add(
                kind=common_pb2.PART_KIND_TOKEN, channel="title", value=0.5, text="red", end=3
            )
            explanation.heat_maps.add(channel="photo", rows=2, columns=3, values=[0, 1, 2, 3, 4, 5])
            total = explanation.sums.add(
                channel="title", sources=["a", ""], values=numbers(2, 2, 3).tobytes()
            )
            for _ in range(3):
                total.places.add(kind=common_pb2.PART_KIND_TOKEN)
        return reply

    def _collection(self, name: str) -> catalog_pb2.Collection:
        collection = catalog_pb2.Collection(name=name, space_id=SPACE, item_count=len(self.items))
        collection.create_time.FromSeconds(1_700_000_000)
        return collection

    def CreateCollection(self, request: Any, context: Any) -> Any:
        self._enter("CreateCollection", request, context)
        return catalog_pb2.CreateCollectionResponse(collection=self._collection(request.name))

    def GetCollection(self, request: Any, context: Any) -> Any:
        self._enter("GetCollection", request, context)
        return catalog_pb2.GetCollectionResponse(collection=self._collection(request.name))

    def ListCollections(self, request: Any, context: Any) -> Any:
        self._enter("ListCollections", request, context)
        return catalog_pb2.ListCollectionsResponse(collections=[self._collection("default")])

    def UpdateCollection(self, request: Any, context: Any) -> Any:
        self._enter("UpdateCollection", request, context)
        return catalog_pb2.UpdateCollectionResponse(collection=self._collection(request.name))

    def DeleteCollection(self, request: Any, context: Any) -> Any:
        self._enter("DeleteCollection", request, context)
        return catalog_pb2.DeleteCollectionResponse()

    def _upsert(self, request: Any) -> Any:
        results = self._results([item.item_id for item in request.items])
        self.items |= {
            item.item_id: item for item, r in zip(request.items, results, strict=True) if not r.status.code
        }
        return catalog_pb2.UpsertItemsResponse(results=results, sequence_number=len(self.requests))

    def UpsertItems(self, request: Any, context: Any) -> Any:
        self._enter("UpsertItems", request, context)
        return self._upsert(request)

    def _stream(self, method: str, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        """Requests of a stream, until its planned break."""
        self.streams += 1
        limit = self.break_after.popleft() if self.break_after else None
        for count, request in enumerate(requests):
            if count == limit:
                self.break_with.abort(context)
            self._enter(method, request, context)
            yield request

    def StreamUpsertItems(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        for request in self._stream("StreamUpsertItems", requests, context):
            yield catalog_pb2.StreamUpsertItemsResponse(upsert=self._upsert(request.upsert))

    def _update(self, request: Any) -> Any:
        results = self._results([update.item_id for update in request.updates])
        return catalog_pb2.UpdateItemsResponse(results=results, sequence_number=7)

    def UpdateItems(self, request: Any, context: Any) -> Any:
        self._enter("UpdateItems", request, context)
        return self._update(request)

    def StreamUpdateItems(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        for request in self._stream("StreamUpdateItems", requests, context):
            yield catalog_pb2.StreamUpdateItemsResponse(update=self._update(request.update))

    def GetItems(self, request: Any, context: Any) -> Any:
        self._enter("GetItems", request, context)
        reply = catalog_pb2.GetItemsResponse(space_id=SPACE)
        for item_id in request.item_ids:
            stored = reply.items.add(sequence_number=3)
            if item_id in self.items:
                stored.item.MergeFrom(self.items[item_id])
            else:
                stored.item.item_id = item_id
                stored.status.code = grpc.StatusCode.NOT_FOUND.value[0]
        return reply

    def ListItems(self, request: Any, context: Any) -> Any:
        self._enter("ListItems", request, context)
        first = int(request.page_token or 0)
        listed = list(self.items.values())
        page = [catalog_pb2.StoredItem(item=item) for item in listed[first : first + request.page_size]]
        last = first + request.page_size
        return catalog_pb2.ListItemsResponse(
            items=page, next_page_token=str(last) if last < len(listed) else ""
        )

    def DeleteItems(self, request: Any, context: Any) -> Any:
        self._enter("DeleteItems", request, context)
        return catalog_pb2.DeleteItemsResponse(results=self._results(list(request.item_ids)))

    def _record(self, request: Any) -> Any:
        results = self._results([event.event_id for event in request.events])
        self.events |= {event.event_id: event for event in request.events}
        return catalog_pb2.RecordEventsResponse(results=results, sequence_number=len(self.requests))

    def RecordEvents(self, request: Any, context: Any) -> Any:
        self._enter("RecordEvents", request, context)
        return self._record(request)

    def StreamRecordEvents(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        for request in self._stream("StreamRecordEvents", requests, context):
            yield catalog_pb2.StreamRecordEventsResponse(record=self._record(request.record))

    def ListStreams(self, request: Any, context: Any) -> Any:
        self._enter("ListStreams", request, context)
        stream = catalog_pb2.EventStream(stream="clicks", position="7", event_count=3, lag=2)
        stream.update_time.FromSeconds(1_700_000_000)
        return catalog_pb2.ListStreamsResponse(streams=[stream])

    def ListEvents(self, request: Any, context: Any) -> Any:
        self._enter("ListEvents", request, context)
        first = int(request.page_token or 0)
        last = min(first + (request.page_size or 100), 5)
        events = [
            catalog_pb2.StoredEvent(
                event=catalog_pb2.Event(
                    event_id=f"e{n}", user_id=request.user_id, item_id="a", type=common_pb2.EVENT_TYPE_OWN,
                    own_type="rating", quantity=1.0, value=4.0, order_id="o",
                ),
                held_back=n == 4,
            )
            for n in range(first, last)
        ]  # fmt: skip
        return catalog_pb2.ListEventsResponse(events=events, next_page_token=str(last) if last < 5 else "")

    def DeleteEvents(self, request: Any, context: Any) -> Any:
        self._enter("DeleteEvents", request, context)
        results = [catalog_pb2.WriteResult(id=event_id) for event_id in request.event_ids]
        return catalog_pb2.DeleteEventsResponse(results=results, sequence_number=9)

    def GetCounts(self, request: Any, context: Any) -> Any:
        self._enter("GetCounts", request, context)
        return catalog_pb2.GetCountsResponse(
            digest="d1", event_count=5, user_count=2, item_count=3, sequence_number=9
        )

    def MergeUsers(self, request: Any, context: Any) -> Any:
        self._enter("MergeUsers", request, context)
        return catalog_pb2.MergeUsersResponse(moved_events=3)

    def DeleteUser(self, request: Any, context: Any) -> Any:
        self._enter("DeleteUser", request, context)
        return catalog_pb2.DeleteUserResponse(deleted_events=5)
