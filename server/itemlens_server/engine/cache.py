"""Cache of vectors."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")

# Memory of an entry besides its numbers: key, dict entry, array header.
OVERHEAD_BYTES = 300


class LruCache(Generic[Value]):
    """The most recently used values that fit in `max_bytes`. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable) -> Value | None:
        """Return the value of `key`, or None. Count a hit or a miss."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                self.misses += 1
                return None
            self.hits += 1
            self._entries.move_to_end(key)
            return entry[0]

    def drop(self, key: Hashable) -> None:
        """Remove the value of `key`, if there is one."""
        with self._lock:
            _, size = self._entries.pop(key, (None, 0))
            self.bytes -= size

    def drop_where(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Remove the values of all keys that are unwanted."""
        with self._lock:
            for key in [key for key in self._entries if unwanted(key)]:
                self.bytes -= self._entries.pop(key)[1]

    def put(self, key: Hashable, value: Value, size: int) -> None:
        """Keep `value`, of `size` bytes, and evict the least recently used values."""
        size += OVERHEAD_BYTES
        if size > self._max_bytes:
            return
        with self._lock:
            old = self._entries.pop(key, None)
            self.bytes += size - (old[1] if old else 0)
            self._entries[key] = (value, size)
            while self.bytes > self._max_bytes:
                _, (_, freed) = self._entries.popitem(last=False)
                self.bytes -= freed
