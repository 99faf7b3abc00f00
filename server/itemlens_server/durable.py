"""Puts a folder in its place so that a crash or loss of power leaves the old or the new one, whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def publish(work: Path, target: Path) -> None:
    """Move the folder `work` to `target`, in the same file system, with all its contents on disk first.

    A folder that is at `target` is moved aside before and deleted after; if the move fails it is put back.
    """
    for folder, _, files in os.walk(work):
        for name in files:
            _sync(Path(folder) / name)
        _sync(Path(folder))
    aside = target.with_name(f".{target.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if target.exists():
        target.rename(aside)
    try:
        work.rename(target)
    except BaseException:
        if aside.exists():
            aside.rename(target)
        raise
    _sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
