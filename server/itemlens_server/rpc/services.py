"""The methods of the two gRPC services."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import TypeAlias

import grpc

from itemlens.v1 import catalog_pb2 as catalog
from itemlens.v1 import itemlens_pb2 as itemlens
from itemlens_server.access.roles import Role
from itemlens_server.errors import ItemlensError
from itemlens_server.rpc.adapter import Method, RpcAdapter
from itemlens_server.rpc.collections import Collections
from itemlens_server.rpc.encode import Encode
from itemlens_server.rpc.errors import item_status
from itemlens_server.rpc.events import (
    DeleteEvents,
    DeleteUser,
    GetCounts,
    ListEvents,
    ListStreams,
    MergeUsers,
    RecordEvents,
)
from itemlens_server.rpc.explain import Explain
from itemlens_server.rpc.fuse import Fuse
from itemlens_server.rpc.items import DeleteItems, GetItems, ListItems, UpsertItems
from itemlens_server.rpc.recommend import Recommend
from itemlens_server.rpc.spaces import GetSpace, GetStatistics
from itemlens_server.rpc.updates import UpdateItems
from itemlens_server.services import CallContext, Priority, UseCases

ITEM_LENS = itemlens.DESCRIPTOR.services_by_name["ItemLens"].full_name
CATALOG = catalog.DESCRIPTOR.services_by_name["Catalog"].full_name

Methods: TypeAlias = dict[str, Method]


def item_lens(adapter: RpcAdapter, use: UseCases, pool: Executor, computing: Executor) -> Methods:
    """The methods of itemlens.v1.ItemLens."""
    recommend = Recommend(use.recommender, pool, computing)
    statistics = GetStatistics(use.catalogue, use.content_encoder)
    return {
        "GetSpace": adapter.unary(Role.READ, GetSpace(use.catalogue), itemlens.GetSpaceRequest),
        "GetStatistics": adapter.unary(Role.READ, statistics, itemlens.GetStatisticsRequest),
        "Encode": adapter.unary_on_loop(Role.READ, Encode(use.batch_encoder, pool), itemlens.EncodeRequest),
        "Fuse": adapter.unary(Role.READ, Fuse(use.fuser), itemlens.FuseRequest),
        "Recommend": adapter.unary_on_loop(Role.READ, recommend, itemlens.RecommendRequest),
        "Explain": adapter.unary(
            Role.READ, Explain(use.explainer, adapter.max_bytes), itemlens.ExplainRequest
        ),
    }


def catalog_methods(adapter: RpcAdapter, use: UseCases) -> Methods:
    """The methods of itemlens.v1.Catalog."""
    collections = Collections(use.catalogue)
    upsert, record = UpsertItems(use.catalogue), RecordEvents(use.catalogue, adapter.in_thread)
    update = UpdateItems(use.catalogue, adapter.in_thread)

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
        return catalog.StreamRecordEventsResponse(record=record.record(request.record, call))

    def record_failed(error: ItemlensError) -> catalog.StreamRecordEventsResponse:
        result = catalog.WriteResult(status=item_status(error, "record"))
        return catalog.StreamRecordEventsResponse(record=catalog.RecordEventsResponse(results=[result]))

    def stream_update(
        request: catalog.StreamUpdateItemsRequest, call: CallContext
    ) -> catalog.StreamUpdateItemsResponse:
        return catalog.StreamUpdateItemsResponse(update=update.update(request.update, call))

    def update_failed(error: ItemlensError) -> catalog.StreamUpdateItemsResponse:
        result = catalog.WriteResult(status=item_status(error, "update"))
        return catalog.StreamUpdateItemsResponse(update=catalog.UpdateItemsResponse(results=[result]))

    upsert_type, record_type = catalog.StreamUpsertItemsRequest, catalog.StreamRecordEventsRequest
    update_type = catalog.StreamUpdateItemsRequest
    return {
        "CreateCollection": adapter.unary(Role.ADMIN, collections.create, catalog.CreateCollectionRequest),
        "GetCollection": adapter.unary(Role.READ, collections.get, catalog.GetCollectionRequest),
        "ListCollections": adapter.unary(Role.READ, collections.list, catalog.ListCollectionsRequest),
        "UpdateCollection": adapter.unary(Role.ADMIN, collections.update, catalog.UpdateCollectionRequest),
        "DeleteCollection": adapter.unary(Role.ADMIN, collections.delete, catalog.DeleteCollectionRequest),
        "UpsertItems": adapter.unary(Role.WRITE, upsert, catalog.UpsertItemsRequest, Priority.BULK),
        "StreamUpsertItems": adapter.stream(Role.WRITE, stream_upsert, upsert_failed, upsert_type),
        "UpdateItems": adapter.unary_on_loop(Role.WRITE, update, catalog.UpdateItemsRequest),
        "StreamUpdateItems": adapter.stream(Role.WRITE, stream_update, update_failed, update_type),
        "GetItems": adapter.unary(
            Role.READ, GetItems(use.catalogue, adapter.max_bytes), catalog.GetItemsRequest
        ),
        "ListItems": adapter.unary(Role.READ, ListItems(use.catalogue), catalog.ListItemsRequest),
        "DeleteItems": adapter.unary(Role.WRITE, DeleteItems(use.catalogue), catalog.DeleteItemsRequest),
        "RecordEvents": adapter.unary_on_loop(Role.WRITE, record, catalog.RecordEventsRequest),
        "StreamRecordEvents": adapter.stream(Role.WRITE, stream_record, record_failed, record_type),
        "ListStreams": adapter.unary(Role.READ, ListStreams(use.catalogue), catalog.ListStreamsRequest),
        "ListEvents": adapter.unary(Role.READ, ListEvents(use.catalogue), catalog.ListEventsRequest),
        "DeleteEvents": adapter.unary(Role.WRITE, DeleteEvents(use.catalogue), catalog.DeleteEventsRequest),
        "MergeUsers": adapter.unary(Role.WRITE, MergeUsers(use.catalogue), catalog.MergeUsersRequest),
        "GetCounts": adapter.unary(Role.READ, GetCounts(use.catalogue), catalog.GetCountsRequest),
        "DeleteUser": adapter.unary(Role.WRITE, DeleteUser(use.catalogue), catalog.DeleteUserRequest),
    }


def register(
    server: grpc.aio.Server, adapter: RpcAdapter, use: UseCases, pool: Executor, computing: Executor
) -> None:
    """Add both services to `server`. Blocking work runs in `pool`, ranking in `computing`."""
    for service, methods in (
        (ITEM_LENS, item_lens(adapter, use, pool, computing)),
        (CATALOG, catalog_methods(adapter, use)),
    ):
        handlers = {name: method(f"/{service}/{name}") for name, method in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
