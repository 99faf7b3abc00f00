"""Calls to the server: what it answers, to whom, and how fast. None of them changes anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

import itemlens
from itemlens._transport import Metadata, failure
from itemlens.v1 import catalog_pb2, catalog_pb2_grpc, itemlens_pb2, itemlens_pb2_grpc
from itemlens_cli.reach.rows import Row, milliseconds, named
from itemlens_server.config import CLIENT_PREFIX

REPEATS = 20
SLOW_SECONDS = 0.1
BUSY_SHARE = 0.5
REQUEST_ID = "x-request-id"

_LIST, _SPACE, _STATISTICS = "ListCollections", "GetSpace", "GetStatistics"
_REQUESTS: dict[str, Message] = {
    _LIST: catalog_pb2.ListCollectionsRequest(),
    _SPACE: itemlens_pb2.GetSpaceRequest(),
    _STATISTICS: itemlens_pb2.GetStatisticsRequest(),
}


class Refused(Exception):
    """A call that failed. The text has the id under which the server's log has it."""

    def __init__(self, error: itemlens.ItemlensError, request_id: str) -> None:
        self.error = error
        # What to send is in the server's message for those who write clients; the fix of the row says what to set.
        said = str(error).partition("; send metadata")[0]
        super().__init__(said + (f" (x-request-id {request_id})" if request_id else ""))


@dataclass
class Calls:
    """Calls over one connection. `key` is what they send as the key; `request_id` is that of the last one."""

    channel: grpc.Channel
    target: str
    timeout: float
    key: Metadata
    request_id: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._methods: dict[str, Any] = {
            **vars(itemlens_pb2_grpc.ItemLensStub(self.channel)),
            **vars(catalog_pb2_grpc.CatalogStub(self.channel)),
        }
        self._health: Any = health_pb2_grpc.HealthStub(self.channel).Check

    def ask(self, name: str, with_key: bool = True) -> Any:
        """The reply of a method.

        Raises:
            Refused: it failed.
        """
        return self._made(self._methods[name], _REQUESTS[name], self.key if with_key else ())

    def health(self) -> Any:
        """The health of the server, which needs no key.

        Raises:
            Refused: the call failed.
        """
        return self._made(self._health, health_pb2.HealthCheckRequest(), ()).status

    def _made(self, method: Any, request: Message, metadata: Metadata) -> Any:
        try:
            reply, call = method.with_call(request, metadata=metadata, timeout=self.timeout)
        except grpc.RpcError as error:
            failed: Any = error
            self.request_id = _request_id(failed.trailing_metadata())
            raise Refused(failure(error, self.target, closed=False), self.request_id) from error
        self.request_id = _request_id(call.trailing_metadata()) or self.request_id
        return reply


def _request_id(trailing: Any) -> str:
    return next((str(value) for name, value in trailing or () if name == REQUEST_ID), "")


def health(calls: Calls) -> Row:
    """Whether the server takes calls."""
    try:
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(calls.health())
    except Refused as refused:
        return "health", str(refused), _unhealthy(refused.error)
    if status == "SERVING":
        return "health", status, ""
    return "health", status, "it is going down, or does not serve yet: wait for it, and see its log"


def _unhealthy(error: itemlens.ItemlensError) -> str:
    if isinstance(error, itemlens.Unimplemented):
        return "this is a gRPC server without health checks, not itemlens: check the port"
    if isinstance(error, itemlens.DeadlineExceeded):
        return "it takes connections, and does not answer: see its log, and its processors"
    return "see the server's log, and that of a proxy in between"


def key(calls: Calls) -> tuple[Row, bool]:
    """Whether the key opens the door, if the server asks for one, and whether calls are let in."""
    try:
        asked = _asks_for_key(calls)
        if asked and not calls.key:
            fix = f"set {CLIENT_PREFIX}KEY to a key from `itemlens keys create`"
            return ("key", "the server asks for a key, and none is set", fix), False
        if asked:
            calls.ask(_LIST)
            return ("key", f"accepted; it may read {_scope(calls)}", ""), True
    except Refused as refused:
        return ("key", str(refused), _locked_out(refused.error)), False
    if calls.key:
        return ("key", "set, and the server asks for none", ""), True
    return ("key", "the server asks for none: everybody who reaches it may do everything", ""), True


def _asks_for_key(calls: Calls) -> bool:
    try:
        calls.ask(_LIST, with_key=False)
    except Refused as refused:
        if isinstance(refused.error, itemlens.Unauthenticated):
            return True
        raise
    return False


