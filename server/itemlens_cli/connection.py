"""A client for a command: what goes wrong ends the command with one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import itemlens
from itemlens._target import check
from itemlens_server.errors import FailedPrecondition, InvalidArgument, ItemlensError


def checked_target(target: str) -> str:
    """Check a target and give it back.

    Raises:
        InvalidArgument: it is not a target; the message says what to write.
    """
    try:
        return check(target)
    except ValueError as error:
        raise InvalidArgument(f"--{error}") from error


@contextmanager
def connected(target: str, **settings: Any) -> Iterator[itemlens.Client]:
    """A client, with the client's errors as those that the command line prints.

    Raises:
        InvalidArgument: `target` is not a target.
        FailedPrecondition: no server answers there.
        ItemlensError: what the server says.
    """
    with itemlens.Client(checked_target(target), **settings) as client:
        try:
            yield client
        except itemlens.Unavailable as error:
            raise FailedPrecondition(spoken(error, target)) from error
        except itemlens.ItemlensError as error:
            raise ItemlensError(spoken(error, target)) from error


def spoken(error: itemlens.ItemlensError, target: str) -> str:
    """A client's error for somebody at a terminal."""
    if isinstance(error, itemlens.Unavailable):
        # gRPC tells the whole way to the cause; the cause comes last.
        cause = error.message.rpartition(": ")[2].rstrip("]")
        return (
            f"no server answers at {target} ({cause}); "
            "start one with `itemlens serve`, or give its address with --target"
        )
    return str(error)
