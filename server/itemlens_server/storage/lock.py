"""The lock of a data folder: one process at a time writes to it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from itemlens_server.errors import FailedPrecondition

FILE = "lock"


def hold(directory: Path) -> IO[str]:
    """Lock a folder until the returned file is closed.

    Raises:
        FailedPrecondition: another process holds it.
        OSError: the folder cannot be written to.
    """
    # A new file can be read by this user only.
    lock = os.fdopen(os.open(directory / FILE, os.O_RDWR | os.O_CREAT, 0o600), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise FailedPrecondition(
            f"another server uses {directory}; stop it or give --data another folder"
        ) from error
    return lock
