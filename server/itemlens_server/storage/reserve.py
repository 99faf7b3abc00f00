"""Disk space reserved for deletions: SQLite cannot even delete on a completely full disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# Room for the write-ahead log twice: to copy it into the file, and for the deletion and its first slices.
RESERVE_BYTES = 12 << 20
# The reserve is taken only if the free space is at least this multiple of it.
MARGIN = 2


class Reserve:
    """A file of allocated but unused blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self) -> None:
        """Allocate the space, unless it is already allocated or the disk is too full."""
        with suppress(OSError):  # some file systems do not support this
            disk = os.statvfs(self._path.parent)
            if self._size() or disk.f_bavail * disk.f_frsize < MARGIN * RESERVE_BYTES:
                return
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(file, 0, RESERVE_BYTES)
            finally:
                os.close(file)

    def release(self) -> bool:
        """Release the space. Return whether there was any."""
        if not self._size():
            return False
        self._path.unlink(missing_ok=True)
        return True

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:  # another thread may release it at any time
            return 0
