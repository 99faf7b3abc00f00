"""The two services of the contract, method by method."""

from __future__ import annotations

import threading
from typing import Any, TypeAlias

import grpc

from itemlens.v1 import catalog_pb2 as catalog
from itemlens.v1 import itemlens_pb2 as itemlens
from itemlens_server.config import Settings
from itemlens_server.deadline import Deadline
from itemlens_server.domain.catalogue import Catalogue
from itemlens_server.domain.encode import ContentEncoder
from itemlens_server.domain.recommend import Recommendations
from itemlens_server.errors import ItemlensError
from itemlens_server.rpc.collections import Collections
from itemlens_server.rpc.convert import SideReader
from itemlens_server.rpc.encode import Encode, GetSpace
from itemlens_server.rpc.errors import item_status
from itemlens_server.rpc.events import DeleteUser, RecordEvents
from itemlens_server.rpc.explain import Explain
from itemlens_server.rpc.fuse import Fuse
from itemlens_server.rpc.items import DeleteItems, GetItems, ListItems, UpsertItems
from itemlens_server.rpc.methods import stream, unary
from itemlens_server.rpc.recommend import Recommend

ITEM_LENS = itemlens.DESCRIPTOR.services_by_name["ItemLens"].full_name
CATALOG = catalog.DESCRIPTOR.services_by_name["Catalog"].full_name

Methods: TypeAlias = "dict[str, grpc.RpcMethodHandler[Any, Any]]"  # generic in its stubs only


def item_lens(
    catalogue: Catalogue, encoder: ContentEncoder, answers: Recommendations, settings: Settings
) -> Methods:
    """The methods of itemlens.v1.ItemLens."""
    sides = SideReader(catalogue, encoder, settings)
    explain = Explain(catalogue, encoder, sides, answers, settings)
    most = settings.max_message_bytes
    return {
        "GetSpace": unary(GetSpace(catalogue), itemlens.GetSpaceRequest, most),
        "Encode": unary(Encode(catalogue, encoder, settings), itemlens.EncodeRequest, most),
        "Fuse": unary(Fuse(catalogue, encoder, settings), itemlens.FuseRequest, most),
        "Recommend": unary(Recommend(catalogue, sides, answers, settings), itemlens.RecommendRequest, most),
        "Explain": unary(explain, itemlens.ExplainRequest, most),
    }


def catalog_methods(catalogue: Catalogue, answers: Recommendations, settings: Settings) -> Methods:
    """The methods of itemlens.v1.Catalog."""
    collections = Collections(catalogue, answers)
    upsert, record = UpsertItems(catalogue, settings), RecordEvents(catalogue, settings)

    def stream_upsert(
        request: catalog.StreamUpsertItemsRequest, deadline: Deadline
    ) -> catalog.StreamUpsertItemsResponse:
        return catalog.StreamUpsertItemsResponse(upsert=upsert(request.upsert, deadline))

    def upsert_failed(error: ItemlensError) -> catalog.StreamUpsertItemsResponse:
        result = catalog.WriteResult(status=item_status(error, "upsert"))
        return catalog.StreamUpsertItemsResponse(upsert=catalog.UpsertItemsResponse(results=[result]))

    def stream_record(
        request: catalog.StreamRecordEventsRequest, deadline: Deadline
    ) -> catalog.StreamRecordEventsResponse:
        return catalog.StreamRecordEventsResponse(record=record(request.record, deadline))

    def record_failed(error: ItemlensError) -> catalog.StreamRecordEventsResponse:
        result = catalog.WriteResult(status=item_status(error, "record"))
        return catalog.StreamRecordEventsResponse(record=catalog.RecordEventsResponse(results=[result]))

    most = settings.max_message_bytes
    places = threading.Semaphore(settings.rpc_threads // 2)
    upsert_type, record_type = catalog.StreamUpsertItemsRequest, catalog.StreamRecordEventsRequest
    return {
        "CreateCollection": unary(collections.create, catalog.CreateCollectionRequest, most),
        "GetCollection": unary(collections.get, catalog.GetCollectionRequest, most),
        "ListCollections": unary(collections.list, catalog.ListCollectionsRequest, most),
        "UpdateCollection": unary(collections.update, catalog.UpdateCollectionRequest, most),
        "DeleteCollection": unary(collections.delete, catalog.DeleteCollectionRequest, most),
        "UpsertItems": unary(upsert, catalog.UpsertItemsRequest, most),
        "StreamUpsertItems": stream(stream_upsert, upsert_failed, upsert_type, most, places),
        "GetItems": unary(GetItems(catalogue, settings), catalog.GetItemsRequest, most),
        "ListItems": unary(ListItems(catalogue), catalog.ListItemsRequest, most),
        "DeleteItems": unary(DeleteItems(catalogue, settings), catalog.DeleteItemsRequest, most),
        "RecordEvents": unary(record, catalog.RecordEventsRequest, most),
        "StreamRecordEvents": stream(stream_record, record_failed, record_type, most, places),
        "DeleteUser": unary(DeleteUser(catalogue, answers), catalog.DeleteUserRequest, most),
    }


def register(server: grpc.Server, catalogue: Catalogue, encoder: ContentEncoder, settings: Settings) -> None:
    """Add both services to `server`."""
    answers = Recommendations(settings.max_recommendations)
    for name, methods in (
        (ITEM_LENS, item_lens(catalogue, encoder, answers, settings)),
        (CATALOG, catalog_methods(catalogue, answers, settings)),
    ):
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))
