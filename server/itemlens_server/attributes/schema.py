"""The types of attributes: given in the settings of a collection, or inferred from the first value and then held."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeAlias

from itemlens_server.errors import InvalidArgument, quoted

# Most attributes with a column. Values of others are stored, but cannot be filtered by.
MOST_ATTRIBUTES = 200
# Longer texts are descriptions: they are stored, but have no place in a column.
LONGEST_TEXT = 256
# Most strings of a list, and the largest whole number that a float64 holds exactly.
MOST_STRINGS, EXACT = 256, 2**53
LARGEST = 2**63 - 1
# The years 1 to 9999, the range of protobuf's Timestamp.
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_800
_DIGITS = re.compile(r"-?\d{1,19}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")

# What a column stores: text, number, truth value, seconds since 1970, texts, or latitude and longitude in degrees.
Stored: TypeAlias = "str | float | int | bool | list[str] | tuple[float, float]"


class AttributeType(StrEnum):
    """Types of attributes. Each is the name of the proto's AttributeType."""

    STRING = "STRING"
    NUMBER = "NUMBER"
    INTEGER = "INTEGER"
    BOOLEAN = "BOOLEAN"
    TIME = "TIME"
    STRINGS = "STRINGS"
    POINT = "POINT"


ORDERED = (AttributeType.NUMBER, AttributeType.INTEGER, AttributeType.TIME)
"""Types whose values can be less or more than others."""

WHAT: Mapping[AttributeType, str] = {
    AttributeType.STRING: "a text",
    AttributeType.NUMBER: "a number",
    AttributeType.INTEGER: "a whole number of 64 bits (as a text where it has more than 53)",
    AttributeType.BOOLEAN: "true or false",
    AttributeType.TIME: 'a time such as "2026-11-27" or "2026-11-27T12:30:00Z"',
    AttributeType.STRINGS: "a list of texts",
    AttributeType.POINT: 'a place such as {"lat": 48.1, "lon": 11.6}, in degrees',
}


def inferred(value: object) -> AttributeType | None:
    """Return the type of a first value; None if no column can hold it. A time looks like a text: it is to be given."""
    if isinstance(value, bool):
        return AttributeType.BOOLEAN
    if isinstance(value, int | float):
        return AttributeType.NUMBER
    if isinstance(value, str):
        return AttributeType.STRING
    if value and _typed(value, AttributeType.STRINGS) is not None:
        return AttributeType.STRINGS
    return AttributeType.POINT if _point(value) is not None else None


def typed(value: object, kind: AttributeType) -> Stored | None:
    """Return a value as a column stores it; None for null, which is no value, and for a text that is too long.

    Raises:
        InvalidArgument: it is of another type.
    """
    if value is None:
        return None
    stored = _typed(value, kind)
    if stored is None:
        raise InvalidArgument(f"{_shown(value)} is not {WHAT[kind]}")
    if isinstance(stored, list):
        return [text for text in stored if len(text) <= LONGEST_TEXT]
    return None if isinstance(stored, str) and len(stored) > LONGEST_TEXT else stored


def fitting(value: object, kind: AttributeType) -> Stored | None:
    """Return a value as a column has it; None if it has no place there."""
    try:
        stored = typed(value, kind)
    except InvalidArgument:
        return None
    return (list(dict.fromkeys(stored)) or None) if isinstance(stored, list) else stored


def _typed(value: Any, kind: AttributeType) -> Stored | None:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    match kind:
        case AttributeType.STRING:
            return value if isinstance(value, str) else None
        case AttributeType.NUMBER:
            return None if number is None else float(number)
        case AttributeType.BOOLEAN:
            return value if isinstance(value, bool) else None
        case AttributeType.INTEGER:
            return _integer(value if number is None else number)
        case AttributeType.TIME:
            return seconds(value) if isinstance(value, str) else None
        case AttributeType.STRINGS:
            whole = isinstance(value, list) and len(value) <= MOST_STRINGS
            return value if whole and all(isinstance(part, str) for part in value) else None
        case AttributeType.POINT:
            return _point(value)


def _integer(value: object) -> int | None:
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= EXACT else None
    if isinstance(value, str):
        value = int(value) if _DIGITS.fullmatch(value) else None
    return value if isinstance(value, int) and abs(value) <= LARGEST else None


def _point(value: object) -> tuple[float, float] | None:
    if not isinstance(value, Mapping) or value.keys() != {"lat", "lon"}:
        return None
    lat, lon = value["lat"], value["lon"]
    for degrees, most in ((lat, 90), (lon, 180)):
        if isinstance(degrees, bool) or not isinstance(degrees, int | float) or not abs(degrees) <= most:
            return None
    return float(lat), float(lon)


def seconds(text: str) -> float | None:
    """Return the seconds since 1970 of an RFC 3339 time or of the start of a day in UTC; None if it is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    if _DATE.fullmatch(text):
        time = time.replace(tzinfo=UTC)
    elif time.tzinfo is None:
        return None
    at = time.timestamp()
    return at if FIRST_SECOND <= at < LAST_SECOND else None  # a time zone may lead out of the years 1 to 9999


def plain(stored: Any, kind: AttributeType) -> Any:
    """Return a value of a column as it is given in JSON."""
    match kind:
        case AttributeType.TIME:
            return datetime.fromtimestamp(stored, UTC).isoformat().replace("+00:00", "Z")
        case AttributeType.POINT:
            return {"lat": stored[0], "lon": stored[1]}
        case AttributeType.INTEGER:
            return stored if abs(stored) <= EXACT else str(stored)
    return stored


def no_attribute(name: str, known: Iterable[str]) -> str:
    """What is wrong with the name of an attribute that is not among those of the collection."""
    names = sorted(known)
    lower = {other.lower(): other for other in names}
    near = get_close_matches(name.lower(), lower, 1)
    advice = f"did you mean {lower[near[0]]!r}?" if near else f"there are: {', '.join(names[:20]) or 'none'}"
    return f"{quoted(name)} is no attribute of the collection; {advice}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else f"{value!r:.60}"
