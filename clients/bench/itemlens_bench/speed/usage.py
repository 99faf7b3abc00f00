"""What a server takes of the machine: processor time and memory of all its processes, from outside."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Usage:
    """Processor seconds since the start, and resident bytes now."""

    cpu_seconds: float
    rss_bytes: int


def usage(pid: int) -> Usage:
    """Of a process and all that it has started. Memory that they share counts for each of them."""
    cpu, rss = 0.0, 0
    parent = psutil.Process(pid)
    for process in (parent, *parent.children(recursive=True)):
        try:
            with process.oneshot():
                times = process.cpu_times()
                cpu += times.user + times.system
                rss += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return Usage(cpu, rss)


class Watch:
    """Samples a server's usage in the background for as long as the block runs."""

    def __init__(self, pid: int, seconds: float = SAMPLE_SECONDS) -> None:
        self._pid = pid
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.times: list[float] = []
        """Of the samples, in seconds of the monotonic clock."""
        self.samples: list[Usage] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            self.times.append(time.monotonic())
            self.samples.append(usage(self._pid))
            if self._stopped.wait(self._seconds):
                return
