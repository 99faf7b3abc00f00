"""An object that lives in a separate process and is called like a local object."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

Object = TypeVar("Object")
Answer = TypeVar("Answer")
SPAWN = multiprocessing.get_context("spawn")  # a fork would copy gRPC's state without its threads


class RemoteFailed(RuntimeError):
    """The object's process failed; the message is that of its error."""


class Remote(Generic[Object]):
    """The process of an object. Leaving the block ends it."""

    def __init__(self, make: Callable[[], Object]) -> None:
        """`make`: makes the object in its process. It is pickled, as are calls and answers."""
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_work, args=(theirs, make), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        self.finish()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._process.terminate()
        self._pipe.close()
        self._process.join()

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process.pid is not None
        return self._process.pid

    def call(self, method: Callable[..., Answer], *arguments: Any) -> Answer:
        """Run `method(object, *arguments)` in the process: an unbound method of its class, so that types are checked.

        Raises:
            RemoteFailed: see there.
        """
        self.begin(method, *arguments)
        answer: Answer = self.finish()
        return answer

    def begin(self, method: Callable[..., Any], *arguments: Any) -> None:
        """Start a call; `finish` waits for it."""
        self._pipe.send((method, arguments))

    def finish(self) -> Any:
        """The answer of the call that `begin` started. RemoteFailed: see there."""
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise RemoteFailed("a process of the harness ended; its standard error says why") from None
        if isinstance(answer, RemoteFailed):
            raise answer
        return answer


def _work(pipe: Connection, make: Callable[[], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    try:
        worker = make()
    except Exception as error:
        pipe.send(RemoteFailed(f"{type(error).__name__}: {error}"))
        return
    pipe.send(None)
    while True:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = method(worker, *arguments)
        except Exception as error:
            answer = RemoteFailed(f"{type(error).__name__}: {error}")
        pipe.send(answer)
