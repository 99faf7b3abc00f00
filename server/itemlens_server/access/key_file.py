"""The file of keys: JSON, which `itemlens keys` writes and a running server reads again when it changes."""

from __future__ import annotations

import fcntl
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from itemlens_server.access.file_state import file_state
from itemlens_server.access.keys import Key
from itemlens_server.durable import new_file
from itemlens_server.errors import FailedPrecondition

log = logging.getLogger(__name__)

# How often a server looks whether the file has changed.
LOOK_SECONDS = 1.0


def read(path: Path) -> dict[str, Key]:
    """Return the keys of a file by their ids.

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
            except ValueError as error:
                raise ValueError(f"keys[{number}]: {error}") from error
            if key.id in keys:
                raise ValueError(f"keys[{number}]: its id {key.id!r:.50} is there twice")
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
            keys = changed(read(path) if path.exists() else {})
            value = {"keys": [key.as_json() for key in keys.values()]}
            with new_file(path) as stream:
                stream.write((json.dumps(value, indent=1) + "\n").encode())
    except OSError as error:
        raise FailedPrecondition(f"cannot write the keys in {path}: {error.strerror}") from error


class KeyFile:
    """The keys of a file, as they are now. A file that is gone or damaged leaves those that were read before."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            FailedPrecondition: as `read`.
        """
        self._path = path
        self._state = file_state(path)
        self._keys = read(path)
        self._looked = time.monotonic()
        self._lock = threading.Lock()

    def keys(self) -> Mapping[str, Key]:
        """The keys by their ids, at most `LOOK_SECONDS` old."""
        if time.monotonic() - self._looked >= LOOK_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._look_again()
            finally:
                self._looked = time.monotonic()
                self._lock.release()
        return self._keys

    def _look_again(self) -> None:
        state = file_state(self._path)
        if state == self._state:
            return
        self._state = state
        try:
            self._keys = read(self._path)
        except FailedPrecondition as error:
            log.error("%s; the keys that were read before stay", error.message)
        else:
            log.info("%s: %d keys", self._path, len(self._keys))
