"""What can go wrong, in words for the caller. `rpc.errors` turns each class into one gRPC status.

ItemlensError
├── InvalidInput           the request is wrong: change `field`
├── NotFound               a space, collection, item, user or recommendation that is not there
├── AlreadyExists          an id that is taken
├── WrongState             right request, wrong moment: the message says what to do first
│   └── SpaceMismatch      vectors or data of another space
├── Overloaded             a queue is full: try again after `retry_seconds`
├── StorageFull            the disk or the store's size limit is reached
├── DeadlineExceeded       the caller's deadline has passed
└── Cancelled              the caller has hung up
"""

from __future__ import annotations


class ItemlensError(Exception):
    """Base of all errors that are meant for the caller. `field` is a path into the request, or empty."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def within(self, field: str) -> ItemlensError:
        """The same error, seen from a request in which the input is at `field`."""
        self.field = f"{field}.{self.field}" if self.field else field
        return self


class InvalidInput(ItemlensError):
    """The request is wrong; the message says what to change."""


class NotFound(ItemlensError):
    """Something named in the request does not exist."""

    def __init__(self, message: str, kind: str, name: str, field: str = "") -> None:
        super().__init__(message, field)
        self.kind = kind
        self.name = name


class AlreadyExists(ItemlensError):
    """An id is taken."""


class WrongState(ItemlensError):
    """The request is right but cannot be met now; the message says what to do first."""


class SpaceMismatch(WrongState):
    """Vectors or stored data belong to another space."""


class Overloaded(ItemlensError):
    """A queue is full."""

    def __init__(self, message: str, retry_seconds: float) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class StorageFull(ItemlensError):
    """The disk, or the store's size limit, is full. Nothing of the write was kept."""


class DeadlineExceeded(ItemlensError):
    """The caller's deadline has passed before the work was done."""


class Cancelled(ItemlensError):
    """The caller has hung up before the work was done."""
