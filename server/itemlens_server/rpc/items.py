"""Catalog's calls about items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from itemlens.v1 import catalog_pb2, common_pb2
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import InvalidArgument, NotFound
from itemlens_server.fusion.rows import View
from itemlens_server.rpc import messages as convert
from itemlens_server.rpc.errors import item_status
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import stored_content
from itemlens_server.services.items import ItemInput, WriteOutcome
from itemlens_server.storage.records import StoredItem

DEFAULT_PAGE, LARGEST_PAGE = 100, 1000
# A page that has grown so large ends early: it must fit into a message.
PAGE_BYTES = 8 << 20


def results(outcomes: list[WriteOutcome], field: str) -> list[catalog_pb2.WriteResult]:
    """How each entry of a write went."""
    return [
        catalog_pb2.WriteResult(
            id=o.id,
            status=item_status(o.error, f"{field}[{n}]"),
            warnings=convert.warnings(o.warnings, f"{field}[{n}]"),
        )
        for n, o in enumerate(outcomes)
    ]


@dataclass(frozen=True)
class UpsertItems:
    """Add or replace items."""

    catalogue: Catalogue
    settings: Settings

    def __call__(
        self, request: catalog_pb2.UpsertItemsRequest, call: CallContext
    ) -> catalog_pb2.UpsertItemsResponse:
        convert.at_most(request.items, self.settings.max_items, "items")
        items = [
            ItemInput(
                i.item_id,
                [convert.content(c) for c in i.contents],
                _facts(i.attributes),
                [(r.type, r.item_id) for r in i.relations],
            )
            for i in request.items
        ]
        outcomes, sequence, collection = self.catalogue.upsert(request.collection, items, request.merge, call)
        return catalog_pb2.UpsertItemsResponse(
            results=results(outcomes, "items"), sequence_number=sequence, space_id=collection.space.space_id
        )


@dataclass(frozen=True)
class GetItems:
    """Items by id."""

    catalogue: Catalogue
    settings: Settings

    def __call__(
        self, request: catalog_pb2.GetItemsRequest, call: CallContext
    ) -> catalog_pb2.GetItemsResponse:
        convert.at_most(request.item_ids, self.settings.max_items, "item_ids")
        collection = self.catalogue.collection(request.collection)
        found = self.catalogue.get(collection, list(request.item_ids), request.with_pictures)
        view = collection.index.view()
        reply = catalog_pb2.GetItemsResponse(space_id=collection.space.space_id)
        for n, item_id in enumerate(request.item_ids):
            item = found.get(item_id)
            if item is None:
                error = NotFound(
                    f"item {item_id!r} is not in collection {collection.name!r}", "item", item_id
                )
                reply.items.add(
                    item=catalog_pb2.Item(item_id=item_id), status=item_status(error, f"item_ids[{n}]")
                )
                continue
            message = reply.items.add()
            message.CopyFrom(_message(collection, item, request.with_pictures))
            if request.with_vectors:
                _add_vector(collection, view, item, message)
        return reply


@dataclass(frozen=True)
class ListItems:
    """All items, page by page."""

    catalogue: Catalogue

    def __call__(
        self, request: catalog_pb2.ListItemsRequest, call: CallContext
    ) -> catalog_pb2.ListItemsResponse:
        collection = self.catalogue.collection(request.collection)
        size = min(request.page_size or DEFAULT_PAGE, LARGEST_PAGE)
        try:
            after = int(request.page_token or "0", 16)
        except ValueError:
            raise InvalidArgument("not a page token of ListItems", "page_token") from None
        # A row number is what SQLite holds in 8 bytes.
        if not 0 <= after < 1 << 62:
            raise InvalidArgument("not a page token of ListItems", "page_token")
        page = self.catalogue.store.reader().page(collection.row.id, after, size)
        reply = catalog_pb2.ListItemsResponse()
        held = 0
        for number, item in enumerate(page, 1):
            message = reply.items.add()
            message.CopyFrom(_message(collection, item, False))
            held += message.ByteSize()
            if number == size or (held > PAGE_BYTES and number < len(page)):
                reply.next_page_token = f"{item.row:x}"
                break
        return reply


@dataclass(frozen=True)
class DeleteItems:
    """Delete items."""

    catalogue: Catalogue
    settings: Settings

    def __call__(
        self, request: catalog_pb2.DeleteItemsRequest, call: CallContext
    ) -> catalog_pb2.DeleteItemsResponse:
        convert.at_most(request.item_ids, self.settings.max_items, "item_ids")
        collection = self.catalogue.collection(request.collection)
        outcomes, sequence = self.catalogue.delete_items(collection, list(request.item_ids))
        return catalog_pb2.DeleteItemsResponse(
            results=results(outcomes, "item_ids"), sequence_number=sequence
        )


def _facts(struct: Struct) -> dict[str, Any]:
    """Attributes as plain values. Unlike json_format it takes NaN, which `Catalogue` refuses for that item only."""
    return {key: _fact(value) for key, value in struct.fields.items()}


def _fact(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    held = getattr(value, kind)
    if isinstance(held, Struct):
        return _facts(held)
    if isinstance(held, ListValue):
        return [_fact(one) for one in held.values]
    return held


def _message(collection: Collection, item: StoredItem, pictures: bool) -> catalog_pb2.StoredItem:
    contents = [common_pb2.Content(channel=c, text=t) for c, t in item.document.texts.items()]
    if pictures:
        stored = (i for i in item.inputs if i.channel not in item.document.texts)
        contents += [convert.content_message(stored_content(collection.space, item, i)) for i in stored]
    one = catalog_pb2.Item(
        item_id=item.item_id,
        contents=contents,
        relations=[catalog_pb2.Relation(type=t, item_id=i) for t, i in item.document.relations],
    )
    _fill(one, item.document.attributes)
    return catalog_pb2.StoredItem(item=one, sequence_number=item.sequence)


def _fill(one: catalog_pb2.Item, attributes: Mapping[str, Any]) -> None:
    if attributes:
        one.attributes.update(dict(attributes))


def _add_vector(
    collection: Collection, view: View, item: StoredItem, message: catalog_pb2.StoredItem
) -> None:
    # By its row, not by its id: the vector is that of the contents beside it, though it be replaced meanwhile.
    for h in view.h[view.positions(np.asarray([item.row], np.int64))]:
        message.vector.CopyFrom(convert.one_vector(h, common_pb2.VECTOR_ROLE_ITEM, collection.space.space_id))
