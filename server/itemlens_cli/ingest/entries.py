"""Entries become events, and events become lines. An entry that becomes none is poison: it is rejected, and the stream
goes on."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from itemlens import Event
from itemlens._build import event as message_of
from itemlens_cli.ingest.source import Entry

NAMES = [field.name for field in fields(Event)]
REQUIRED = ("user_id", "item_id", "type")
IDS = tuple(name for name in NAMES if name.endswith("_id"))
NUMBERS = ("quantity", "value")
# Seconds since 1970 of the years 1 to 9999. Larger times are in milliseconds or finer.
DIGITS_OF_DAY = 8
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_800


class Poison(Exception):
    """An entry that is no event. `reason` is stable and machine-readable, `message` says what is wrong."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


def event_of(entry: Entry, stream: str) -> Event:
    """Return the event of an entry. Without an id of its own it gets one from its stream and its place there.

    Raises:
        Poison: the entry is not an event.
    """
    if entry.problem:
        raise Poison(entry.reason, entry.problem)
    given = _object(entry.content)
    for name in given:
        if name not in NAMES:
            near = get_close_matches(name, NAMES, 1)
            hint = f"did you mean {near[0]}?" if near else f"the fields are {', '.join(NAMES)}"
            raise Poison("UNKNOWN_FIELD", f"there is no field {name[:60]!r}; {hint}")
    given = {name: value for name, value in given.items() if value is not None}
    if missing := [name for name in REQUIRED if given.get(name) in (None, "")]:
        raise Poison("MISSING_FIELD", f"{' and '.join(missing)} must be given")
    try:
        event = Event(
            **{"event_id": f"{stream}:{entry.place}", **{n: _value(n, v) for n, v in given.items()}}
        )
        message_of(event)
    except (TypeError, ValueError, OverflowError) as error:
        raise Poison("BAD_FIELD", str(error)) from error
    return event


def line_of(event: Event) -> str:
    """Return the line of JSON, without its end, of which `event_of` makes the same event. What is not given is left
    out."""
    given = {name: value for name in NAMES if (value := getattr(event, name)) not in (None, "")}
    if event.time is not None:
        given["time"] = event.time.isoformat()
    return json.dumps(given | {"type": str(event.type)}, ensure_ascii=False)


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Poison("NOT_JSON", f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Poison("NOT_JSON", f"not a JSON object, but {type(value).__name__}")
    return value


def _value(name: str, value: Any) -> Any:
    if name == "time":
        return _time(value)
    if name in IDS and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if name in NUMBERS and isinstance(value, str):
        return float(value)
    return value.lower() if name == "type" and isinstance(value, str) else value


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"time {text!r:.60} is neither seconds since 1970 nor ISO 8601, such as 2026-03-01T10:00:00Z"
        ) from None


def _time(value: Any) -> datetime:
    """A time from seconds since 1970, or from ISO 8601 with a time zone."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"time must be a number of seconds since 1970, or ISO 8601, not {value!r:.60}")
    if isinstance(value, str):
        try:  # before the number: 20260331 as text is a day, but longer numbers are seconds or finer
            time = datetime.fromisoformat("" if value.isdigit() and len(value) != DIGITS_OF_DAY else value)
        except ValueError:
            value = _seconds(value)
        else:
            if time.tzinfo is None:
                raise ValueError(f"time {value!r:.60} has no time zone; add one, such as Z")
            return time
    if not math.isfinite(value) or not FIRST_SECOND <= value < LAST_SECOND:
        raise ValueError(
            f"time {value} is not in the years 1 to 9999; give seconds since 1970, not milliseconds"
        )
    return datetime.fromtimestamp(value, UTC)
