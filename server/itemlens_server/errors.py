"""What can go wrong, and what may surprise, in words for the caller. `rpc.errors` turns each class into one status.

ItemlensError
├── InvalidArgument           the request is wrong: change `field`
├── NotFound               a space, collection, item, user or recommendation that is not there
├── AlreadyExists          an id that is taken
├── FailedPrecondition             right request, wrong moment: the message says what to do first
│   └── SpaceMismatch      vectors or data of another space
├── Overloaded             a queue is full: try again after `retry_seconds`
├── Unavailable            the server or the stream ends: open another
├── StorageFull            the disk or the store's size limit is reached
├── DataLoss               what is stored is damaged
├── DeadlineExceeded       the caller's deadline has passed
└── Cancelled              the caller has hung up
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

# An error travels in HTTP/2 headers, where gRPC takes 8 KiB in all.
QUOTED_CHARACTERS = 100


class ItemlensError(Exception):
    """Base of all errors that are meant for the caller. `field` is a path into the request, or empty.

    reason: stable and for machines, the ErrorInfo's.
    """

    reason: ClassVar[str] = "ITEMLENS_ERROR"

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def within(self, field: str) -> ItemlensError:
        """The same error, seen from a request in which the input is at `field`."""
        self.field = f"{field}.{self.field}" if self.field else field
        return self


class InvalidArgument(ItemlensError):
    """The request is wrong; the message says what to change."""

    reason = "INVALID_INPUT"


class NotFound(ItemlensError):
    """Something named in the request does not exist."""

    reason = "NOT_FOUND"

    def __init__(self, message: str, resource_type: str, name: str, field: str = "") -> None:
        super().__init__(message, field)
        self.resource_type = resource_type
        self.name = name


class AlreadyExists(ItemlensError):
    """An id is taken."""

    reason = "ALREADY_EXISTS"


class FailedPrecondition(ItemlensError):
    """The request is right but cannot be met now; the message says what to do first."""

    reason = "WRONG_STATE"


class SpaceMismatch(FailedPrecondition):
    """Vectors or stored data belong to another space."""

    reason = "SPACE_MISMATCH"


class Overloaded(ItemlensError):
    """A queue is full. The message ends with when to try again, the same number as `retry_seconds`."""

    reason = "OVERLOADED"

    def __init__(self, message: str, retry_seconds: float) -> None:
        # Up to the next hundredth: nobody waits more precisely, and RetryInfo is then what the sentence says.
        self.retry_seconds = math.ceil(round(100 * retry_seconds, 6)) / 100
        super().__init__(f"{message}; try again in {self.retry_seconds:g} seconds")


class Unavailable(ItemlensError):
    """The server stops, or this stream ends; another one may do."""

    reason = "UNAVAILABLE"


class StorageFull(ItemlensError):
    """The disk, or the store's size limit, is full. Nothing of the write was kept."""

    reason = "STORAGE_FULL"


class DataLoss(ItemlensError):
    """What is stored is damaged; the message says what, and what to do."""

    reason = "DATA_LOSS"


class DeadlineExceeded(ItemlensError):
    """The caller's deadline has passed before the work was done."""

    reason = "DEADLINE_EXCEEDED"


class Cancelled(ItemlensError):
    """The caller has hung up before the work was done."""

    reason = "CANCELLED"


def quoted(text: object) -> str:
    """What a caller gave, for a message: as Python writes it, and not longer than `QUOTED_CHARACTERS`."""
    written = repr(text)
    if len(written) <= QUOTED_CHARACTERS:
        return written
    return f"{written[: QUOTED_CHARACTERS - 4]}...{written[-1]}"


@dataclass(frozen=True)
class Warning:
    """Something that went well but may surprise; `reason` is stable and for machines."""

    reason: str
    message: str
    field: str = ""

    def within(self, field: str) -> Warning:
        """The same warning, seen from a request in which the input is at `field`."""
        return Warning(self.reason, self.message, f"{field}.{self.field}" if self.field else field)
