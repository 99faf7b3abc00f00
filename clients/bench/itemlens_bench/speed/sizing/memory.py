"""The memory of a server with its child processes, and of its highest moment."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

SAMPLE_SECONDS = 0.1


def memory(pid: int) -> int:
    """Bytes of a server and all its descendants, whatever else runs on the machine: what each has for itself, and the
    files that it has mapped, such as libraries, which children share."""
    own, files = 0, 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            anonymous, mapped = _resident(process.pid)
            own, files = own + anonymous, max(files, mapped)
    except psutil.NoSuchProcess:
        pass
    return own + files


def _resident(pid: int) -> tuple[int, int]:
    """Resident bytes of a process: anonymous ones and those of files; 0 of a process that has ended."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0, 0
    sizes = {
        name: int(size.split()[0]) << 10
        for name, _, size in (r.partition(":") for r in rollup.splitlines()[1:])
    }
    return sizes["Anonymous"], sizes["Rss"] - sizes["Anonymous"]


def highest(pid: int) -> int:
    """The most resident bytes of a process without its children since it began; 0 of one that has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) << 10 if found else 0


def on_disk(folder: Path) -> int:
    """Bytes that the files of a folder take."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512 if path.is_file() else 0
        except FileNotFoundError:  # a server is writing
            continue
    return total


class Watch:
    """Watches a server and its folder in the background while the block runs: the most of each, by phase."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid, self._folder = pid, folder
        self._phase = "start"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.memory: dict[str, int] = {}
        self.disk: dict[str, int] = {}

    def __enter__(self) -> Self:
        # It began before it was watched.
        self.memory[self._phase] = highest(self._pid)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """What is measured in the block counts for this phase."""
        self._phase = name
        yield
        self._note()

    def _watch(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            self._note()

    def _note(self) -> None:
        phase = self._phase
        self.memory[phase] = max(self.memory.get(phase, 0), memory(self._pid))
        self.disk[phase] = max(self.disk.get(phase, 0), on_disk(self._folder))
