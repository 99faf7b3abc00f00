"""Catalog's changes of items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from itemlens.v1 import catalog_pb2
from itemlens_server.rpc import messages
from itemlens_server.rpc.adapter import Coroutine, Handler
from itemlens_server.services import CallContext, Catalogue, ItemUpdate, Updating

# The event loop checks at most this many updates itself, some 20 us each, and at most this many bytes.
FEW_UPDATES, FEW_BYTES = 16, 1 << 16


@dataclass(frozen=True)
class UpdateItems:
    """Change attributes of items. The call takes no thread while the disk writes; many updates are checked in one."""

    catalogue: Catalogue
    in_thread: Callable[[Handler[Any, Any]], Coroutine[Any, Any]]

    async def __call__(
        self, request: catalog_pb2.UpdateItemsRequest, call: CallContext
    ) -> catalog_pb2.UpdateItemsResponse:
        few = len(request.updates) <= FEW_UPDATES and request.ByteSize() <= FEW_BYTES
        updating = (
            self._begin(request)
            if few
            else await self.in_thread(lambda *_: self._begin(request))(request, call)
        )
        # A caller who is gone does not cancel the write.
        await asyncio.gather(asyncio.wrap_future(updating.written), return_exceptions=True)
        return _updated(updating)

    def update(
        self, request: catalog_pb2.UpdateItemsRequest, _: CallContext
    ) -> catalog_pb2.UpdateItemsResponse:
        """The same in a thread, which waits for the disk."""
        return _updated(self._begin(request))

    def _begin(self, request: catalog_pb2.UpdateItemsRequest) -> Updating:
        return self.catalogue.begin_update(request.collection, messages.Decoded(request.updates, _update))


def _updated(updating: Updating) -> catalog_pb2.UpdateItemsResponse:
    outcomes, sequence = updating.result()
    results = messages.write_results(outcomes, "updates")
    return catalog_pb2.UpdateItemsResponse(results=results, sequence_number=sequence)


def _update(message: catalog_pb2.ItemUpdate) -> ItemUpdate:
    return ItemUpdate(
        message.item_id, messages.attributes(message.attributes), list(message.removed_attributes),
        _texts(message.removed_texts), _texts(message.added_texts),
        message.if_sequence_number if message.HasField("if_sequence_number") else None,
    )  # fmt: skip


def _texts(by_attribute: Mapping[str, catalog_pb2.Texts]) -> Mapping[str, Sequence[str]]:
    return {name: own.texts for name, own in by_attribute.items()} if by_attribute else {}
