"""Threads for work that cannot be interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.pending import Pending
from itemlens_server.errors import Cancelled

Value = TypeVar("Value")
Result = TypeVar("Result")


class Workers:
    """Threads that delay neither a cancelled call nor the exit of the process.

    This is not a concurrent.futures.ThreadPoolExecutor, because Python joins its threads before it exits.
    """

    def __init__(self, count: int, name: str) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._count = count
        for n in range(count):
            threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True).start()

    def map(
        self, function: Callable[[Value], Result], values: Sequence[Value], call: CallContext
    ) -> list[Result]:
        """Return the results of `function` for all values, in order. When the call ends, no further value is started.

        Raises:
            DeadlineExceeded, Cancelled: the call has ended. Running functions continue in the background.
            Exception: an exception from `function`.
        """
        pending: Pending[tuple[Result]] = Pending(len(values), call)
        for number, value in enumerate(values):
            self._tasks.put(partial(self._run, pending, number, function, value, call))
        return [result for (result,) in pending.results()]

    def close(self) -> None:
        """Start no further work, and raise Cancelled in waiting callers. Running work is not waited for."""
        self._closed = True
        for _ in range(self._count):
            self._tasks.put(None)

    def _run(
        self,
        pending: Pending[tuple[Result]],
        number: int,
        function: Callable[[Value], Result],
        value: Value,
        call: CallContext,
    ) -> None:
        output: tuple[Result] | Exception
        try:
            if self._closed:
                raise Cancelled("the server stops")
            call.check()
            output = (function(value),)
        except Exception as error:
            output = error
        with self._lock:
            pending.put(number, output)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
