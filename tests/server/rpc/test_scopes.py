"""Which collections a request names, for every request there is."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from itemlens.v1 import catalog_pb2 as catalog
from itemlens.v1 import itemlens_pb2 as itemlens
from itemlens_server.rpc.scopes import ENTRIES, collections_of, entries_of

# Requests that are about no collection.
OF_NONE = {
    "GetSpaceRequest",
    "EncodeRequest",
    "FuseRequest",
    "ListCollectionsRequest",
}
# Repeated fields that say how something is done, and are few.
OF_NO_ENTRIES = {
    "facets",
    "caps",
    "boosts",
    "without_boosts",
    "disabled_rules",
    "attribute_names",
    "channel_weights",
}
METHODS = [
    method
    for file in (catalog.DESCRIPTOR, itemlens.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_each_request_tells_its_collection(method: Any) -> None:
    kind = GetMessageClass(method.input_type)
    request: Message = kind()
    name = kind.DESCRIPTOR.name
    if name in OF_NONE:
        assert list(collections_of(request)) == []
        return
    if name == "GetStatisticsRequest":
        assert list(collections_of(request)) == [None], "what it counts is of all collections"
        return
    if name.startswith("Stream"):
        assert list(collections_of(request)) == ["default"], "a message without its part"
        [inner] = [field for field in kind.DESCRIPTOR.fields if field.message_type]
        target = getattr(request, inner.name)
        target.SetInParent()
    else:
        target = request
    assert list(collections_of(request)) == [
        None if name in ("MergeUsersRequest", "DeleteUserRequest") else "default"
    ]
    field = "collection" if "collection" in target.DESCRIPTOR.fields_by_name else "name"
    setattr(target, field, "shoes")
    assert list(collections_of(request)) == ["shoes"]


def test_a_recommendation_is_looked_up_in_its_own_collection() -> None:
    by_id = itemlens.ExplainRequest(recommendation_id="x")
    assert list(collections_of(by_id)) == []
    by_id.collection = "shoes"
    assert list(collections_of(by_id)) == ["shoes"]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_each_repeated_field_counts_as_entries_or_does_not_on_purpose(method: Any) -> None:
    repeated = {f.name for f in method.input_type.fields if f.is_repeated}
    assert repeated <= {*ENTRIES, *OF_NO_ENTRIES}


def test_entries_are_counted_on_streams_too() -> None:
    items = [catalog.Item(item_id=str(n)) for n in range(3)]
    upsert = catalog.UpsertItemsRequest(items=items)
    assert entries_of(upsert) == entries_of(catalog.StreamUpsertItemsRequest(upsert=upsert)) == 3
    assert entries_of(catalog.RecordEventsRequest(events=[catalog.Event()] * 5)) == 5
    assert entries_of(catalog.DeleteItemsRequest(item_ids=["a", "b"])) == 2
    assert entries_of(itemlens.RecommendRequest()) == entries_of(itemlens.GetSpaceRequest()) == 0
