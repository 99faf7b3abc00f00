"""Tables of many items, computed in a process of its own at a lower priority.

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

# Tables of fewer items take less than the start of a process.
WORTH_A_PROCESS = 1_000
# With the lowest priority, 19, a server that is never idle would wait for minutes.
NICENESS = 5
LOOK_SECONDS = 0.2
# Where the system lets pipes be so large: with 64 KiB the processes wait for each other.
PIPE_BYTES = 1 << 20
WORKER = "itemlens_server.fusion.tables_worker"
_LENGTH_BYTES = 8


def compute(
    items: int,
    counted: Callable[[], Counted],
    rules: TableRules,
    provenance: Provenance,
    *,
    urgent: bool = False,
) -> Tables:
    """Return `Tables.of` what `counted` returns. items: about how many these are. urgent: with the priority of calls.

    Raises:
        RuntimeError: the process ended, say for want of memory.
    """
    if items < WORTH_A_PROCESS:
        return Tables.of(counted(), rules, provenance)
    # Without the working folder among the folders of modules (-P). In a process group of its own, so that Ctrl-C
    # reaches only the server, but in its session: Linux may weigh sessions alike, whatever the niceness in them.
    command = [sys.executable, "-P", "-m", WORKER, str(0 if urgent else NICENESS)]
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        ) as process:
            assert process.stdin is not None and isinstance(process.stdout, BufferedReader)
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError, AttributeError):  # no right to it, or no such system
                    fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            try:
                # The counts are copied while the process starts, and the copy is not kept once it was sent.
                _write(process.stdin, (counted(), rules, provenance))
                process.stdin.close()
                tables: Tables = _read(process.stdout)
            except (BrokenPipeError, EOFError):  # it has ended, or will
                raise
            except BaseException:
                process.kill()
                raise
    except (BrokenPipeError, EOFError) as error:
        raise RuntimeError(f"the process that computes tables ended with {process.returncode}") from error
    return tables


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
    """Be the process, which ends when the server does."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    _write(result, Tables.of(*_read(source)))
