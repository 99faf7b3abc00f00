"""The frame in which every call runs: its deadline, and what becomes of an error."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from itemlens_server.deadline import Deadline
from itemlens_server.errors import Cancelled, DeadlineExceeded, ItemlensError, Overloaded, StorageFull
from itemlens_server.rpc.errors import status_of

log = logging.getLogger(__name__)
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

# grpc gives a huge number of seconds where the caller set no deadline.
NO_DEADLINE_SECONDS = 1e6


def unary(
    handler: Callable[[Request, Deadline], Response], request_type: type[Request]
) -> grpc.RpcMethodHandler[Request, Response]:
    """A method with one request and one response, which `handler` makes."""

    def call(request: Request, context: grpc.ServicerContext) -> Response:
        try:
            deadline = _deadline(context)
            deadline.check()
            return handler(request, deadline)
        except ItemlensError as error:
            _abort(context, error)
        except Exception as error:
            _internal(context, error)

    return grpc.unary_unary_rpc_method_handler(call, request_type.FromString, _serialise)


def stream(
    handler: Callable[[Request, Deadline], Response],
    failed: Callable[[ItemlensError], Response],
    request_type: type[Request],
) -> grpc.RpcMethodHandler[Request, Response]:
    """A bidirectional method: a response for each request, in order. A wrong request fails alone, as `failed` says."""

    def call(requests: Iterator[Request], context: grpc.ServicerContext) -> Iterator[Response]:
        for request in requests:
            try:
                deadline = _deadline(context)
                deadline.check()
                response = handler(request, deadline)
            except (DeadlineExceeded, Cancelled, Overloaded, StorageFull) as error:
                # These are of the stream or the server, not of the request.
                _abort(context, error)
            except ItemlensError as error:
                response = failed(error)
            except Exception as error:
                _internal(context, error)
            yield response

    return grpc.stream_stream_rpc_method_handler(call, request_type.FromString, _serialise)


def _serialise(message: Message) -> bytes:
    return message.SerializeToString()


def _deadline(context: grpc.ServicerContext) -> Deadline:
    remaining = context.time_remaining()
    seconds = remaining if remaining is not None and remaining < NO_DEADLINE_SECONDS else None
    return Deadline(seconds, context.is_active)


def _abort(context: grpc.ServicerContext, error: ItemlensError) -> NoReturn:
    context.abort_with_status(rpc_status.to_status(status_of(error)))
    raise AssertionError("abort_with_status raises")


def _internal(context: grpc.ServicerContext, error: Exception) -> NoReturn:
    """A fault of ours: the caller gets a number, the log under that number gets the rest."""
    if not context.is_active():
        raise error
    number = secrets.token_hex(4)
    log.error("internal error %s", number, exc_info=error)
    context.abort(grpc.StatusCode.INTERNAL, f"internal error {number}; the server's log says more")
    raise AssertionError("abort raises")
