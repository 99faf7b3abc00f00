"""Targets of measurements: a server that turns texts into vectors, and how a load process calls it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]


class Refused(Exception):
    """The server refused the call since it is overloaded."""


class CallFailed(Exception):
    """The call failed in another way; the message says how."""


class Caller(Protocol):
    """Calls one server from one load process, inside one event loop."""

    async def __aenter__(self) -> Self:
        """Connect."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""

    def pack(self, texts: Sequence[str]) -> Any:
        """A request for the vectors of `texts`, ready to be sent. It is made before the clock starts."""

    async def send(self, request: Any) -> Any:
        """Send a request and wait for the whole reply, which is not decoded.

        Raises:
            Refused, CallFailed: see there.
        """

    def unpack(self, reply: Any) -> Array:
        """The vectors of a reply, float32 [texts, dimension], to check that all targets compute the same."""


@dataclass(frozen=True)
class Target:
    """A server that can be started and called.

    name:   for tables, with the kind of graph ("PyTriton, fp32").
    start:  starts the server on this port of localhost; returns once it answers.
    caller: makes a load process's caller, given "localhost:PORT". It is pickled, so it must be a class or function
            that can be imported, or a partial of it.
    polls:  the server uses the processor while it is idle, so it is stopped during the turns of others.
    """

    name: str
    start: Callable[[int], subprocess.Popen[bytes]]
    caller: Callable[[str], Caller]
    polls: bool = False
