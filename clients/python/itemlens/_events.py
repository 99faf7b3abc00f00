"""The operations of service Catalog on events and users, except uploads. Both clients have them as methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import _build, _read
from ._flavours import Awaited, Blocking, awaited, blocking
from ._steps import Session, Steps, call
from ._stored import Counts, EventStream, StoredEvent, Written
from ._types import Event, StreamPosition
from ._values import string, strings, whole
from .v1 import catalog_pb2 as pb


def record_events(
    session: Session,
    events: Iterable[Event],
    *,
    stream: StreamPosition | None = None,
    collection: str | None = None,
    timeout: float | None = None,
) -> Steps[Written]:
    """Record user events in one call. The next recommendation uses them. For many events, use `upload_events`.

    Args:
        events: the events; with `stream` there may be none.
        stream: the step that the events make in their stream. Either all of them are recorded and the stream
            moves, or none is: if one fails, so do the others. A step that was made before records nothing.
        collection: default: the client's.
        timeout: seconds in all, retries included. Default: the client's.

    Returns:
        A WriteResult for each event, in order. An event that was recorded before succeeds with the warning
        DUPLICATE_EVENT. If its content differs from the recorded one, its error is AlreadyExists.

    Raises:
        InvalidArgument: no or too many events.
        FailedPrecondition: the stream is not at `stream.previous`; its `details.reason` is "STREAM_MOVED".
        NotFound: there is no such collection.
    """
    request = pb.RecordEventsRequest(
        collection=session.where(collection),
        events=[_build.event(event) for event in _build.all_of(Event, events, "events")],
        stream=_build.stream_position(stream),
    )
    deadline = session.deadline(timeout)
    reply = yield from call(session, "RecordEvents", request, pb.RecordEventsResponse, deadline)
    return _read.written(reply)


def list_streams(
    session: Session, *, collection: str | None = None, timeout: float | None = None
) -> Steps[list[EventStream]]:
    """Return how far each stream of events was recorded, sorted by name. NotFound without the collection."""
    request = pb.ListStreamsRequest(collection=session.where(collection))
    deadline = session.deadline(timeout)
    reply = yield from call(session, "ListStreams", request, pb.ListStreamsResponse, deadline)
    return [_read.event_stream(stream) for stream in reply.streams]


def page_of_events(
    session: Session,
    user_id: str,
    page_size: int,
    page_token: str,
    collection: str | None,
    timeout: float | None,
) -> Steps[tuple[list[StoredEvent], str]]:
    """One page of `list_events` and the token of the next page, which is "" after the last page."""
    request = pb.ListEventsRequest(
        collection=session.where(collection),
        user_id=string(user_id, "user_id"),
        page_size=whole(page_size, "page_size"),
        page_token=page_token,
    )
    deadline = session.deadline(timeout)
    reply = yield from call(session, "ListEvents", request, pb.ListEventsResponse, deadline)
    return [_read.stored_event(event) for event in reply.events], reply.next_page_token


def delete_events(
    session: Session,
    event_ids: Sequence[str],
    *,
    collection: str | None = None,
    timeout: float | None = None,
) -> Steps[Written]:
    """Delete events. What they taught is taken back at once, except from weights that were fitted before.

    Returns:
        A WriteResult for each id, in order. Its error is NotFound where there is no such event, or where an earlier
        try of this call, whose reply was lost, deleted it.

    Raises:
        InvalidArgument: no or too many ids.
        NotFound: there is no such collection.
    """
    request = pb.DeleteEventsRequest(
        collection=session.where(collection), event_ids=strings(event_ids, "event_ids")
    )
    deadline = session.deadline(timeout)
    reply = yield from call(session, "DeleteEvents", request, pb.DeleteEventsResponse, deadline)
    return _read.written(reply)


def merge_users(
    session: Session,
    from_user_id: str,
    into_user_id: str,
    *,
    collection: str | None = None,
    timeout: float | None = None,
) -> Steps[int]:
    """Give the events of one user to another, as when an anonymous visitor logs in.

    Args:
        from_user_id: the user whose events are given away. Later events of this user are not.
        into_user_id: the user who gets them, known or not.
        collection: only in this collection. The default is every collection, as in `delete_user`.
        timeout: seconds in all, retries included. Default: the client's.

    Returns:
        The number of events that were given away; 0 where an earlier try of this call, whose reply was lost, did it.

    Raises:
        InvalidArgument: an id is empty, or both are equal.
        NotFound: there is no such collection.
    """
    request = pb.MergeUsersRequest(
        collection=string(collection or "", "collection"),
        from_user_id=string(from_user_id, "from_user_id"),
        into_user_id=string(into_user_id, "into_user_id"),
    )
    deadline = session.deadline(timeout)
    reply = yield from call(session, "MergeUsers", request, pb.MergeUsersResponse, deadline)
    return reply.moved_events


def get_counts(
    session: Session, collection: str | None = None, *, timeout: float | None = None
) -> Steps[Counts]:
    """Describe the counts of events that behaviour is derived from, as the server has them in memory.

    Raises:
        NotFound: there is no such collection.
    """
    request = pb.GetCountsRequest(collection=session.where(collection))
    deadline = session.deadline(timeout)
    reply = yield from call(session, "GetCounts", request, pb.GetCountsResponse, deadline)
    return Counts(
        reply.digest,
        reply.event_count,
        reply.user_count,
        reply.item_count,
        reply.sequence_number,
        reply.rules,
    )


def delete_user(
    session: Session, user_id: str, *, collection: str | None = None, timeout: float | None = None
) -> Steps[int]:
    """Delete all data of a user.

    Args:
        user_id: the user's id.
        collection: delete in this collection only. Unlike in other calls, the default is every collection,
            because a request to be forgotten covers all of them.
        timeout: seconds in all, retries included. Default: the client's.

    Returns:
        The number of deleted events.

    Raises:
        InvalidArgument: `user_id` is empty.
        NotFound: there is no such collection.
    """
    request = pb.DeleteUserRequest(
        collection=string(collection or "", "collection"), user_id=string(user_id, "user_id")
    )
    deadline = session.deadline(timeout)
    reply = yield from call(session, "DeleteUser", request, pb.DeleteUserResponse, deadline)
    return reply.deleted_events


class BlockingEvents(Blocking):
    """The operations as blocking methods."""

    record_events = blocking(record_events)
    list_streams = blocking(list_streams)
    _page_of_events = blocking(page_of_events)
    delete_events = blocking(delete_events)
    merge_users = blocking(merge_users)
    get_counts = blocking(get_counts)
    delete_user = blocking(delete_user)


class AwaitedEvents(Awaited):
    """The operations as awaited methods."""

    record_events = awaited(record_events)
    list_streams = awaited(list_streams)
    _page_of_events = awaited(page_of_events)
    delete_events = awaited(delete_events)
    merge_users = awaited(merge_users)
    get_counts = awaited(get_counts)
    delete_user = awaited(delete_user)
