"""Calls that send bytes, which need be no message: gRPC's stubs only send messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

Deserializer = Callable[[bytes], Any] | None
"""Makes an answer of the bytes; without one the answer is the bytes."""


def unary_unary(
    channel: grpc.Channel, method: str, answer: Deserializer = None
) -> grpc.UnaryUnaryMultiCallable[bytes, Any]:
    return channel.unary_unary(method, None, answer)


def unary_stream(channel: grpc.Channel, method: str) -> grpc.UnaryStreamMultiCallable[bytes, bytes]:
    return channel.unary_stream(method)


def stream_stream(
    channel: grpc.Channel, method: str, answer: Deserializer = None
) -> grpc.StreamStreamMultiCallable[bytes, Any]:
    return channel.stream_stream(method, None, answer)
