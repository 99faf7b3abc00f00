"""The histories of the latest users, summed up, so that a list does not read thousands of events again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from itemlens_server.engine.cache import LruCache
from itemlens_server.fusion.taken import Taken

# Memory of an item of a past (id and four numbers), and of an id in a set.
PAST_BYTES, SEEN_BYTES = 180, 110


@dataclass(eq=False)
class _Reading:
    """A history during its reading. changed: events of the user were written meanwhile."""

    changed: bool = False


@dataclass
class KnownUsers:
    """Users by collection and id, as many as fit in `max_bytes`. Thread-safe."""

    max_bytes: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reading: dict[tuple[int, str], set[_Reading]] = field(default_factory=dict)
    _deleted: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._known: LruCache[Taken] = LruCache(self.max_bytes)

    def get(self, collection: int, user_id: str, read: Callable[[], Taken]) -> Taken:
        """Return what a user did, from memory or by `read`. What is written before this call is in the result."""
        key = (collection, user_id)
        known = self._known.get(key)
        if known is not None:
            return known
        reading = _Reading()
        with self._lock:
            self._reading.setdefault(key, set()).add(reading)
        taken = None
        try:
            taken = read()
            return taken
        finally:
            with self._lock:  # a write is either seen here, or drops what is kept here
                self._reading[key].discard(reading)
                if not self._reading[key]:
                    del self._reading[key]
                if taken is not None and not reading.changed and collection not in self._deleted:
                    size = PAST_BYTES * len(taken.past) + SEEN_BYTES * (len(taken.seen) + len(taken.disliked))
                    self._known.put(key, taken, size)

    def forget(self, collection: int, user_ids: Iterable[str]) -> None:
        """Drop users of whom events were written or deleted. Call it after the write, before it is acknowledged."""
        with self._lock:
            for user_id in set(user_ids):
                for reading in self._reading.get((collection, user_id), ()):
                    reading.changed = True
                self._known.drop((collection, user_id))

    def forget_all(self, collection: int) -> None:
        """Drop all users of a collection, as after a change of its settings."""
        with self._lock:
            for (number, _), readings in self._reading.items():
                for reading in readings if number == collection else ():
                    reading.changed = True
            self._known.drop_where(lambda key: isinstance(key, tuple) and key[0] == collection)

    def forget_collection(self, collection: int) -> None:
        """Drop all users of a deleted collection, for good: its number is not used again, but calls that began earlier
        may still read what is left of it."""
        with self._lock:
            self._deleted.add(collection)
            self._known.drop_where(lambda key: isinstance(key, tuple) and key[0] == collection)
