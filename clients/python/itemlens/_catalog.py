"""The operations of service Catalog on collections and items, except uploads. Both clients have them as methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from . import _build, _filter, _read, _settings
from ._boosts import Boost
from ._build import Names
from ._enums import AttributeType
from ._filter import Filter
from ._flavours import Awaited, Blocking, awaited, blocking
from ._retry import Deadline
from ._rules import Rule
from ._steps import Session, Steps, call
from ._stored import Collection, StoredItem, StoredItems, Written
from ._types import Exploration, Item, Lexical, OwnEventType
from ._values import string, strings, whole
from .v1 import catalog_pb2 as pb


def create_collection(
    session: Session,
    name: str,
    *,
    space: str | None = None,
    allow_existing: bool = False,
    event_types: Iterable[OwnEventType] = (),
    exploration: Exploration | None = None,
    attributes: Mapping[str, AttributeType | str] | None = None,
    rules: Iterable[Rule] = (),
    lexical: Lexical | bool | None = None,
    boosts: Iterable[Boost] = (),
    timeout: float | None = None,
) -> Steps[Collection]:
    """Create an empty collection over a space.

    Args:
        name: 1 to 64 characters of a-z, 0-9, '_' and '-'.
        space: a space's id or name. Default: the client's, else the server's default space.
        allow_existing: return an existing collection if it has the same space. Without it, the call is not
            repeated after UNAVAILABLE, because the first try may have succeeded.
        event_types: types of events of its own. An existing collection keeps its own.
        exploration: places of its lists for items without events. Default: none.
        attributes: types of attributes by name, such as `{"released": "time"}`. Others get the type of the first value.
        rules: rules for its lists, such as pins and blocks.
        lexical: where the words of searches are looked for; True: in all texts. Default: nowhere.
        boosts: boosts that requests can name, or that are on by default.
        timeout: seconds in all, retries included. Default: the client's.

    Raises:
        AlreadyExists: the name is taken.
        FailedPrecondition: with `allow_existing`, the existing collection has another space.
        InvalidArgument: the name or a setting is invalid.
        NotFound: there is no such space.
    """
    request = pb.CreateCollectionRequest(
        name=string(name, "name"),
        space=session.wanted(space),
        allow_existing=allow_existing,
        settings=_settings.settings(event_types, exploration, attributes, rules, lexical, boosts),
    )
    session.forget(name)
    reply = yield from call(
        session,
        "CreateCollection",
        request,
        pb.CreateCollectionResponse,
        session.deadline(timeout),
        repeatable=allow_existing,
    )
    return _read.collection(reply.collection)


def get_collection(
    session: Session, name: str | None = None, *, timeout: float | None = None
) -> Steps[Collection]:
    """Return one collection, by default the client's. NotFound if it does not exist."""
    request = pb.GetCollectionRequest(name=session.where(name))
    deadline = session.deadline(timeout)
    reply = yield from call(session, "GetCollection", request, pb.GetCollectionResponse, deadline)
    return _read.collection(reply.collection)


def list_collections(session: Session, *, timeout: float | None = None) -> Steps[list[Collection]]:
    """Return all collections, sorted by name."""
    deadline = session.deadline(timeout)
    request = pb.ListCollectionsRequest()
    reply = yield from call(session, "ListCollections", request, pb.ListCollectionsResponse, deadline)
    return [_read.collection(message) for message in reply.collections]


