"""Repair of damaged vectors in the store: their contents are encoded again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import ItemlensError
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import ContentEncoder, EncodedContent, stored_content
from itemlens_server.storage import writes
from itemlens_server.storage.records import Array
from itemlens_server.storage.store import Store

log = logging.getLogger(__name__)


def repair(collection: Collection, item_ids: Sequence[str], store: Store, encoder: ContentEncoder) -> bool:
    """Encode the contents of these items again and store their vectors. Return whether any were repaired.

    The others have damaged contents, too. They are excluded from all lists, and reading them raises DataLoss.
    """
    mended = False
    for item_id in item_ids:
        try:
            vectors = _encoded(collection, item_id, store, encoder)
        except ItemlensError as error:
            log.error("collection %s: item %r is left out: %s", collection.name, item_id, error.message)
            continue
        if not vectors:
            log.error("collection %s: item %r is left out: its id is damaged", collection.name, item_id)
            continue
        store.write(partial(writes.mend_vectors, vectors=vectors))
        log.warning(
            "collection %s: a vector of item %r was damaged in the store: encoded again",
            collection.name,
            item_id,
        )
        mended = True
    return mended


def _encoded(
    collection: Collection, item_id: str, store: Store, encoder: ContentEncoder
) -> dict[tuple[bytes, str], Array]:
    """New vectors of the item's contents, by content hash and encoder; empty if there is no such item.

    Raises:
        DataLoss, InvalidArgument: the contents are damaged.
    """
    digests, space = collection.encoder_digests, collection.space
    item = store.reader().items(collection.record.id, [item_id], digests, data=True).get(item_id)
    if item is None:
        return {}
    inputs = [i for i in item.inputs if i.channel in digests]
    contents = [stored_content(space, item, i) for i in inputs]
    outcomes = encoder.encode(space, contents, "item", CallContext())
    vectors = {}
    for i, outcome in zip(inputs, outcomes, strict=True):
        if not isinstance(outcome, EncodedContent):
            raise outcome
        vectors[i.digest, digests[i.channel]] = outcome.v
    return vectors
