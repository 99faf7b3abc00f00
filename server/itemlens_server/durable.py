"""Puts a folder in its place so that a crash or loss of power leaves the old or the new one, whole."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# What a kernel or file system says that cannot exchange two folders.
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EXDEV)


@contextmanager
def work_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder in `parent`, to be filled and published. Removed at the end, published or not.

    It is locked meanwhile: `remove_leftovers`, which is called here too, takes only those whose process has ended.
    """
    remove_leftovers(parent, [prefix])
    while True:
        work = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        descriptor = os.open(work, os.O_RDONLY)
        with suppress(
            OSError
        ):  # a network file system may know no locks; nothing is taken for a leftover there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if work.exists():
            break
        os.close(descriptor)  # taken for a leftover before it was locked
    try:
        work.chmod(0o755)  # mkdtemp made it for this user alone, and a server is often another
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(descriptor)


def remove_leftovers(parent: Path, prefixes: Sequence[str]) -> None:
    """Remove work folders that a killed process left in `parent`, and finish what it was publishing.

    What cannot be removed, say from a read-only file system, stays.
    """
    for work in [path for prefix in prefixes for path in parent.glob(f"{prefix}*")]:
        with suppress(OSError):  # in use, or not ours
            descriptor = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(work, ignore_errors=True)
            finally:
                os.close(descriptor)
    for aside in parent.glob(".*.old"):
        target = parent / aside.name.removeprefix(".").removesuffix(".old")
        with suppress(OSError):
            if target.exists():
                shutil.rmtree(aside)
            else:
                aside.rename(target)


def publish(work: Path, target: Path) -> None:
    """Move the folder `work` to `target`, in the same file system, with all its contents on disk first.

    What is at `target` is exchanged for it in one step and then deleted. Where the file system cannot do that, it is
    moved aside before, to `.TARGET.old`, from where `remove_leftovers` puts it back after a crash.
    """
    for folder, _, files in os.walk(work):
        for name in files:
            _sync(Path(folder) / name)
        _sync(Path(folder))
    if not target.exists():
        work.rename(target)
    elif _exchange(work, target):
        shutil.rmtree(work, ignore_errors=True)
    else:
        _replace(work, target)
    _sync(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where that is not supported."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):  # not Linux
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_SUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _replace(work: Path, target: Path) -> None:
    """Move `target` aside and `work` in its place; if that fails, `target` is put back."""
    aside = target.with_name(f".{target.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    target.rename(aside)
    try:
        work.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