def update_collection(
    session: Session,
    name: str,
    *,
    space: str = "",
    event_types: Iterable[OwnEventType] | None = None,
    exploration: Exploration | None = None,
    attributes: Mapping[str, AttributeType | str] | None = None,
    rules: Iterable[Rule] | None = None,
    lexical: Lexical | bool | None = None,
    boosts: Iterable[Boost] | None = None,
    timeout: float | None = None,
) -> Steps[Collection]:
    """Move a collection to another space with the same encoders, or change its settings. Nothing is encoded again.

    Args:
        name: the collection's name.
        space: the new space's id or name. Default: the space stays.
        event_types: all types of events of its own from now on. A type that is left out does not count any more.
            Default: they stay.
        exploration: places of its lists for items without events. Default: they stay; `Exploration(share=0)`: none.
        attributes: all given types of attributes from now on. Stored values must fit them. Default: they stay.
        rules: all rules for its lists from now on; `[]`: none. Default: they stay.
        lexical: where the words of searches are looked for; False: nowhere. Default: it stays.
        boosts: all boosts of the settings from now on. Default: they stay.
        timeout: seconds in all, retries included. Default: the client's.

    Raises:
        InvalidArgument: a setting is invalid, rules contradict each other, or a stored value does not fit its new type.
        NotFound: there is no such collection or space.
        FailedPrecondition: the space has other encoders.
    """
    session.forget(name)
    request = pb.UpdateCollectionRequest(
        name=string(name, "name"),
        space=string(space, "space"),
    )
    given = {
        "event_types": event_types,
        "exploration": exploration,
        "attributes": attributes,
        "rules": rules,
        "lexical": lexical,
        "boosts": boosts,
    }
    if changed := [name for name, value in given.items() if value is not None]:
        request.settings.CopyFrom(
            _settings.settings(event_types, exploration, attributes, rules, lexical, boosts)
        )
        request.settings_mask.paths.extend(changed)
    deadline = session.deadline(timeout)
    reply = yield from call(session, "UpdateCollection", request, pb.UpdateCollectionResponse, deadline)
    return _read.collection(reply.collection)


def delete_collection(session: Session, name: str, *, timeout: float | None = None) -> Steps[None]:
    """Delete a collection with its items and events. NotFound if it does not exist.

    The call is not repeated after UNAVAILABLE, because the first try may have succeeded.
    """
    session.forget(name)
    request = pb.DeleteCollectionRequest(name=string(name, "name"))
    deadline = session.deadline(timeout)
    yield from call(
        session, "DeleteCollection", request, pb.DeleteCollectionResponse, deadline, repeatable=False
    )


def upsert(
    session: Session,
    items: Iterable[Item],
    *,
    merge: bool = False,
    keep_attributes: bool = False,
    collection: str | None = None,
    timeout: float | None = None,
) -> Steps[Written]:
    """Add items or replace existing ones, in one call. For many items, use `upload`.

    Args:
        items: the items. The collection named "default" is created if it does not exist.
        merge: update stored items instead of replacing them: pictures and relations are added, texts,
            vectors and attributes are set where given.
        keep_attributes: replace stored items but for their attributes, which stay as they are at that moment;
            those given are for new items. Not with `merge`.
        collection: default: the client's.
        timeout: seconds in all, retries included. Default: the client's.

    Returns:
        A WriteResult for each item, in order. A bad item has its own error; the others are stored.

    Raises:
        InvalidArgument: the whole request is wrong, such as no or too many items.
        NotFound: there is no such collection.
    """
    deadline = session.deadline(timeout)
    where = session.where(collection)
    request = yield from upsert_request(session, _build.all_of(Item, items, "items"), merge, where, deadline)
    request.keep_attributes = keep_attributes
    reply = yield from call(session, "UpsertItems", request, pb.UpsertItemsResponse, deadline)
    return _read.written(reply)


def upsert_request(
    session: Session, items: Sequence[Item], merge: bool, collection: str, deadline: Deadline
) -> Steps[pb.UpsertItemsRequest]:
    """The request for some items. Fetches the space's channel names if an item needs them."""
    names = Names()
    if any(_build.needs_names(item) for item in items):
        names = Names((yield from session.space_of(collection, deadline)))
    return pb.UpsertItemsRequest(
        collection=collection, items=[_build.item(item, names) for item in items], merge=merge
    )


