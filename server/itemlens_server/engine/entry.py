"""Inputs of a batcher, and their entries in its queue."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.pending import Pending
from itemlens_server.engine.queue import QueueEntry

Value = TypeVar("Value")
Output = TypeVar("Output")


@dataclass(frozen=True, slots=True)
class Input(Generic[Value]):
    """An input to run. Only inputs of one `group` share a batch. Inputs with equal keys that wait or run at the same
    time are run once."""

    value: Value
    tokens: int = 1
    group: Hashable = None
    key: Hashable | None = None


class Entry(QueueEntry, Generic[Value, Output]):
    """An input in the queue, and the receivers of its output: calls, each with its Pending and the position in it."""

    __slots__ = ("key", "queued_at", "running", "value", "waiting")

    def __init__(self, given: Input[Value], call: CallContext) -> None:
        super().__init__(given.tokens, given.group, call.priority, call.caller.name)
        self.value = given.value
        self.key = None if given.key is None else (given.group, given.key)
        self.waiting: list[tuple[CallContext, Pending[Output], int]] = []
        self.queued_at = time.monotonic()
        self.running = False

    def wanted(self) -> bool:
        """Return whether any call still waits for it."""
        return any(not call.over() for call, _, _ in self.waiting)
