"""The client's exceptions.

    ItemlensError                  any status that is not OK; `code`, `message`, `details`
    ├── InvalidArgument            the request is wrong: change the fields in `violations`
    ├── NotFound                   a space, collection, item, user or recommendation does not exist
    ├── AlreadyExists              an id or name is taken
    ├── FailedPrecondition         the request is valid, but not now: the message says what to do first
    │   └── Aborted                another write came first: read again, then try again
    ├── Overloaded                 RESOURCE_EXHAUSTED: a queue or a disk is full; retried by the client
    ├── Unavailable                no connection, the server is going down, or a proxy cancelled the call;
    │                              retried by the client
    ├── DeadlineExceeded           no answer within `timeout`
    ├── Cancelled                  the client was closed during the call
    ├── PermissionDenied           the key is not for this call: its role or its collections do not allow it
    ├── Unauthenticated            no key, or one that is wrong, expired or revoked
    ├── Unimplemented              the server is older than this client
    ├── ServerError                INTERNAL, UNKNOWN and all other codes: a fault of the server
    └── PartialFailure             raised by `raise_for_errors()`: some entries of a batch failed

Mistakes that the client sees before it sends anything (a naive datetime, a matrix instead of a vector) raise
ValueError or TypeError. In a batch, the error of a single entry is an attribute of its result and is not raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from .v1 import common_pb2

_DETAILS_KEY = "grpc-status-details-bin"
_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class FieldViolation:
    """One field of a request that is wrong."""

    field: str
    """Path into the request message, such as "items[3].contents[0].picture"."""
    message: str
    """Says what is wrong and what to change."""


@dataclass(frozen=True)
class ErrorDetails:
    """The google.rpc details of an error, as far as the server sent them."""

    violations: tuple[FieldViolation, ...] = ()
    """From BadRequest."""
    reason: str = ""
    """From ErrorInfo: a stable, machine-readable name."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """From ErrorInfo."""
    resource_type: str = ""
    """From ResourceInfo, such as "collection"."""
    resource_name: str = ""
    """From ResourceInfo."""
    retry_seconds: float | None = None
    """From RetryInfo: the shortest wait before the next try, in seconds."""


class ItemlensError(Exception):
    """Base of all errors from the server or from the connection to it."""

    default_code = grpc.StatusCode.UNKNOWN

    def __init__(
        self, message: str = "", code: grpc.StatusCode | None = None, details: ErrorDetails | None = None
    ) -> None:
        self.message = message
        self.code = code or self.default_code
        self.details = details or ErrorDetails()
        super().__init__(message, self.code, self.details)

    def __str__(self) -> str:
        # The server's message often names the field already.
        fields = [v.field for v in self.details.violations if v.field and v.field not in self.message]
        return f"{self.code.name}: {self.message}" + (f" ({', '.join(fields)})" if fields else "")


class InvalidArgument(ItemlensError):
    """The request is wrong; the message and `violations` say what to change."""

    default_code = grpc.StatusCode.INVALID_ARGUMENT

    @property
    def violations(self) -> tuple[FieldViolation, ...]:
        """The fields that are wrong."""
        return self.details.violations


class NotFound(ItemlensError):
    """A resource named in the request does not exist; `details.resource_name` names it."""

    default_code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(ItemlensError):
    """An id or name is taken."""

    default_code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(ItemlensError):
    """The request is valid but does not fit the present state, such as vectors of another space."""

    default_code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(FailedPrecondition):
    """Another write came first, such as to an item with an `if_sequence_number`. Read again, then try again."""

    default_code = grpc.StatusCode.ABORTED


class Overloaded(ItemlensError):
    """The server has no room for the call. `details.retry_seconds` is the suggested wait, if the server sent one."""

    default_code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(ItemlensError):
    """The server cannot be reached or is going down."""

    default_code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(ItemlensError):
    """No reply arrived within the timeout."""

    default_code = grpc.StatusCode.DEADLINE_EXCEEDED


class Cancelled(ItemlensError):
    """The client was closed before the reply. A call that a proxy or the server cancels is Unavailable."""

    default_code = grpc.StatusCode.CANCELLED


class PermissionDenied(ItemlensError):
    """The key's role or collections do not allow the call; or a proxy refused the caller."""

    default_code = grpc.StatusCode.PERMISSION_DENIED


