"""The two services of the contract, method by method."""

from __future__ import annotations

from itemlens.v1 import catalog_pb2, catalog_pb2_grpc, itemlens_pb2_grpc
from itemlens_server.config import Settings
from itemlens_server.deadline import Deadline
from itemlens_server.domain.catalogue import Catalogue
from itemlens_server.domain.encode import ContentEncoder
from itemlens_server.domain.recommend import Recommendations
from itemlens_server.errors import ItemlensError
from itemlens_server.rpc.collections import Collections
from itemlens_server.rpc.convert import SideReader
from itemlens_server.rpc.encode import Encode, GetSpace
from itemlens_server.rpc.errors import item_status, stream, unary
from itemlens_server.rpc.events import DeleteUser, RecordEvents
from itemlens_server.rpc.explain import Explain
from itemlens_server.rpc.fuse import Fuse
from itemlens_server.rpc.items import DeleteItems, GetItems, ListItems, UpsertItems
from itemlens_server.rpc.recommend import Recommend


class ItemLensService(itemlens_pb2_grpc.ItemLensServicer):
    """itemlens.v1.ItemLens."""

    def __init__(self, catalogue: Catalogue, encoder: ContentEncoder, settings: Settings) -> None:
        sides = SideReader(catalogue, encoder, settings)
        recommendations = Recommendations(settings.max_recommendations)
        self.GetSpace = unary(GetSpace(catalogue))
        self.Encode = unary(Encode(catalogue, encoder, settings))
        self.Fuse = unary(Fuse(catalogue, encoder, settings))
        self.Recommend = unary(Recommend(catalogue, sides, recommendations, settings))
        self.Explain = unary(Explain(catalogue, encoder, sides, recommendations, settings))


class CatalogService(catalog_pb2_grpc.CatalogServicer):
    """itemlens.v1.Catalog."""

    def __init__(self, catalogue: Catalogue, settings: Settings) -> None:
        collections = Collections(catalogue)
        upsert, record = UpsertItems(catalogue, settings), RecordEvents(catalogue, settings)
        self.CreateCollection = unary(collections.create)
        self.GetCollection = unary(collections.get)
        self.ListCollections = unary(collections.list)
        self.UpdateCollection = unary(collections.update)
        self.DeleteCollection = unary(collections.delete)
        self.UpsertItems = unary(upsert)
        self.GetItems = unary(GetItems(catalogue, settings))
        self.ListItems = unary(ListItems(catalogue))
        self.DeleteItems = unary(DeleteItems(catalogue, settings))
        self.RecordEvents = unary(record)
        self.DeleteUser = unary(DeleteUser(catalogue))

        def stream_upsert(
            request: catalog_pb2.StreamUpsertItemsRequest, deadline: Deadline
        ) -> catalog_pb2.StreamUpsertItemsResponse:
            return catalog_pb2.StreamUpsertItemsResponse(upsert=upsert(request.upsert, deadline))

        def upsert_failed(error: ItemlensError) -> catalog_pb2.StreamUpsertItemsResponse:
            result = catalog_pb2.WriteResult(status=item_status(error, "upsert"))
            return catalog_pb2.StreamUpsertItemsResponse(upsert=catalog_pb2.UpsertItemsResponse(results=[result]))

        def stream_record(
            request: catalog_pb2.StreamRecordEventsRequest, deadline: Deadline
        ) -> catalog_pb2.StreamRecordEventsResponse:
            return catalog_pb2.StreamRecordEventsResponse(record=record(request.record, deadline))

        def record_failed(error: ItemlensError) -> catalog_pb2.StreamRecordEventsResponse:
            result = catalog_pb2.WriteResult(status=item_status(error, "record"))
            return catalog_pb2.StreamRecordEventsResponse(record=catalog_pb2.RecordEventsResponse(results=[result]))

        self.StreamUpsertItems = stream(stream_upsert, upsert_failed)
        self.StreamRecordEvents = stream(stream_record, record_failed)
