"""EASE of many items in a process of its own, at the lowest priority.

In the server's process, the threads of the linear algebra library would compete with those that answer calls.

The process reads one line of JSON and the matrix, and writes one line of JSON and the three arrays of the table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from scipy import sparse

from itemlens_server.fusion import ease
from itemlens_server.fusion.ease import KEPT_PER_ROW, Dense

# Fewer take less than the start of a process.
WORTH_A_PROCESS = 2_000
LOWEST_PRIORITY = 19
_TYPES = {"data": np.float32, "indices": np.int32, "indptr": np.int32}


def of_gram(
    n: int, gram: Callable[[], Dense], regularisation: float, kept: int = KEPT_PER_ROW
) -> sparse.csr_matrix:
    """Return `ease.of_gram` of the matrix [n, n] that `gram` makes, which is done while the process starts.

    Raises:
        ValueError: lambda is too small for the Gram matrix.
        RuntimeError: the process ended, say for want of memory.
    """
    if n < WORTH_A_PROCESS:
        return ease.of_gram(gram(), regularisation, kept)
    # In a session of its own: Ctrl-C reaches only the server, which then waits for the process.
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            header = {"n": n, "regularisation": regularisation, "kept": kept}
            process.stdin.write(json.dumps(header).encode() + b"\n")
            process.stdin.write(_bytes(gram().T))
            process.stdin.close()
            return _read_table(process.stdout, n)
        except (BrokenPipeError, EOFError) as error:
            raise RuntimeError(f"the process that computes BEHAVIOUR ended with {process.wait()}") from error
        except BaseException:
            process.kill()
            raise


def _read_table(stream: IO[bytes], n: int) -> sparse.csr_matrix:
    line = stream.readline()
    if not line:
        raise EOFError
    header = json.loads(line)
    if "error" in header:
        raise ValueError(header["error"])
    arrays = [_read(stream, dtype, header[name]) for name, dtype in _TYPES.items()]
    return sparse.csr_matrix(tuple(arrays), (n, n))


def _read(stream: IO[bytes], dtype: type[Any], length: int) -> np.ndarray[Any, Any]:
    values = np.empty(length, dtype)
    target = _bytes(values)
    while len(target):
        count = stream.readinto(target)  # type: ignore[attr-defined]  # a BufferedReader
        if not count:
            raise EOFError
        target = target[count:]
    return values


def _bytes(values: np.ndarray[Any, Any]) -> memoryview:
    """Return the memory of a contiguous array."""
    return values.reshape(-1).view(np.uint8).data


def main(source: IO[bytes], result: IO[bytes]) -> None:
    """Be the process."""
    os.nice(LOWEST_PRIORITY)
    header = json.loads(source.readline())
    n = header["n"]
    gram = _read(source, np.float32, n * n).reshape(n, n).T
    try:
        table = ease.of_gram(gram, header["regularisation"], header["kept"])
    except ValueError as error:
        result.write(json.dumps({"error": str(error)}).encode() + b"\n")
        return
    arrays = {name: np.ascontiguousarray(getattr(table, name), dtype) for name, dtype in _TYPES.items()}
    result.write(json.dumps({name: len(array) for name, array in arrays.items()}).encode() + b"\n")
    for array in arrays.values():
        result.write(_bytes(array))


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
