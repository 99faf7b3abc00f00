"""A limit on the memory that several threads use together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from itemlens_server.engine.call_context import CallContext


class MemoryBudget:
    """A budget of `max_bytes`, lent in the order of the requests, so that small requests cannot starve a large one.
    Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.lent = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def lend(self, size: int, call: CallContext | None = None) -> Iterator[None]:
        """Wait until `size` bytes are free and take them. A larger `size` than `max_bytes` counts as `max_bytes`.

        Raises:
            DeadlineExceeded, Cancelled: `call` has ended. Nothing was taken.
        """
        size = min(size, self.max_bytes)
        self._take(size, call)
        try:
            yield
        finally:
            with self._changed:
                self.lent -= size
                self._changed.notify_all()

    def _take(self, size: int, call: CallContext | None) -> None:
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(
                    lambda: self._waiting[0] is ticket and self.lent + size <= self.max_bytes
                )
                if call is not None:
                    call.check()
                self.lent += size
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
