"""Processor time and memory of all processes of a server, measured from outside."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import psutil

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Usage:
    """Processor seconds since the start, and resident bytes now."""

    cpu_seconds: float
    rss_bytes: int


def usage(pid: int) -> Usage:
    """The usage of a process and all its descendants. Shared memory counts for each process."""
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
    """Samples a server's usage in the background while the block runs."""

    def __init__(self, pid: int, seconds: float = SAMPLE_SECONDS) -> None:
        self._pid = pid
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.times: list[float] = []
        """The times of the samples, in seconds of the monotonic clock."""
        self.samples: list[Usage] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._note()

    def cpu_seconds(self, begin: float, end: float) -> float:
        """Processor seconds between two times, interpolated between samples."""
        spent = [sample.cpu_seconds for sample in self.samples]
        at_begin, at_end = np.interp([begin, end], self.times, spent)
        return float(at_end - at_begin)

    def rss_bytes(self, begin: float, end: float) -> list[tuple[float, int]]:
        """(seconds since `begin`, resident bytes) of the samples between two times."""
        samples = zip(self.times, self.samples, strict=True)
        return [(at - begin, sample.rss_bytes) for at, sample in samples if begin <= at <= end]

    def _sample(self) -> None:
        while True:
            self._note()
            if self._stopped.wait(self._seconds):
                return

    def _note(self) -> None:
        sample = usage(self._pid)
        self.times.append(time.monotonic())
        self.samples.append(sample)
