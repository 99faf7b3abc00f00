"""Catalog's calls about collections."""

from __future__ import annotations

from dataclasses import dataclass

from itemlens.v1 import catalog_pb2
from itemlens_server.engine.call_context import CallContext
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.services.recommender import Recommendations


@dataclass(frozen=True)
class Collections:
    """Make, look up, move and delete collections."""

    catalogue: Catalogue
    recommendations: Recommendations

    def create(
        self, request: catalog_pb2.CreateCollectionRequest, call: CallContext
    ) -> catalog_pb2.CreateCollectionResponse:
        """A new one."""
        made = self.catalogue.create(request.name, request.space, request.allow_existing)
        return catalog_pb2.CreateCollectionResponse(collection=self._message(made))

    def get(
        self, request: catalog_pb2.GetCollectionRequest, call: CallContext
    ) -> catalog_pb2.GetCollectionResponse:
        """One."""
        found = self.catalogue.collection(request.name)
        return catalog_pb2.GetCollectionResponse(collection=self._message(found))

    def list(
        self, request: catalog_pb2.ListCollectionsRequest, call: CallContext
    ) -> catalog_pb2.ListCollectionsResponse:
        """All."""
        found = self.catalogue.collections()
        return catalog_pb2.ListCollectionsResponse(collections=[self._message(c) for c in found])

    def update(
        self, request: catalog_pb2.UpdateCollectionRequest, call: CallContext
    ) -> catalog_pb2.UpdateCollectionResponse:
        """Move one to another space."""
        moved = self.catalogue.move(request.name, request.space)
        # They hold the old index, which Explain would refuse.
        self.recommendations.forget(request.name)
        return catalog_pb2.UpdateCollectionResponse(collection=self._message(moved))

    def delete(
        self, request: catalog_pb2.DeleteCollectionRequest, call: CallContext
    ) -> catalog_pb2.DeleteCollectionResponse:
        """Delete one."""
        self.catalogue.delete(request.name)
        self.recommendations.forget(request.name)
        return catalog_pb2.DeleteCollectionResponse()

    def _message(self, collection: Collection) -> catalog_pb2.Collection:
        items, events, sequence = self.catalogue.store.reader().counts(collection.row.id)
        neighbours = collection.index.neighbours
        message = catalog_pb2.Collection(
            name=collection.name, space_id=collection.space.space_id, item_count=items, event_count=events,
            sequence_number=sequence, behaviour_sequence_number=neighbours.sequence_number if neighbours else 0,
        )  # fmt: skip
        message.create_time.FromNanoseconds(int(collection.row.created * 1e9))
        return message
