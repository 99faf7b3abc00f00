"""The operation of service Catalog that changes items, except uploads. Both clients have it as a method."""

from __future__ import annotations

from collections.abc import Iterable

from . import _build, _read
from ._flavours import Awaited, Blocking, awaited, blocking
from ._steps import Session, Steps, call
from ._stored import Written
from ._types import ItemUpdate
from .v1 import catalog_pb2 as pb


def update_items(
    session: Session,
    updates: Iterable[ItemUpdate],
    *,
    collection: str | None = None,
    timeout: float | None = None,
) -> Steps[Written]:
    """Change attributes of stored items in one call, such as prices and stock. The next read sees the changes.

    Nothing is encoded, and what an update does not name stays. For more than 1,000 updates, use `upload_updates`. To
    change texts or pictures, use `upsert` with `merge=True`.

    Args:
        updates: the updates. They are made in order, so that an item may have several.
        collection: default: the client's.
        timeout: seconds in all, retries included. Default: the client's. A call with an `if_sequence_number` is not
            repeated after UNAVAILABLE, because the first try may have succeeded.

    Returns:
        A WriteResult for each update, in order, with the item's `sequence_number`. Its error is NotFound where there is
        no such item, Aborted where the item has another sequence number than the update says, and InvalidArgument where
        a value is of another type than its attribute. An update is made as a whole or not at all.

    Raises:
        InvalidArgument: no or too many updates.
        NotFound: there is no such collection.
    """
    given = _build.all_of(ItemUpdate, updates, "updates")
    request = pb.UpdateItemsRequest(
        collection=session.where(collection), updates=[_build.item_update(update) for update in given]
    )
    deadline = session.deadline(timeout)
    repeatable = all(update.if_sequence_number is None for update in given)
    reply = yield from call(
        session, "UpdateItems", request, pb.UpdateItemsResponse, deadline, repeatable=repeatable
    )
    return _read.written(reply)


class BlockingUpdates(Blocking):
    """The operation as a blocking method."""

    update_items = blocking(update_items)


class AwaitedUpdates(Awaited):
    """The operation as an awaited method."""

    update_items = awaited(update_items)
