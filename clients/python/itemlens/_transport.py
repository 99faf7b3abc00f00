"""gRPC options, errors and limits that both transports share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, TypeAlias

import grpc
from google.protobuf.message import Message

from ._errors import Cancelled, ItemlensError, Unavailable, from_rpc
from ._secure import Tls
from ._target import is_local, proxy
from .v1.catalog_pb2_grpc import CatalogStub
from .v1.itemlens_pb2_grpc import ItemLensStub

MAX_MESSAGE_BYTES = 64 << 20

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # gRPC waits up to 2 minutes before it reconnects, which is longer than the client's retries.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Despite its name, this option also bounds the time to establish a connection.
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 2000),
)

# What gRPC says of a connection that TLS did not make, and what to do.
_HINTS = {
    "certificate has expired": "renew the server's certificate, or set this machine's clock",
    "certificate is not yet valid": "is this machine's clock right?",
    "Hostname Verification Check failed": "if the certificate is for another name on purpose, give Tls.server_name",
    "self signed certificate": "to trust it, give it, or its authority, as Tls.ca",
    "unable to get local issuer certificate": "to trust it, give its authority as Tls.ca",
    "WRONG_VERSION_NUMBER": "the port speaks plain text: leave out tls=",
}


def channel_options(target: str, extra: Sequence[tuple[str, Any]] = ()) -> list[tuple[str, Any]]:
    """Options of a channel to a target. The caller's options come last and override the others.

    gRPC obeys http_proxy even for local addresses, which a proxy cannot reach; the options turn that off.
    """
    proxies = [("grpc.enable_http_proxy", 0)] if is_local(target) else []
    return [*_OPTIONS, *proxies, *extra]


def open_channel(target: str, tls: Tls | None, extra: Sequence[tuple[str, Any]] = ()) -> grpc.Channel:
    """Open a channel, by TLS if it is given. extra: the caller's options.

    Raises:
        ValueError, OSError: as `Tls.credentials`.
    """
    if tls is None:
        return grpc.insecure_channel(target, options=channel_options(target, extra))
    options = channel_options(target, [*tls.options(), *extra])
    return grpc.secure_channel(target, tls.credentials(), options=options)


def failure(error: grpc.RpcError, target: str, closed: bool) -> ItemlensError:
    """The typed error of a failed call. `closed`: the client was closed, which cancels its calls."""
    typed = from_rpc(error)
    message = typed.message
    if isinstance(typed, Cancelled) and not closed:
        # A server with too many calls, or a proxy, cancelled the call: the caller should try again.
        typed = Unavailable(
            message or "the call was cancelled by the server or a proxy", details=typed.details
        )
    elif isinstance(typed, Unavailable):
        hints = [hint for words, hint in _HINTS.items() if words in message]
        if asked := proxy(target):
            hints.append(f"calls go through the proxy {asked}; add the host to no_proxy to connect directly")
        if hints:
            typed = Unavailable("; ".join([message, *hints]), details=typed.details)
    typed.__cause__ = error
    return typed


Metadata: TypeAlias = tuple[tuple[str, str], ...]
Priority: TypeAlias = Literal["interactive", "bulk"]


def headers(key: str, caller: str, priority: Priority | None) -> Metadata:
    """What each call sends: the key, the caller and the priority, if given."""
    said = (
        ("authorization", f"Bearer {key}" if key else ""),
        ("itemlens-caller", caller),
        ("itemlens-priority", priority),
    )
    return tuple((name, value) for name, value in said if value)


def methods(channel: Any, metadata: Metadata) -> dict[str, Any]:
    """The methods of both services by name, which is unique. Each sends the metadata."""
    stubs = vars(ItemLensStub(channel)) | vars(CatalogStub(channel))
    return {name: partial(method, metadata=metadata) for name, method in stubs.items()}


def checked(request: Message) -> Message:
    """Return the request, or raise ValueError if it exceeds the message limit.

    gRPC would answer RESOURCE_EXHAUSTED, which the client retries.
    """
    if (size := request.ByteSize()) > MAX_MESSAGE_BYTES:
        raise ValueError(
            f"the request has {size} bytes; a message may have {MAX_MESSAGE_BYTES}; send fewer entries per call"
        )
    return request
