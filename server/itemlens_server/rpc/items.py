"""Catalog's calls on items."""

from __future__ import annotations

from dataclasses import dataclass

from itemlens.v1 import catalog_pb2, common_pb2
from itemlens_server.errors import InvalidArgument, NotFound, quoted
from itemlens_server.rpc import filters, messages
from itemlens_server.rpc.calls import check_reply
from itemlens_server.rpc.errors import item_status
from itemlens_server.rpc.pages import PAGE_BYTES, Listing, page_size
from itemlens_server.services import CallContext, Catalogue, ItemInput, Space, StoredItem, stored_content


@dataclass(frozen=True)
class UpsertItems:
    """Add or replace items."""

    catalogue: Catalogue

    def __call__(
        self, request: catalog_pb2.UpsertItemsRequest, call: CallContext
    ) -> catalog_pb2.UpsertItemsResponse:
        if request.merge and request.keep_attributes:
            raise InvalidArgument(
                "give merge or keep_attributes, not both: a merge keeps the attributes that are not given",
                "keep_attributes",
            )
        items = messages.Decoded(request.items, _item)
        outcomes, sequence, collection = self.catalogue.upsert(
            request.collection, items, request.merge, call, keep_attributes=request.keep_attributes
        )
        results = messages.write_results(outcomes, "items")
        return catalog_pb2.UpsertItemsResponse(
            results=results, sequence_number=sequence, space_id=collection.space.space_id
        )


@dataclass(frozen=True)
class GetItems:
    """Return items by id."""

    catalogue: Catalogue
    max_bytes: int

    def __call__(
        self, request: catalog_pb2.GetItemsRequest, call: CallContext
    ) -> catalog_pb2.GetItemsResponse:
        collection = self.catalogue.collection(request.collection)
        items = self.catalogue.reads.get(collection, request.item_ids, request.with_pictures)
        space_id, reply_bytes = collection.space.space_id, 0
        reply = catalog_pb2.GetItemsResponse(space_id=space_id)
        for n, (item_id, item) in enumerate(zip(request.item_ids, items, strict=True)):
            if not isinstance(item, StoredItem):
                error = item or NotFound(
                    f"item {quoted(item_id)} is not in collection {collection.name!r}", "item", item_id
                )
                status = item_status(error, f"item_ids[{n}]")
                reply.items.add(item=catalog_pb2.Item(item_id=item_id), status=status)
                continue
            message = reply.items.add()
            _fill(message, collection.space, item, request.with_pictures)
            if request.with_vectors:
                for h in self.catalogue.reads.vectors(collection, [item.label]).values():
                    message.vector.CopyFrom(messages.one_vector(h, common_pb2.VECTOR_ROLE_ITEM, space_id))
            reply_bytes += message.ByteSize()
            check_reply(reply_bytes, self.max_bytes, n + 1, len(request.item_ids), "item_ids")
        return reply


@dataclass(frozen=True)
class ListItems:
    """Return all items, page by page."""

    catalogue: Catalogue

    def __call__(
        self, request: catalog_pb2.ListItemsRequest, call: CallContext
    ) -> catalog_pb2.ListItemsResponse:
        collection = self.catalogue.collection(request.collection)
        condition, size = filters.condition(request), page_size(request.page_size)
        listing = Listing("ListItems", (collection.record.id, condition))
        reply = catalog_pb2.ListItemsResponse()
        reply_bytes, last = 0, listing.after(request.page_token)
        for key, item in self.catalogue.reads.page(collection, last, size + 1, condition):
            if len(reply.items) == size or reply_bytes > PAGE_BYTES:
                reply.next_page_token = listing.token(last)
                break
            message = reply.items.add()
            if isinstance(item, StoredItem):
                _fill(message, collection.space, item)
            else:
                message.item.item_id = item.item_id
                message.status.CopyFrom(item_status(item.error, f"items[{len(reply.items) - 1}]"))
            reply_bytes += message.ByteSize()
            last = key
        return reply


@dataclass(frozen=True)
class DeleteItems:
    """Delete items."""

    catalogue: Catalogue

    def __call__(
        self, request: catalog_pb2.DeleteItemsRequest, call: CallContext
    ) -> catalog_pb2.DeleteItemsResponse:
        collection = self.catalogue.collection(request.collection)
        condition = filters.condition(request)
        if condition is not None:
            if request.item_ids:
                raise InvalidArgument("give item_ids or a filter, not both", filters.given(request))
            count, sequence = self.catalogue.delete_matching(collection, condition)
            return catalog_pb2.DeleteItemsResponse(sequence_number=sequence, deleted_items=count)
        outcomes, sequence = self.catalogue.delete_items(collection, request.item_ids)
        return catalog_pb2.DeleteItemsResponse(
            results=messages.write_results(outcomes, "item_ids"),
            sequence_number=sequence,
            deleted_items=sum(outcome.error is None for outcome in outcomes),
        )


def _item(message: catalog_pb2.Item) -> ItemInput:
    return ItemInput(
        message.item_id,
        [messages.content(c) for c in message.contents],
        messages.attributes(message.attributes),
        [(relation.type, relation.item_id) for relation in message.relations],
    )


def _fill(
    message: catalog_pb2.StoredItem, space: Space, item: StoredItem, with_pictures: bool = False
) -> None:
    contents = [common_pb2.Content(channel=c, text=t) for c, t in item.document.texts.items()]
    if with_pictures:
        stored = [i for i in item.inputs if i.channel not in item.document.texts]
        contents += [messages.content_message(stored_content(space, item, i)) for i in stored]
    message.sequence_number = item.sequence
    message.item.item_id = item.item_id
    message.item.contents.extend(contents)
    message.item.relations.extend(catalog_pb2.Relation(type=t, item_id=i) for t, i in item.document.relations)
    messages.set_attributes(message.item, item.document.attributes)
