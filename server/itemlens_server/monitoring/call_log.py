"""The call log: a JSON line for each call that failed or was slow, and for a share of all others."""

from __future__ import annotations

import json
import logging
import queue
import random
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from itemlens_server.config import Settings
from itemlens_server.errors import FailedPrecondition
from itemlens_server.observer import FinishedBatch, FinishedCall

log = logging.getLogger(__name__)

STANDARD_ERROR = "stderr"
# Lines a second, beyond which they are counted instead: a storm of refusals must not fill the disk.
MOST_LINES = 200
# Lines that wait for a slow disk. Further ones are counted, too.
MOST_WAITING = 10_000
_MESSAGE_CHARACTERS, _CALLER_CHARACTERS = 300, 100
# Ends that are the caller's doing or a limit: failures all the same.
_GOOD = "OK"


class CallLog:
    """An Observer that writes lines, in a thread of its own, so that no call waits for the disk."""

    def __init__(self, settings: Settings) -> None:
        """Uses `call_log`: "stderr", or a file, which is opened again when it was moved away; and, at each call,
        `call_log_slow_seconds` and `call_log_share`.

        Raises:
            FailedPrecondition: the file cannot be opened.
        """
        self._settings, where = settings, settings.call_log
        self._path = None if where == STANDARD_ERROR else Path(where)
        self._waiting: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._second, self._lines, self._left_out = 0, 0, 0
        if self._path is not None:
            try:
                self._path.open("a").close()
            except OSError as error:
                raise FailedPrecondition(f"call_log {where} cannot be written: {error.strerror}") from error
        self._thread = threading.Thread(target=self._write, name="call-log", daemon=True)
        self._thread.start()

    def call_started(self, method: str) -> None:
        """See Observer."""

    def batch_run(self, batch: FinishedBatch) -> None:
        """See Observer."""

    def call_finished(self, call: FinishedCall) -> None:
        """See Observer."""
        slow = call.seconds >= self._settings.call_log_slow_seconds
        if call.code != _GOOD or slow or random.random() < self._settings.call_log_share:
            self._put(lambda: _line(call, slow))

    def close(self) -> None:
        """Write what waits."""
        self._waiting.put(None)
        self._thread.join(5.0)

    def _put(self, line: Callable[[], str]) -> None:
        left_out = 0
        with self._lock:
            now = int(time.monotonic())
            if now != self._second:
                self._second, self._lines = now, 0
                left_out, self._left_out = self._left_out, 0
            self._lines += 1
            if self._lines > MOST_LINES:
                self._left_out += 1
                return
        try:
            if left_out:
                self._waiting.put_nowait(_json({"time": _now(), "left_out": left_out}))
            self._waiting.put_nowait(line())
        except queue.Full:
            with self._lock:
                self._left_out += 1

    def _write(self) -> None:
        while (line := self._waiting.get()) is not None:
            lines = [line]
            ended = False
            while not self._waiting.empty():
                more = self._waiting.get_nowait()
                if more is None:
                    ended = True
                    break
                lines.append(more)
            try:
                self._out("".join(f"{one}\n" for one in lines))
            except OSError as error:
                log.error("the call log cannot be written: %s; %d lines are lost", error, len(lines))
            if ended:
                return

    def _out(self, text: str) -> None:
        if self._path is None:
            _flushed(sys.stderr, text)
        else:  # opened each time, so that it can be moved away
            with self._path.open("a", encoding="utf-8") as stream:
                _flushed(stream, text)


def _flushed(stream: IO[str], text: str) -> None:
    stream.write(text)
    stream.flush()


def _line(call: FinishedCall, slow: bool) -> str:
    value: dict[str, Any] = {
        "time": _now(),
        "id": call.request_id,
        "caller": call.caller[:_CALLER_CHARACTERS],
        "method": call.method.rpartition("/")[2],
        "code": call.code,
        "ms": _ms(call.seconds),
        "stages": {name: _ms(stage.seconds) for name, stage in call.stages.items()},
        "request_bytes": call.request_bytes,
        "response_bytes": call.response_bytes,
        "entries": call.entries,
        "collection": call.collection[:_CALLER_CHARACTERS],
        "message": call.message[:_MESSAGE_CHARACTERS],
        "slow": slow,
    }
    return _json({name: item for name, item in value.items() if item not in ("", {}, False)})


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)
