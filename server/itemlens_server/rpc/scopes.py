"""What a request is about, for scopes and quotas of keys: its collections, and how many entries it has."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import Message

from itemlens.v1 import catalog_pb2 as catalog
from itemlens.v1 import itemlens_pb2 as itemlens
from itemlens_server.services import DEFAULT_COLLECTION

# An empty collection means every collection.
_EVERY = (catalog.MergeUsersRequest, catalog.DeleteUserRequest)
_BY_NAME = (
    catalog.CreateCollectionRequest,
    catalog.GetCollectionRequest,
    catalog.UpdateCollectionRequest,
    catalog.DeleteCollectionRequest,
)
_STREAMED = (
    catalog.StreamUpsertItemsRequest,
    catalog.StreamUpdateItemsRequest,
    catalog.StreamRecordEventsRequest,
)
# The field with the name of a collection, and the repeated ones whose entries a quota of items counts.
COLLECTION = "collection"
ENTRIES = ("items", "updates", "events", "inputs", "item_ids", "event_ids", "candidate_item_ids")


def collections_of(request: Message) -> Iterator[str | None]:
    """Yield the collections that a request names; None for every collection."""
    if isinstance(request, _STREAMED):
        [part] = request.DESCRIPTOR.fields
        yield from collections_of(getattr(request, part.name))  # if it is not there: an empty one
    elif isinstance(request, itemlens.GetStatisticsRequest):
        yield None  # what it counts is of all collections
    elif isinstance(request, itemlens.ExplainRequest) and request.recommendation_id:
        yield from (
            [request.collection] if request.collection else []
        )  # else the recommendation's: see `Explainer`
    elif isinstance(request, _BY_NAME):
        yield request.name or DEFAULT_COLLECTION
    elif COLLECTION in request.DESCRIPTOR.fields_by_name:
        name: str = getattr(request, COLLECTION)
        yield name or (None if isinstance(request, _EVERY) else DEFAULT_COLLECTION)


def entries_of(request: Message) -> int:
    """Return how many entries a request has."""
    if isinstance(request, _STREAMED):
        return sum(entries_of(part) for _, part in request.ListFields())
    fields = request.DESCRIPTOR.fields_by_name
    return sum(len(getattr(request, name)) for name in ENTRIES if name in fields)
