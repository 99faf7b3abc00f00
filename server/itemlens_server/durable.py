"""Publish a file or a folder atomically: a crash or loss of power leaves either the old or the new one, complete."""

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
from typing import IO

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# The end of a folder's name while another takes its place. Unmistakable, because folders with it are deleted.
_REPLACED = ".itemlens-replaced"
# Errors of a kernel or file system that cannot exchange two folders.
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EXDEV)


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to be written. At the end it is on disk and takes the place of `path`. After an error nothing of it
    is left, and `path` is as it was."""
    # The name is unique, because two threads or processes may write the same file. Its folder is tidied after a crash.
    descriptor, work = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(work, path)
    except BaseException:
        Path(work).unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def work_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Create a folder in `parent`, to be filled and published. It is removed at the end in any case.

    The folder is locked meanwhile, so that `remove_leftovers`, which is called here too, removes only the folders of
    ended processes.
    """
    remove_leftovers(parent, [prefix])
    while True:
        work = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        descriptor = os.open(work, os.O_RDONLY)
        with suppress(OSError):  # a network file system may lack locks; leftovers are not removed there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if work.exists():
            break
        os.close(descriptor)  # another process removed the folder as a leftover before it was locked
    try:
        work.chmod(0o755)  # mkdtemp creates it for this user only, but a server often runs as another user
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(descriptor)


def remove_leftovers(parent: Path, prefixes: Sequence[str]) -> None:
    """Remove work folders of killed processes from `parent`, and complete their publications.

    Folders that cannot be removed, for example on a read-only file system, stay.
    """
    for work in [path for prefix in prefixes for path in parent.glob(f"{prefix}*")]:
        with suppress(OSError):  # in use, or of another user
            descriptor = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(work, ignore_errors=True)
            finally:
                os.close(descriptor)
    for aside in parent.glob(f".*{_REPLACED}"):
        target = parent / aside.name.removeprefix(".").removesuffix(_REPLACED)
        with suppress(OSError):
            if target.exists():
                shutil.rmtree(aside)
            else:
                aside.rename(target)


def publish(work: Path, target: Path) -> None:
    """Move the folder `work` to `target`, in the same file system, after all its contents are on disk.

    An existing `target` is exchanged with it atomically and then deleted. On a file system that cannot exchange, it is
    first moved aside, from where `remove_leftovers` restores it after a crash.
    """
    for folder, _, files in os.walk(work):
        for name in files:
            sync(Path(folder) / name)
        sync(Path(folder))
    if not target.exists():
        work.rename(target)
    elif _exchange(work, target):
        shutil.rmtree(work, ignore_errors=True)
    else:
        _replace(work, target)
    sync(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders atomically. False if that is not supported."""
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
    """Move `target` aside and `work` in its place. If that fails, restore `target`."""
    aside = target.with_name(f".{target.name}{_REPLACED}")
    shutil.rmtree(aside, ignore_errors=True)
    target.rename(aside)
    try:
        work.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def sync(path: Path) -> None:
    """Let the disk have a file or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
