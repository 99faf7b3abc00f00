"""The table that maps errors to gRPC statuses."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from itemlens.v1 import common_pb2
from itemlens_server.errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    ItemlensError,
    NotFound,
    Overloaded,
    PermissionDenied,
    StorageFull,
    Unauthenticated,
    Unavailable,
)

DOMAIN = "itemlens"
CODES: dict[type[ItemlensError], int] = {
    InvalidArgument: code_pb2.INVALID_ARGUMENT,
    NotFound: code_pb2.NOT_FOUND,
    AlreadyExists: code_pb2.ALREADY_EXISTS,
    FailedPrecondition: code_pb2.FAILED_PRECONDITION,
    Aborted: code_pb2.ABORTED,
    Unauthenticated: code_pb2.UNAUTHENTICATED,
    PermissionDenied: code_pb2.PERMISSION_DENIED,
    Overloaded: code_pb2.RESOURCE_EXHAUSTED,
    StorageFull: code_pb2.RESOURCE_EXHAUSTED,
    Unavailable: code_pb2.UNAVAILABLE,
    DataLoss: code_pb2.DATA_LOSS,
    DeadlineExceeded: code_pb2.DEADLINE_EXCEEDED,
    Cancelled: code_pb2.CANCELLED,
}


# An error is sent in headers, which gRPC's clients limit to 8 KiB. They hold the message twice: once with up to three
# bytes for each byte (percent-encoding), once with 4/3 bytes for each byte (Base64).
MESSAGE_BYTES, NAME_BYTES = 1000, 300


def cut(text: str, most: int) -> str:
    """`text`, cut to at most `most` bytes of UTF-8."""
    data = text.encode(errors="replace")
    return text if len(data) <= most else data[: most - 3].decode(errors="ignore") + "..."


def code_of(error: ItemlensError) -> int:
    """The gRPC status code of an error."""
    return next(code for kind, code in CODES.items() if isinstance(error, kind))


def item_status(error: ItemlensError | None, field: str = "") -> common_pb2.ItemStatus:
    """The status of one entry of a batch; `field` is the entry's path in the request."""
    if error is None:
        return common_pb2.ItemStatus()
    path = ".".join(part for part in (field, error.field) if part)
    return common_pb2.ItemStatus(
        code=code_of(error), message=cut(error.message, MESSAGE_BYTES), field=cut(path, NAME_BYTES)
    )


def status_of(error: ItemlensError) -> status_pb2.Status:
    """The status of a whole call, with google.rpc details."""
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)]
    if isinstance(error, InvalidArgument):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=cut(error.field, NAME_BYTES), description=cut(error.message, MESSAGE_BYTES)
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, NotFound):
        details.append(
            error_details_pb2.ResourceInfo(
                resource_type=error.resource_type, resource_name=cut(error.name, NAME_BYTES)
            )
        )
    if isinstance(error, Overloaded):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(error.retry_seconds * 1e9))
        details.append(retry)
    packed = []
    for detail in details:
        message_of_any = AnyMessage()
        message_of_any.Pack(detail)
        packed.append(message_of_any)
    message = f"{error.field}: {error.message}" if error.field else error.message
    return status_pb2.Status(code=code_of(error), message=cut(message, MESSAGE_BYTES), details=packed)
