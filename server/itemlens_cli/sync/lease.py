"""One sync of a collection at a time, wherever it runs: a stream of the collection says which.

A step in a stream is made only from the position that it names, so of two syncs that begin at once one is refused. The
sync makes steps while it works. One that was killed makes none, and after a while another takes its place.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from itemlens import Client, ItemlensError, StreamPosition
from itemlens_server.errors import FailedPrecondition

STREAM = "itemlens-sync"
SILENCE_SECONDS = 120.0
"""After so long without a step, a sync has ended without saying so."""
STEP_SECONDS = 20.0
_RUNS = "runs "


class Lease:
    """Held within `with`.

    Raises:
        FailedPrecondition: another sync of the collection runs, or has taken this one's place.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._own, self._steps, self._last = secrets.token_hex(8), 0, 0.0
        self._position = ""

    def __enter__(self) -> Self:
        for stream in self._client.list_streams():
            if stream.stream == STREAM:
                self._position = stream.position
                silent = (datetime.now(UTC) - stream.update_time).total_seconds()
                if stream.position.startswith(_RUNS) and silent < SILENCE_SECONDS:
                    raise _refused(
                        f"; if it was killed, this ends {SILENCE_SECONDS - silent:.0f} seconds from now"
                    )
        self._step(f"{_RUNS}{self._own} 0")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._step(f"ended {self._own}")
            return
        try:
            self._step(f"ended {self._own}")
        except Exception as also:
            error.add_note(f"the collection stays reserved for {SILENCE_SECONDS:.0f} seconds: {also}")

    def keep(self) -> None:
        """Say that the sync goes on. To be called often: mostly it only looks at the clock."""
        if time.monotonic() - self._last > STEP_SECONDS:
            self._steps += 1
            self._step(f"{_RUNS}{self._own} {self._steps}")

    def _step(self, position: str) -> None:
        step = StreamPosition(STREAM, position, previous=self._position)
        try:
            self._client.record_events([], stream=step)
        except ItemlensError as error:
            if error.details.reason != "STREAM_MOVED":
                raise
            raise _refused("") from error
        self._position, self._last = position, time.monotonic()


def _refused(more: str) -> FailedPrecondition:
    return FailedPrecondition(f"another sync of this collection runs: wait until it has ended{more}")
