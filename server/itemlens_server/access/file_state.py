"""What tells that a file has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

FileState: TypeAlias = tuple[int, int, int]


def file_state(path: Path) -> FileState:
    """What changes with a file; zeros if it is not there. A link is followed: Kubernetes replaces links."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size