class Unauthenticated(ItemlensError):
    """The call has no key, or one that is wrong, expired or revoked; or a proxy does not know the caller."""

    default_code = grpc.StatusCode.UNAUTHENTICATED


class Unimplemented(ItemlensError):
    """The server does not know this call."""

    default_code = grpc.StatusCode.UNIMPLEMENTED


class ServerError(ItemlensError):
    """A fault of the server."""

    default_code = grpc.StatusCode.INTERNAL


class PartialFailure(ItemlensError):
    """Some entries of a batch failed. The others are done."""

    failures: tuple[tuple[int, ItemlensError], ...]
    """(index in the batch, error) of each failed entry."""

    def __init__(self, failures: Sequence[tuple[int, ItemlensError]], total: int) -> None:
        self.failures = tuple(failures)
        self.total = total
        place, first = self.failures[0]
        super().__init__(f"{len(self.failures)} of {total} failed, first [{place}]: {first}", first.code)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.failures, self.total)


RETRYABLE = (Unavailable, Overloaded)

_ALL: tuple[type[ItemlensError], ...] = (
    InvalidArgument,
    NotFound,
    AlreadyExists,
    FailedPrecondition,
    Aborted,
    Overloaded,
    Unavailable,
    DeadlineExceeded,
    Cancelled,
    PermissionDenied,
    Unauthenticated,
    Unimplemented,
)
_CLASSES = {cls.default_code: cls for cls in _ALL} | {
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgument,
}


def raise_for_errors(errors: Iterable[ItemlensError | None]) -> None:
    """Raise PartialFailure if any entry failed."""
    listed = list(errors)
    failures = [(place, error) for place, error in enumerate(listed) if error]
    if failures:
        raise PartialFailure(failures, len(listed))


def from_rpc(error: grpc.RpcError) -> ItemlensError:
    """The typed error of a failed call of grpc or grpc.aio."""
    # Both flavours of a failed call have these three, but their common base declares none of them.
    call: Any = error
    typed = make(call.code(), call.details() or "", _details(call.trailing_metadata() or ()))
    typed.__cause__ = error
    return typed


def from_status(status: common_pb2.ItemStatus) -> ItemlensError | None:
    """The typed error of one entry of a batch; None on success."""
    if status.code == 0:
        return None
    violations = (FieldViolation(status.field, status.message),) if status.field else ()
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return make(code, status.message, ErrorDetails(violations=violations))


def make(code: grpc.StatusCode, message: str, details: ErrorDetails | None = None) -> ItemlensError:
    """An error of the class that belongs to a status code."""
    return _CLASSES.get(code, ServerError)(message, code, details)


def _details(trailing: Iterable[tuple[str, str | bytes]]) -> ErrorDetails:
    packed = next((value for key, value in trailing if key == _DETAILS_KEY), None)
    if not isinstance(packed, bytes):
        return ErrorDetails()
    bad, info = error_details_pb2.BadRequest(), error_details_pb2.ErrorInfo()
    resource, retry = error_details_pb2.ResourceInfo(), error_details_pb2.RetryInfo()
    told_to_wait = False
    for detail in status_pb2.Status.FromString(packed).details:
        _ = detail.Unpack(bad) or detail.Unpack(info) or detail.Unpack(resource)
        told_to_wait = detail.Unpack(retry) or told_to_wait
    return ErrorDetails(
        violations=tuple(FieldViolation(v.field, v.description) for v in bad.field_violations),
        reason=info.reason,
        metadata=dict(info.metadata),
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
        retry_seconds=retry.retry_delay.ToTimedelta().total_seconds() if told_to_wait else None,
    )
