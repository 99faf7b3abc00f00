"""The one table from errors to gRPC statuses, and the frame in which every call runs."""

from __future__ import annotations

import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from itemlens.v1 import common_pb2
from itemlens_server.deadline import Deadline
from itemlens_server.errors import (
    AlreadyExists,
    Cancelled,
    DeadlineExceeded,
    InvalidInput,
    ItemlensError,
    NotFound,
    Overloaded,
    StorageFull,
    WrongState,
)

log = logging.getLogger(__name__)
Request = TypeVar("Request")
Response = TypeVar("Response")

DOMAIN = "itemlens"
CODES: dict[type[ItemlensError], int] = {
    InvalidInput: code_pb2.INVALID_ARGUMENT,
    NotFound: code_pb2.NOT_FOUND,
    AlreadyExists: code_pb2.ALREADY_EXISTS,
    WrongState: code_pb2.FAILED_PRECONDITION,
    Overloaded: code_pb2.RESOURCE_EXHAUSTED,
    StorageFull: code_pb2.RESOURCE_EXHAUSTED,
    DeadlineExceeded: code_pb2.DEADLINE_EXCEEDED,
    Cancelled: code_pb2.CANCELLED,
}


def code_of(error: ItemlensError) -> int:
    """The canonical code of an error."""
    return next(code for kind, code in CODES.items() if isinstance(error, kind))


def item_status(error: ItemlensError | None, field: str = "") -> common_pb2.ItemStatus:
    """The status of one entry of a batch; `field` is the entry's path in the request."""
    if error is None:
        return common_pb2.ItemStatus()
    path = ".".join(part for part in (field, error.field) if part)
    return common_pb2.ItemStatus(code=code_of(error), message=error.message, field=path)


def status_of(error: ItemlensError) -> status_pb2.Status:
    """The rich status of a whole call."""
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=_reason(error), domain=DOMAIN)]
    if isinstance(error, InvalidInput):
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, NotFound):
        details.append(error_details_pb2.ResourceInfo(resource_type=error.kind, resource_name=error.name))
    if isinstance(error, Overloaded):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(error.retry_seconds * 1e9))
        details.append(retry)
    packed = []
    for detail in details:
        one = AnyMessage()
        one.Pack(detail)
        packed.append(one)
    message = f"{error.field}: {error.message}" if error.field else error.message
    return status_pb2.Status(code=code_of(error), message=message, details=packed)


def _reason(error: ItemlensError) -> str:
    name = type(error).__name__
    return "".join(f"_{c}" if c.isupper() and n else c for n, c in enumerate(name)).upper()


def _abort(context: grpc.ServicerContext, error: ItemlensError) -> NoReturn:
    context.abort_with_status(rpc_status.to_status(status_of(error)))
    raise AssertionError("abort returns never")


def _internal(context: grpc.ServicerContext, error: Exception) -> NoReturn:
    """A fault of ours: the caller gets a number, the log gets the rest."""
    number = secrets.token_hex(4)
    log.error("internal error %s", number, exc_info=error)
    context.abort(grpc.StatusCode.INTERNAL, f"internal error {number}; the server's log says more")
    raise AssertionError("abort returns never")


def deadline_of(context: grpc.ServicerContext) -> Deadline:
    """How long the caller of this call waits."""
    remaining = context.time_remaining()
    # grpc gives a huge number where the caller set no deadline.
    return Deadline(remaining if remaining is not None and remaining < 1e6 else None, context.is_active)


def unary(
    handler: Callable[[Request, Deadline], Response],
) -> Callable[[Request, grpc.ServicerContext], Response]:
    """A gRPC method that runs `handler`."""

    def call(request: Request, context: grpc.ServicerContext) -> Response:
        try:
            deadline = deadline_of(context)
            deadline.check()
            return handler(request, deadline)
        except ItemlensError as error:
            _abort(context, error)
        except sqlite3.Error as error:
            _internal(context, error)
        except Exception as error:
            if context.is_active():
                _internal(context, error)
            raise

    return call


def stream(
    handler: Callable[[Request, Deadline], Response], failed: Callable[[ItemlensError], Response]
) -> Callable[[Iterator[Request], grpc.ServicerContext], Iterator[Response]]:
    """A bidirectional method: a response for each request, in order; a request that is wrong fails alone."""

    def call(requests: Iterator[Request], context: grpc.ServicerContext) -> Iterator[Response]:
        for request in requests:
            try:
                deadline = deadline_of(context)
                deadline.check()
                yield handler(request, deadline)
            except (DeadlineExceeded, Cancelled, Overloaded, StorageFull) as error:
                # These are of the stream or the server, not of the request.
                _abort(context, error)
            except ItemlensError as error:
                yield failed(error)
            except Exception as error:
                if context.is_active():
                    _internal(context, error)
                raise

    return call
