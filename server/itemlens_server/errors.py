"""Errors and warnings for callers. `rpc.errors` maps each class to a gRPC status.

ItemlensError
├── InvalidArgument        the request is wrong: change `field`
├── NotFound               a space, collection, item, user or recommendation does not exist
├── AlreadyExists          an id or name is taken
├── FailedPrecondition     the request is valid, but not now: the message says what to do first
│   ├── SpaceMismatch      vectors or data of another space
│   └── StreamMoved        a stream of events is at another position than the request says
├── Aborted                another write came first: read again, then try again
├── Unauthenticated        the call has no valid key: the message says what to send
├── PermissionDenied       the key is not for this call
├── Overloaded             a queue is full: try again after `retry_seconds`
│   └── QuotaExceeded      the key has used its quota
├── Unavailable            the server or the stream ends: open another
├── StorageFull            the disk or the store's size limit is reached
├── DataLoss               stored data is damaged
├── DeadlineExceeded       the caller's deadline has passed
└── Cancelled              the caller cancelled the call
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

# An error is sent in HTTP/2 headers, which gRPC limits to 8 KiB in all.
QUOTED_CHARACTERS = 100


class ItemlensError(Exception):
    """Base of all errors for callers. `field` is a path into the request, or empty.

    reason: stable and machine-readable, sent in ErrorInfo.
    """

    reason: ClassVar[str] = "ITEMLENS_ERROR"

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def within(self, field: str) -> ItemlensError:
        """The same error for a request that has the input at `field`."""
        self.field = f"{field}.{self.field}" if self.field else field
        return self


class InvalidArgument(ItemlensError):
    """The request is wrong; the message says what to change."""

    reason = "INVALID_INPUT"


class NotFound(ItemlensError):
    """A resource named in the request does not exist."""

    reason = "NOT_FOUND"

    def __init__(self, message: str, resource_type: str, name: str, field: str = "") -> None:
        super().__init__(message, field)
        self.resource_type = resource_type
        self.name = name


class AlreadyExists(ItemlensError):
    """An id or name is taken."""

    reason = "ALREADY_EXISTS"


class FailedPrecondition(ItemlensError):
    """The request is valid but does not fit the present state; the message says what to do first."""

    reason = "WRONG_STATE"


class SpaceMismatch(FailedPrecondition):
    """Vectors or stored data belong to another space."""

    reason = "SPACE_MISMATCH"


class StreamMoved(FailedPrecondition):
    """A stream of events is at another position than the request says."""

    reason = "STREAM_MOVED"


class Aborted(ItemlensError):
    """What the request depends on was changed meanwhile; the message says by how much."""

    reason = "CHANGED_MEANWHILE"


class Unauthenticated(ItemlensError):
    """The call has no valid key. Nothing of it was read."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(ItemlensError):
    """The caller is known, and may not do this."""

    reason = "PERMISSION_DENIED"


class Overloaded(ItemlensError):
    """A queue is full. The message ends with the time to wait, which is `retry_seconds`."""

    reason = "OVERLOADED"

    def __init__(self, message: str, retry_seconds: float) -> None:
        # Rounded up to hundredths, so that RetryInfo and the message agree.
        self.retry_seconds = math.ceil(round(100 * retry_seconds, 6)) / 100
        super().__init__(f"{message}; try again in {self.retry_seconds:g} seconds")


class QuotaExceeded(Overloaded):
    """The caller has used a quota."""

    reason = "QUOTA_EXCEEDED"


class Unavailable(ItemlensError):
    """The server stops, or this stream ends. Another server or stream can serve the call."""

    reason = "UNAVAILABLE"


class StorageFull(ItemlensError):
    """The disk is full, or the store's size limit is reached. Nothing of the write is stored."""

    reason = "STORAGE_FULL"


class DataLoss(ItemlensError):
    """Stored data is damaged; the message names it and says what to do."""

    reason = "DATA_LOSS"


class DeadlineExceeded(ItemlensError):
    """The caller's deadline passed before the work was complete."""

    reason = "DEADLINE_EXCEEDED"


class Cancelled(ItemlensError):
    """The caller cancelled the call before the work was complete."""

    reason = "CANCELLED"


def quoted(text: object) -> str:
    """A caller's value for a message: its repr, cut to `QUOTED_CHARACTERS`."""
    written = repr(text)
    if len(written) <= QUOTED_CHARACTERS:
        return written
    return f"{written[: QUOTED_CHARACTERS - 4]}...{written[-1]}"


@dataclass(frozen=True)
class Warning:
    """A remark on a request that succeeded, such as a truncated text. `reason` is stable and machine-readable."""

    reason: str
    message: str
    field: str = ""

    def within(self, field: str) -> Warning:
        """The same warning for a request that has the input at `field`."""
        return Warning(self.reason, self.message, f"{field}.{self.field}" if self.field else field)
