"""Folders of files that are derived from the store: each can be deleted, and is made again."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path


class DerivedFolder:
    """The derived files of one collection.

    Once it is deleted nothing is written to it: what was being built then must not bring it back.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._deleted = False
        self._using = threading.Lock()

    def write(self, write: Callable[[Path], None]) -> None:
        """Call `write` with the folder, which is there as long as that takes; not if it was deleted before."""
        with self._using:
            if not self._deleted:
                self.path.mkdir(parents=True, exist_ok=True)
                write(self.path)

    def delete(self) -> None:
        """Delete the folder for good."""
        with self._using:
            self._deleted = True
            shutil.rmtree(self.path, ignore_errors=True)


def keep_only(folder: Path, names: Collection[str]) -> None:
    """Delete all else in `folder`, such as what a killed process left there. What cannot be deleted stays."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name in names:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
