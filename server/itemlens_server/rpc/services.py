"""The two services of the contract, method by method."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import TypeAlias

import grpc

from itemlens.v1 import catalog_pb2 as catalog
from itemlens.v1 import itemlens_pb2 as itemlens
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext, Priority
from itemlens_server.errors import ItemlensError
from itemlens_server.observer import Observer
from itemlens_server.rpc.adapter import Method, RpcAdapter
from itemlens_server.rpc.collections import Collections
from itemlens_server.rpc.encode import Encode, GetSpace, GetStatistics
from itemlens_server.rpc.errors import item_status
from itemlens_server.rpc.events import DeleteUser, RecordEvents
from itemlens_server.rpc.explain import Explain
from itemlens_server.rpc.fuse import Fuse
from itemlens_server.rpc.items import DeleteItems, GetItems, ListItems, UpsertItems
from itemlens_server.rpc.messages import SideReader
from itemlens_server.rpc.recommend import Recommend
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.encoding import ContentEncoder
from itemlens_server.services.recommender import Recommendations

ITEM_LENS = itemlens.DESCRIPTOR.services_by_name["ItemLens"].full_name
CATALOG = catalog.DESCRIPTOR.services_by_name["Catalog"].full_name

Methods: TypeAlias = dict[str, Method]


def item_lens(
    frame: RpcAdapter,
    catalogue: Catalogue,
    encoder: ContentEncoder,
    answers: Recommendations,
    settings: Settings,
    pool: Executor,
    computing: Executor,
) -> Methods:
    """The methods of itemlens.v1.ItemLens."""
    sides = SideReader(catalogue, encoder, settings)
    recommend = Recommend(catalogue, sides, answers, settings, pool, computing)
    explain = Explain(catalogue, encoder, sides, answers, settings)
    return {
        "GetSpace": frame.unary(GetSpace(catalogue), itemlens.GetSpaceRequest),
        "GetStatistics": frame.unary(GetStatistics(catalogue, encoder), itemlens.GetStatisticsRequest),
        "Encode": frame.unary_on_loop(Encode(catalogue, encoder, settings, pool), itemlens.EncodeRequest),
        "Fuse": frame.unary(Fuse(catalogue, encoder, settings), itemlens.FuseRequest),
        "Recommend": frame.unary_on_loop(recommend, itemlens.RecommendRequest),
        "Explain": frame.unary(explain, itemlens.ExplainRequest),
    }


def catalog_methods(
    frame: RpcAdapter, catalogue: Catalogue, answers: Recommendations, settings: Settings
) -> Methods:
    """The methods of itemlens.v1.Catalog."""
    collections = Collections(catalogue, answers)
    upsert, record = UpsertItems(catalogue, settings), RecordEvents(catalogue, settings)

    def stream_upsert(
        request: catalog.StreamUpsertItemsRequest, call: CallContext
    ) -> catalog.StreamUpsertItemsResponse:
        return catalog.StreamUpsertItemsResponse(upsert=upsert(request.upsert, call))

    def upsert_failed(error: ItemlensError) -> catalog.StreamUpsertItemsResponse:
        result = catalog.WriteResult(status=item_status(error, "upsert"))
        return catalog.StreamUpsertItemsResponse(upsert=catalog.UpsertItemsResponse(results=[result]))

    def stream_record(
        request: catalog.StreamRecordEventsRequest, call: CallContext
    ) -> catalog.StreamRecordEventsResponse:
        return catalog.StreamRecordEventsResponse(record=record(request.record, call))

    def record_failed(error: ItemlensError) -> catalog.StreamRecordEventsResponse:
        result = catalog.WriteResult(status=item_status(error, "record"))
        return catalog.StreamRecordEventsResponse(record=catalog.RecordEventsResponse(results=[result]))

    upsert_type, record_type = catalog.StreamUpsertItemsRequest, catalog.StreamRecordEventsRequest
    return {
        "CreateCollection": frame.unary(collections.create, catalog.CreateCollectionRequest),
        "GetCollection": frame.unary(collections.get, catalog.GetCollectionRequest),
        "ListCollections": frame.unary(collections.list, catalog.ListCollectionsRequest),
        "UpdateCollection": frame.unary(collections.update, catalog.UpdateCollectionRequest),
        "DeleteCollection": frame.unary(collections.delete, catalog.DeleteCollectionRequest),
        "UpsertItems": frame.unary(upsert, catalog.UpsertItemsRequest, Priority.BULK),
        "StreamUpsertItems": frame.stream(stream_upsert, upsert_failed, upsert_type),
        "GetItems": frame.unary(GetItems(catalogue, settings), catalog.GetItemsRequest),
        "ListItems": frame.unary(ListItems(catalogue), catalog.ListItemsRequest),
        "DeleteItems": frame.unary(DeleteItems(catalogue, settings), catalog.DeleteItemsRequest),
        "RecordEvents": frame.unary(record, catalog.RecordEventsRequest),
        "StreamRecordEvents": frame.stream(stream_record, record_failed, record_type),
        "DeleteUser": frame.unary(DeleteUser(catalogue, answers), catalog.DeleteUserRequest),
    }


def register(
    server: grpc.aio.Server,
    catalogue: Catalogue,
    encoder: ContentEncoder,
    settings: Settings,
    pool: Executor,
    computing: Executor,
    observer: Observer,
) -> None:
    """Add both services to `server`; what blocks is done in `pool`, what only computes in `computing`. `observer` is
    told of all calls."""
    answers = Recommendations(settings.max_recommendations)
    frame = RpcAdapter(
        pool, max_calls=settings.max_calls, bulk_threads=max(1, settings.rpc_threads // 2),
        max_bytes=settings.max_message_bytes, observer=observer,
    )  # fmt: skip
    for service, methods in (
        (ITEM_LENS, item_lens(frame, catalogue, encoder, answers, settings, pool, computing)),
        (CATALOG, catalog_methods(frame, catalogue, answers, settings)),
    ):
        handlers = {name: method(f"/{service}/{name}") for name, method in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