def get_items(
    session: Session,
    item_ids: Sequence[str],
    *,
    pictures: bool = False,
    vectors: bool = False,
    collection: str | None = None,
    timeout: float | None = None,
) -> Steps[StoredItems]:
    """Return a StoredItem for each id, in order. Its error is NotFound where the item does not exist.

    Args:
        item_ids: ids of the items.
        pictures: include the pictures, small ones as uploaded, others at the model's input size, and `external`.
        vectors: include the ITEM vectors.
        collection: default: the client's.
        timeout: seconds in all, retries included. Default: the client's.

    Raises:
        InvalidArgument: no or too many ids.
        NotFound: there is no such collection.
    """
    request = pb.GetItemsRequest(
        collection=session.where(collection),
        item_ids=strings(item_ids, "item_ids"),
        with_pictures=pictures,
        with_vectors=vectors,
    )
    deadline = session.deadline(timeout)
    reply = yield from call(session, "GetItems", request, pb.GetItemsResponse, deadline)
    return _read.stored_items(reply)


def page_of_items(
    session: Session,
    page_size: int,
    page_token: str,
    filter: str | Filter,
    collection: str | None,
    timeout: float | None,
) -> Steps[tuple[list[StoredItem], str]]:
    """One page of `list_items` and the token of the next page, which is "" after the last page."""
    request = pb.ListItemsRequest(
        collection=session.where(collection),
        page_size=whole(page_size, "page_size"),
        page_token=page_token,
    )
    _filter.put(filter, request)
    deadline = session.deadline(timeout)
    reply = yield from call(session, "ListItems", request, pb.ListItemsResponse, deadline)
    return [_read.stored_item(item) for item in reply.items], reply.next_page_token


def delete_items(
    session: Session,
    item_ids: Sequence[str],
    *,
    collection: str | None = None,
    timeout: float | None = None,
) -> Steps[Written]:
    """Delete items. Events and other items' relations that refer to them stay.

    Returns:
        A WriteResult for each id, in order. Its error is NotFound where the item does not exist, or where an
        earlier try of this call, whose reply was lost, deleted it.

    Raises:
        InvalidArgument: no or too many ids.
        NotFound: there is no such collection.
    """
    request = pb.DeleteItemsRequest(
        collection=session.where(collection),
        item_ids=strings(item_ids, "item_ids"),
    )
    deadline = session.deadline(timeout)
    reply = yield from call(session, "DeleteItems", request, pb.DeleteItemsResponse, deadline)
    return _read.written(reply)


def delete_matching(
    session: Session, filter: str | Filter, *, collection: str | None = None, timeout: float | None = None
) -> Steps[int]:
    """Delete all items that match a filter, such as `season = "2024"`, when the call begins. Return their number.

    The call is not repeated after UNAVAILABLE, because the first try may have deleted some.

    Raises:
        InvalidArgument: the filter is wrong; the message says where.
        NotFound: there is no such collection.
    """
    if not _filter.is_given(filter):
        raise ValueError("filter is empty; give a condition, or delete the collection")
    request = pb.DeleteItemsRequest(collection=session.where(collection))
    _filter.put(filter, request)
    deadline = session.deadline(timeout)
    reply = yield from call(
        session, "DeleteItems", request, pb.DeleteItemsResponse, deadline, repeatable=False
    )
    return reply.deleted_items


class BlockingCatalog(Blocking):
    """The operations as blocking methods."""

    create_collection = blocking(create_collection)
    get_collection = blocking(get_collection)
    list_collections = blocking(list_collections)
    update_collection = blocking(update_collection)
    delete_collection = blocking(delete_collection)
    upsert = blocking(upsert)
    get_items = blocking(get_items)
    _page_of_items = blocking(page_of_items)
    delete_items = blocking(delete_items)
    delete_matching = blocking(delete_matching)


class AwaitedCatalog(Awaited):
    """The operations as awaited methods."""

    create_collection = awaited(create_collection)
    get_collection = awaited(get_collection)
    list_collections = awaited(list_collections)
    update_collection = awaited(update_collection)
    delete_collection = awaited(delete_collection)
    upsert = awaited(upsert)
    get_items = awaited(get_items)
    _page_of_items = awaited(page_of_items)
    delete_items = awaited(delete_items)
    delete_matching = awaited(delete_matching)
