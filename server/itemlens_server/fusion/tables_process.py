"""Tables of many items, computed in a process of their own at a lower priority.

In the server's process, the threads of the linear algebra library would compete for processors with those that answer
calls, and the rest of the work would hold the interpreter's lock.

What travels both ways is a pickle, whose arrays follow as they are in memory (PEP 574).
"""

from __future__ import annotations

import fcntl
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader
from typing import IO, Any

import numpy as np

from itemlens_server.fusion.counts.counted import Counted
from itemlens_server.fusion.tables import Provenance, Tables
from itemlens_server.fusion.weights import TableRules

# Tables of fewer items take less than a process costs.
WORTH_A_PROCESS = 1_000
# With the lowest priority, 19, a server that is never idle would wait for minutes.
NICENESS = 10
LOOK_SECONDS = 0.2
# Where the system lets pipes be so large: with 64 KiB the processes wait for each other.
PIPE_BYTES = 1 << 20
WORKER = "itemlens_server.fusion.tables_worker"
_LENGTH_BYTES = 8


class TablesProcess:
    """A process that computes tables, one after the other. It starts with the first ones and stays: its imports take
    most of a second. Thread-safe: who comes while tables are computed waits."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._computing = threading.Lock()
        self._closed = False

    def compute(
        self, items: int, counted: Callable[[], Counted], rules: TableRules, provenance: Provenance
    ) -> Tables:
        """Return `Tables.of` what `counted` returns. items: about how many these are.

        Raises:
            RuntimeError: the process ended, say for want of memory. The next call starts another one.
        """
        if items < WORTH_A_PROCESS:
            return Tables.of(counted(), rules, provenance)
        with self._computing:
            try:
                process = self._started()
                assert process.stdin is not None and isinstance(process.stdout, BufferedReader)
                # The counts are copied while the process starts, and the copy is not kept once it was sent.
                _write(process.stdin, (counted(), rules, provenance))
                tables: Tables = _read(process.stdout)
            except (BrokenPipeError, EOFError) as error:
                raise RuntimeError(f"the process that computes tables ended with {self._end()}") from error
            except BaseException:
                # What it has read or written in part would be taken for the next counts or tables.
                self._end(kill=True)
                raise
            finally:
                if self._closed:
                    self._end()
        return tables

    def close(self) -> None:
        """End the process: at once, or after the tables that it is computing."""
        self._closed = True
        if self._computing.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._computing.release()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        # Without the working folder among the folders of modules (-P). In a process group of its own, so that Ctrl-C
        # reaches only the server, but in its session: Linux may weigh sessions alike, whatever the niceness in them.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", WORKER, str(NICENESS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError, AttributeError):  # no right to it, or no such system
                assert pipe is not None
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return self._process

    def _end(self, kill: bool = False) -> int:
        """End the process, if there is one, and return its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        if kill:
            process.kill()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # bytes that it did not read
                assert pipe is not None
                pipe.close()
        return process.wait()


def _write(stream: IO[bytes], value: object) -> None:
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    raw = [buffer.raw() for buffer in buffers]
    for size in (len(raw), *(part.nbytes for part in raw), len(head)):
        stream.write(size.to_bytes(_LENGTH_BYTES))
    for part in raw:
        stream.write(part)
    stream.write(head)
    stream.flush()


def _read(stream: BufferedReader) -> Any:
    sizes = [_number(stream) for _ in range(_number(stream) + 1)]
    *buffers, head = [_filled(stream, size) for size in sizes]
    return pickle.loads(head, buffers=buffers)


def _number(stream: BufferedReader) -> int:
    return int.from_bytes(_filled(stream, _LENGTH_BYTES))


def _filled(stream: BufferedReader, size: int) -> memoryview:
    """Read bytes into memory, which may be written to.

    Raises:
        EOFError: the stream ends before.
    """
    memory = np.empty(size, np.uint8).data
    rest = memory
    while rest:
        read = stream.readinto(rest)
        if not read:
            raise EOFError
        rest = rest[read:]
    return memory


def _end_with(server: int) -> None:
    """End this process when the one that started it is gone, however that ended."""
    while os.getppid() == server:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


def serve(source: BufferedReader, result: IO[bytes]) -> None:
    """Be the process, which ends with its input or when the server does."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with suppress(EOFError):
        while True:
            _write(result, Tables.of(*_read(source)))
