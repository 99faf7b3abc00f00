"""Files that are read again when they change, while a server runs."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from itemlens_server.errors import FailedPrecondition

log = logging.getLogger(__name__)

T = TypeVar("T")
# How often is looked whether files have changed, and how often an error that stays is told again.
LOOK_SECONDS = 1.0
TELL_SECONDS = 300.0

_State: TypeAlias = tuple[tuple[int, ...], ...]


class Followed(Generic[T]):
    """What files have, as they are now. Files that cannot be read, as in the middle of a renewal, leave what was read
    before, and are tried again at each look. Thread-safe, and nobody waits while another thread looks."""

    def __init__(self, paths: Sequence[Path], read: Callable[[], T]) -> None:
        """Read the files.

        Raises:
            FailedPrecondition: `read` raised it.
        """
        self._paths, self._read = list(paths), read
        self._state = self._look()
        self._value = read()
        self._looked = time.monotonic()
        self._told = -TELL_SECONDS
        self._looking = threading.Lock()

    def now(self) -> T:
        """What the files had at most `LOOK_SECONDS` ago."""
        if time.monotonic() - self._looked >= LOOK_SECONDS and self._looking.acquire(blocking=False):
            try:
                self._read_again()
            finally:
                self._looked = time.monotonic()
                self._looking.release()
        return self._value

    def _read_again(self) -> None:
        state = self._look()
        if state == self._state:
            return
        try:
            value = self._read()
        except FailedPrecondition as error:
            if time.monotonic() - self._told >= TELL_SECONDS:
                self._told = time.monotonic()
                log.error("%s; what was read before stays", error.message)
            return
        if self._look() != state:
            return  # it is being written: what was read may be half of it
        self._value, self._state, self._told = value, state, -TELL_SECONDS
        log.info("read %s again", ", ".join(map(str, self._paths)))

    def _look(self) -> _State:
        """What changes with the files. Links are followed: Kubernetes replaces links."""
        found: list[tuple[int, ...]] = []
        for path in self._paths:
            try:
                s = os.stat(path)
                found.append((s.st_ino, s.st_mtime_ns, s.st_ctime_ns, s.st_size))
            except OSError:
                found.append(())
        return tuple(found)
