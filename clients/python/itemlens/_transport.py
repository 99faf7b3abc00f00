"""What both transports need of gRPC."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, TypeAlias

import grpc
from google.protobuf.message import Message

from ._errors import Cancelled, ItemlensError, Unavailable, from_rpc
from ._target import is_local, proxy
from .v1.catalog_pb2_grpc import CatalogStub
from .v1.itemlens_pb2_grpc import ItemLensStub

MAX_MESSAGE_BYTES = 64 << 20

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # gRPC's own waits before it connects again, up to 2 minutes, would outlast the client's retries.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # This is how long a connection may take to come about, whatever its name says.
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


def channel_options(target: str, extra: Sequence[tuple[str, Any]] = ()) -> list[tuple[str, Any]]:
    """Options of a channel to a target, for whoever makes one; a caller's own come last and win.

    gRPC obeys http_proxy even for this machine's own addresses, where a proxy finds nobody.
    """
    proxies = [("grpc.enable_http_proxy", 0)] if is_local(target) else []
    return [*_OPTIONS, *proxies, *extra]


def failure(error: grpc.RpcError, target: str, closed: bool) -> ItemlensError:
    """The typed error of a call that failed. `closed`: the client was closed, which cancels its calls."""
    typed = from_rpc(error)
    message = typed.message
    if isinstance(typed, Cancelled) and not closed:
        # A server with too many calls, or a proxy, cancelled it: the caller's answer is to try again.
        typed = Unavailable(message or "the call was cancelled on the way", details=typed.details)
    elif isinstance(typed, Unavailable) and (asked := proxy(target)):
        typed = Unavailable(
            f"{message}; calls go through the proxy {asked}, put the host into no_proxy if they should not",
            details=typed.details,
        )
    typed.__cause__ = error
    return typed


Priority: TypeAlias = Literal["interactive", "bulk"]


def methods(channel: Any, caller: str, priority: Priority | None) -> dict[str, Any]:
    """The callables of both services by name; no name is in both. Each tells the server who calls, if that is given."""
    said = (("itemlens-caller", caller), ("itemlens-priority", priority))
    metadata = tuple((key, value) for key, value in said if value)
    stubs = vars(ItemLensStub(channel)) | vars(CatalogStub(channel))
    return {name: partial(method, metadata=metadata) for name, method in stubs.items()}


def checked(request: Message) -> Message:
    """The request, if it fits into a message. gRPC would say RESOURCE_EXHAUSTED, as if waiting could help."""
    if (size := request.ByteSize()) > MAX_MESSAGE_BYTES:
        raise ValueError(
            f"the request has {size} bytes, more than the {MAX_MESSAGE_BYTES} of a message: send less at once"
        )
    return request