def _scope(calls: Calls) -> str:
    """What collections a key is for: statistics are for keys of every collection."""
    try:
        calls.ask(_STATISTICS)
    except Refused as refused:
        if isinstance(refused.error, itemlens.PermissionDenied):
            return "some collections only"
        raise
    return "every collection"


def _locked_out(error: itemlens.ItemlensError) -> str:
    if isinstance(error, itemlens.Unauthenticated):
        return (
            f"set {CLIENT_PREFIX}KEY to a valid key: `itemlens keys list` on the server shows which are, "
            "`itemlens keys create` makes one"
        )
    if isinstance(error, itemlens.PermissionDenied):
        return "give the caller a key with a role and collections that allow the call"
    if isinstance(error, itemlens.Overloaded):
        return "wait as long as it says; a quota is raised with a new key"
    return "see the server's log under the call's id"


def space(calls: Calls) -> Iterator[Row]:
    """The default space, its encoders and their queues."""
    try:
        found = calls.ask(_SPACE)
    except Refused as refused:
        yield "default space", str(refused), _locked_out(refused.error)
        return
    fitted = "fitted" if found.fitted else "not fitted: `itemlens fit` would choose weights"
    yield "default space", f"{found.name} ({found.space_id}), {fitted}", ""
    hidden = ""
    try:
        statistics = {one.channel: one for one in calls.ask(_STATISTICS).encoders}
    except Refused as refused:  # such as with a key for some collections
        statistics, hidden = {}, f"; its queue is not shown: {refused.error.code.name}"
    for channel in found.channels:
        if channel.kind == itemlens_pb2.CHANNEL_KIND_EXTERNAL:
            yield f"channel {channel.name}", f"vectors of the caller's own, version {channel.version}", ""
            continue
        queue, fix = _queue(statistics[channel.name]) if channel.name in statistics else (hidden, "")
        yield f"channel {channel.name}", f"{channel.precision} on {channel.provider}{queue}", fix


def _queue(one: itemlens_pb2.EncoderStatistics) -> tuple[str, str]:
    said = (
        f"; {one.waiting_tokens:,} of {one.max_waiting_tokens:,} tokens wait, "
        f"{one.refused_calls:,} calls refused since the start"
    )
    busy = one.waiting_tokens > BUSY_SHARE * one.max_waiting_tokens
    return said, "it has more to do than it can: send less at a time, or see docs/engine.md" if busy else ""


def collections(calls: Calls) -> Row:
    """The collections that the key sees, and what of them is not computed yet."""
    try:
        found = calls.ask(_LIST).collections
    except Refused as refused:
        return "collections", str(refused), _locked_out(refused.error)
    if not found:
        return "collections", "none; `itemlens index` creates one", ""
    return "collections", f"{len(found):,}: {named([_described(one) for one in found])}", ""


def _described(one: catalog_pb2.Collection) -> str:
    waiting = one.event_count and not one.behaviour_sequence_number
    behind = ", none of them in the behaviour score yet" if waiting else ""
    return f"{one.name} ({one.item_count:,} items, {one.event_count:,} events{behind})"


def latency(calls: Calls, round_trip: float, let_in: bool) -> Iterator[Row]:
    """The time of calls on the open connection, and who takes it: the network, or the server.

    round_trip: seconds that a connection took; 0 if that is not known
    """
    checks = _times(calls.health)
    if not checks:
        return
    fix = "the network is slow or far: call from nearer" if median(checks) > SLOW_SECONDS else ""
    connecting = f"; connecting took {milliseconds(round_trip)}" if round_trip else ""
    yield "time of a health check", _summary(checks) + connecting, fix
    reads = _times(lambda: calls.ask(_SPACE)) if let_in else []
    if not reads:
        return
    own = median(reads) - median(checks)
    fix = "the server is busy: see its queues above, and its processors" if own > SLOW_SECONDS else ""
    yield f"time of {_SPACE}", _summary(reads), fix


def _times(call: Callable[[], object]) -> list[float]:
    """Seconds of some calls. A call that fails, such as for want of quota, ends them."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        try:
            call()
        except Refused:
            break
        times.append(time.perf_counter() - began)
    return times


def _summary(times: list[float]) -> str:
    return f"median {milliseconds(median(times))}, slowest {milliseconds(max(times))} of {len(times)}"


def request_id(calls: Calls) -> Row:
    """The id under which the server's log has a call."""
    if calls.request_id:
        said = f"each answer has one, such as {calls.request_id}: look for that of a failed call in the server's log"
        return REQUEST_ID, said, ""
    return REQUEST_ID, "answers have none: the server is older, or a proxy in between takes it away", ""
