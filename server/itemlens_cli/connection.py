"""The client of a command. Its errors end the command with one line that says what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import itemlens
from itemlens._target import check
from itemlens_server.config import CLIENT_VARIABLES
from itemlens_server.errors import FailedPrecondition, InvalidArgument, ItemlensError, quoted


def checked_target(target: str) -> str:
    """Return a target after a check.

    Raises:
        InvalidArgument: the target is invalid; the message says what to write.
    """
    try:
        return check(target)
    except ValueError as error:
        raise InvalidArgument(f"--{error}") from error


def credentials() -> dict[str, Any]:
    """The key and the certificates of the environment, as arguments of a client.

    Raises:
        InvalidArgument: a variable is wrong.
    """
    given = {name: os.environ.get(name, "") for name in CLIENT_VARIABLES}
    key, tls, ca, certificate, private_key, server_name = (given[name] for name in CLIENT_VARIABLES)
    if tls.lower() not in ("", "0", "1", "false", "true"):
        raise InvalidArgument(f"ITEMLENS_TLS is {quoted(tls)}: write true or false")
    if not (ca or certificate or private_key or tls.lower() in ("1", "true")):
        return {"key": key}
    return {
        "key": key,
        "tls": itemlens.Tls(ca or None, certificate or None, private_key or None, server_name),
    }


@contextmanager
def client_of(target: str, **settings: Any) -> Iterator[itemlens.Client]:
    """A client with the environment's key and certificates.

    Raises:
        InvalidArgument: `target`, the key or a certificate is wrong.
    """
    try:
        opened = itemlens.Client(checked_target(target), **credentials(), **settings)
    except (ValueError, OSError) as error:
        raise InvalidArgument(str(error)) from error
    with opened:
        yield opened


@contextmanager
def connected(target: str, **settings: Any) -> Iterator[itemlens.Client]:
    """A client whose errors become errors that the command line prints.

    Raises:
        InvalidArgument: `target` is invalid.
        FailedPrecondition: no server answers at `target`.
        ItemlensError: an error from the server.
    """
    with client_of(target, **settings) as opened:
        try:
            yield opened
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
