"""Folders of files that are derived from the store. They can be deleted and are then built again."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)


class DerivedFolder:
    """The derived files of one collection.

    Nothing is written after `delete`: a build that still runs then must not create the folder again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._deleted = False
        self._using = threading.Lock()

    def write(self, write: Callable[[Path], None]) -> None:
        """Call `write` with the folder, unless it was deleted. `delete` waits for the call."""
        with self._using:
            if not self._deleted:
                self.path.mkdir(parents=True, exist_ok=True)
                write(self.path)

    def delete(self) -> None:
        """Delete the folder permanently."""
        with self._using:
            self._deleted = True
            shutil.rmtree(self.path, ignore_errors=True)


def remove(path: Path) -> None:
    """Delete a file, if it is there. An error is logged: nothing depends on it, since derived files are used only if
    they match the store."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be deleted: %s", path, error)


def keep_only(folder: Path, names: Collection[str]) -> None:
    """Delete everything in `folder` except `names`, such as leftovers of a killed process. Errors are ignored."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name in names:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
