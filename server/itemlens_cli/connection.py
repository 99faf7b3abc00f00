"""The client of a command. Its errors end the command with one line that says what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

import itemlens
from itemlens._target import check
from itemlens_server.config import CLIENT_PREFIX
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
    tls = itemlens.Tls(
        _variable("CA") or None,
        _variable("CERTIFICATE") or None,
        _variable("PRIVATE_KEY") or None,
        _variable("SERVER_NAME"),
    )
    with_tls = _switch("TLS", tls != itemlens.Tls())
    if not with_tls and tls != itemlens.Tls():
        raise InvalidArgument(
            f"{CLIENT_PREFIX}TLS is false, and other variables are for TLS: leave either out"
        )
    return {
        "key": _variable("KEY"),
        "tls": tls if with_tls else None,
        "allow_plaintext_key": _switch("ALLOW_PLAINTEXT_KEY", False),
    }


def _variable(name: str) -> str:
    return os.environ.get(CLIENT_PREFIX + name, "")


def _switch(name: str, default: bool) -> bool:
    given = _variable(name).lower()
    if given not in ("", "true", "false", "1", "0"):
        raise InvalidArgument(f"{CLIENT_PREFIX}{name} is {quoted(given)}: write true or false")
    return given in ("true", "1") if given else default


@contextmanager
def client_of(target: str, **settings: Any) -> Iterator[itemlens.Client]:
    """A client with the environment's key and certificates.

    Raises:
        InvalidArgument: `target`, the key or a certificate is wrong.
    """
    try:
        opened = itemlens.Client(checked_target(target), **credentials(), **settings)
    except OSError as error:
        raise InvalidArgument(f"{CLIENT_PREFIX}CA or another file: {error}") from error
    except ValueError as error:
        hint = (
            f"; here: {CLIENT_PREFIX}TLS, {CLIENT_PREFIX}ALLOW_PLAINTEXT_KEY" if "tls=" in str(error) else ""
        )
        raise InvalidArgument(f"{error}{hint}") from error
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
        raw = error.__cause__
        told = (raw.details() if isinstance(raw, grpc.Call) else None) or error.message
        cause = told.removesuffix(": OK").rpartition(": ")[2].rstrip("]")
        return (
            f"no server answers at {target} ({cause}); "
            "start one with `itemlens serve`, or give its address with --target; "
            f"`itemlens doctor --target {target}` says why"
        )
    if isinstance(error, itemlens.Unauthenticated):
        return f"{error}; here: set {CLIENT_PREFIX}KEY"
    return str(error)
