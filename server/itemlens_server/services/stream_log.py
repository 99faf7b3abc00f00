"""The lag of the streams of events in the log."""

from __future__ import annotations

import logging
import time

from itemlens_server.errors import quoted
from itemlens_server.storage.streams import StreamStep

log = logging.getLogger(__name__)
SECONDS = 60.0
MOST_STREAMS = 1000


class StreamLog:
    """Logs how far a stream is, at its first step and then at most once a minute."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], float] = {}

    def moved(self, collection: str, step: StreamStep) -> None:
        """A stream has made a step."""
        key, now = (collection, step.stream), time.monotonic()
        if now - self._said.get(key, -SECONDS) < SECONDS:
            return
        if len(self._said) >= MOST_STREAMS:
            self._said.clear()
        self._said[key] = now
        log.info("stream %s of collection %s: lag %d", quoted(step.stream), collection, step.lag)
