"""The stages of a call: how long it prepared inputs, waited in the queue, ran, searched, scored and stored.

The code that does the work names its stage (`with stage("search"):`). Which call that is for is known from the context
of the thread, so nothing is handed down for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Stage:
    """began, ended: of the first and the last time, on the monotonic clock. seconds: in which it went on."""

    began: float
    ended: float
    seconds: float


class Stages:
    """The stages of one call, by name, in the order in which they began. Thread-safe."""

    def __init__(self) -> None:
        self._stages: dict[str, Stage] = {}
        self._lock = threading.Lock()

    def add(self, name: str, began: float, ended: float) -> None:
        """Add a time. What overlaps an earlier one of the same name counts once."""
        with self._lock:
            known = self._stages.get(name)
            if known is None:
                self._stages[name] = Stage(began, ended, ended - began)
            else:
                known.seconds += max(0.0, ended - max(began, known.ended))
                known.began, known.ended = min(began, known.began), max(ended, known.ended)

    def all(self) -> dict[str, Stage]:
        """The stages by name."""
        with self._lock:
            return dict(self._stages)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """What this thread does in the block is for this call."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[Stages | None] = ContextVar("stages", default=None)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time a block as a stage of the call that this thread works for, if there is one."""
    stages = _current.get()
    if stages is None:
        yield
        return
    began = time.monotonic()
    try:
        yield
    finally:
        stages.add(name, began, time.monotonic())
