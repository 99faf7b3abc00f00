"""Space on the disk that is kept for deletions: SQLite cannot even delete where the disk is full to the last byte."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# What the log holds, once to be copied into the file and once for the deletion and the first slices after it.
RESERVE_BYTES = 12 << 20
# It is taken only where as much is free beside it.
MARGIN = 2


class Reserve:
    """A file of blocks that hold nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self) -> None:
        """Take the space, unless it is taken already or the disk is too full."""
        with suppress(OSError):  # on a file system that cannot do this there is no reserve
            disk = os.statvfs(self._path.parent)
            if self._size() or disk.f_bavail * disk.f_frsize < MARGIN * RESERVE_BYTES:
                return
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(file, 0, RESERVE_BYTES)
            finally:
                os.close(file)

    def release(self) -> bool:
        """Give the space back for use; whether there was any."""
        if not self._size():
            return False
        self._path.unlink(missing_ok=True)
        return True

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0
