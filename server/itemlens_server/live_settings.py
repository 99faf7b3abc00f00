"""Settings that count while a server runs: limits, the call log and the log level follow the file of settings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from itemlens_server.config import LIVE, Settings
from itemlens_server.errors import FailedPrecondition, ItemlensError
from itemlens_server.followed import LOOK_SECONDS, Followed

log = logging.getLogger("itemlens")


class LiveSettings:
    """Follows a file of settings. A change of a live setting counts within a second, in calls that begin afterwards."""

    def __init__(self, settings: Settings, file: Path, read: Callable[[], Settings]) -> None:
        """settings: those that the server's parts hold; they are changed in place. read: reads the file, the
        environment and the flags again."""
        self._settings = settings

        def checked() -> Settings:
            try:
                return read()
            except ItemlensError as error:
                raise FailedPrecondition(error.message) from error

        self._followed = Followed([file], checked)
        self._seen = self._followed.now()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="settings", daemon=True)

    def start(self) -> None:
        """Look every second, in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception:  # later changes are to count all the same
                log.exception("the file of settings was not followed")

    def look(self) -> None:
        """Take over what has changed. A file with an error changes nothing, and the log says so."""
        found = self._followed.now()
        if found is self._seen:
            return
        changed = [
            name for name in Settings.model_fields if getattr(found, name) != getattr(self._seen, name)
        ]
        self._seen = found
        live = [name for name in changed if name in LIVE]
        before = {name: getattr(self._settings, name) for name in live}
        self._settings.take_over(found, live)
        if "log_level" in live:
            logging.getLogger().setLevel(self._settings.log_level.upper())
        for name in changed:
            if name in live:
                log.info("%s: %s -> %s", name, before[name], getattr(found, name))
            else:
                log.warning("%s has changed in the file; it counts after a restart", name)
