"""The file of keys: JSON, which `itemlens keys` writes and a running server reads again when it changes."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from itemlens_server.access.keys import Key
from itemlens_server.durable import new_file
from itemlens_server.errors import FailedPrecondition
from itemlens_server.followed import Followed

log = logging.getLogger(__name__)


def followed(path: Path) -> Followed[Mapping[str, Key]]:
    """Return the keys of a file by their ids, as they are now. A file that is gone leaves those that were read before;
    an entry that is damaged later lets nobody in, and the others count.

    Raises:
        FailedPrecondition: as `read`.
    """
    first = True

    def keys() -> Mapping[str, Key]:
        nonlocal first
        strict, first = first, False
        return read(path, strict)

    return Followed([path], keys)


def read(path: Path, strict: bool = True) -> dict[str, Key]:
    """Return the keys of a file by their ids. strict: else entries that are no keys are left out, with a line in the
    log.

    Raises:
        FailedPrecondition: it cannot be read, or is no file of keys; the message says why.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise FailedPrecondition(
            f"cannot read the keys in {path}: {reason}; `itemlens keys create` makes the file"
        ) from error
    try:
        value = json.loads(text)
        if not isinstance(value, dict) or not isinstance(value.get("keys"), list):
            raise ValueError('it is not an object with a list "keys"')
        keys: dict[str, Key] = {}
        for number, entry in enumerate(value["keys"]):
            try:
                key = Key.read(entry)
                if key.id in keys:
                    raise ValueError(f"its id {key.id!r:.50} is there twice")
            except ValueError as error:
                if strict:
                    raise ValueError(f"keys[{number}]: {error}") from error
                log.error("%s: keys[%d] lets nobody in: %s", path, number, error)
                continue
            keys[key.id] = key
    except (ValueError, RecursionError) as error:
        raise FailedPrecondition(f"{path} is not a file of keys: {error}") from error
    return keys


def change(path: Path, changed: Callable[[dict[str, Key]], Mapping[str, Key]]) -> None:
    """Write what `changed` makes of a file's keys; a file that is not there has none. Changes wait for each other.

    Raises:
        FailedPrecondition: the file cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not the file itself, which is replaced.
        with (path.parent / f".{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = path.stat() if path.exists() else None
            keys = changed({} if before is None else read(path))
            value = {"keys": [key.as_json() for key in keys.values()]}
            with new_file(path) as stream:
                stream.write((json.dumps(value, indent=1) + "\n").encode())
                if before is not None:  # the server that reads it may be another user
                    os.fchmod(stream.fileno(), before.st_mode & 0o777)
                    with suppress(PermissionError):
                        os.fchown(stream.fileno(), before.st_uid, before.st_gid)
    except OSError as error:
        raise FailedPrecondition(f"cannot write the keys in {path}: {error.strerror}") from error
