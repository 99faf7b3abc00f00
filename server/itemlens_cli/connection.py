"""The client of a command. Its errors end the command with one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import itemlens
from itemlens._target import check
from itemlens_server.errors import FailedPrecondition, InvalidArgument, ItemlensError


def checked_target(target: str) -> str:
    """Return a target after a check.

    Raises:
        InvalidArgument: the target is invalid; the message says what to write.
    """
    try:
        return check(target)
    except ValueError as error:
        raise InvalidArgument(f"--{error}") from error


@contextmanager
def connected(target: str, **settings: Any) -> Iterator[itemlens.Client]:
    """A client whose errors become errors that the command line prints.

    Raises:
        InvalidArgument: `target` is invalid.
        FailedPrecondition: no server answers at `target`.
        ItemlensError: an error from the server.
    """
    with itemlens.Client(checked_target(target), **settings) as client:
        try:
            yield client
        except itemlens.Unavailable as error:
            raise FailedPrecondition(spoken(error, target)) from error
        except itemlens.ItemlensError as error:
            raise ItemlensError(spoken(error, target)) from error


def spoken(error: itemlens.ItemlensError, target: str) -> str:
    """The text of a client's error for the terminal."""
    if isinstance(error, itemlens.Unavailable):
        # gRPC's message is a chain of errors; the cause is the last one.
        cause = error.message.rpartition(": ")[2].rstrip("]")
        return (
            f"no server answers at {target} ({cause}); "
            "start one with `itemlens serve`, or give its address with --target"
        )
    return str(error)
