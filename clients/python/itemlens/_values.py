"""Convert Python values to proto values. The error for an invalid value names the field and the remedy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np

MAX_WHOLE_NUMBER = 2**53
"""Attributes are sent as google.protobuf.Struct. Its numbers are doubles, exact for whole numbers up to this one."""

MAX_DEPTH = 30
"""Nesting levels of an attribute, the server's limit. Protobuf reads at most 100 levels of messages."""


@contextmanager
def named(what: str) -> Iterator[None]:
    """Prefix the message of a ValueError, TypeError or OSError with `what`, such as "item 'a'"."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, f"{what}: {error.strerror}", error.filename) from error
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what}: {error}") from error


def string(value: object, field: str) -> str:
    """Return a str that UTF-8 can encode.

    Raises:
        TypeError: the value is not a str.
        ValueError: it contains half of a surrogate pair.
    """
    if not isinstance(value, str):
        raise TypeError(f"{field} must be a str, not {value!r:.60} of type {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{field} has half of a surrogate pair at position {error.start}, which UTF-8 cannot encode; remove "
            "it, or decode the text with the encoding in which it was written"
        ) from None
    return value


def strings(values: object, field: str) -> list[str]:
    """Return a list of str. A single str is refused, because it would be split into characters."""
    if isinstance(values, str):
        raise TypeError(f"{field} must be a list, not one id; write [{values!r:.60}]")
    return [string(value, f"{field}[{place}]") for place, value in enumerate(listed(values, field))]


def listed(values: object, field: str) -> list[Any]:
    """Return the elements of an iterable as a list."""
    if not isinstance(values, Iterable):
        raise TypeError(f"{field} must be a list, not a {type(values).__name__}")
    return list(values)


def number(value: object, field: str) -> float:
    """A finite number."""
    if not isinstance(value, int | float | Decimal | np.number):
        raise TypeError(f"{field} must be a number, not {value!r:.60} of type {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"{field} is {value}; give a finite number or leave it out")
    return float(value)


def optional_number(value: object, field: str) -> float | None:
    """A finite number; None stays None."""
    return None if value is None else number(value, field)


def whole(value: object, field: str) -> int:
    """A whole number from 0 to 2^32 - 1."""
    if not isinstance(value, int | np.integer):
        raise TypeError(f"{field} must be a whole number, not {value!r:.60} of type {type(value).__name__}")
    if not 0 <= value < 2**32:
        raise ValueError(f"{field} must be 0 or more and below 2^32, not {int(value)!s:.40}")
    return int(value)


def one_of(value: object, allowed: Iterable[str], field: str) -> str:
    """One of the allowed strings."""
    names = [str(name) for name in allowed]
    if isinstance(value, str) and value in names:
        return value
    near = get_close_matches(str(value).lower(), names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{field} is {value!r:.60}, but must be one of {', '.join(names)}{hint}")


def attributes(given: Mapping[str, Any]) -> dict[str, Any]:
    """An item's attributes as JSON values.

    str, bool, None, whole numbers up to 2^53, finite floats, dicts and lists stay unchanged. Tuples and arrays
    become lists, NumPy scalars Python numbers, an Enum its value, datetime, date and time ISO 8601, a UUID a str,
    and a Decimal a number, if a double keeps its digits.

    Raises:
        TypeError: a value has another type.
        ValueError: a number that a double cannot represent, NaN, infinity, or too many levels.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"attributes must be a dict, not a {type(given).__name__}")
    plain: dict[str, Any] = _json(given, "attributes", 0)
    return plain


def _json(value: Any, field: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"{field:.80} is nested more than {MAX_DEPTH} deep; flatten it")
    match value:
        case None:
            return None
        case bool() | np.bool_():
            return bool(value)
        case Enum():
            return _json(value.value, field, depth)
        case str():
            return string(value, field)
        case int() | np.integer():
            return _whole_number(int(value), field)
        case float() | np.floating():
            return _finite(float(value), value, field)
        case Decimal():
            return _decimal(value, field)
        case np.datetime64() | datetime() | date() | time():
            return _iso(value, field)
        case UUID():
            return str(value)
        case Mapping():
            return {
                _key(key, field): _json(child, f"{field}[{key!r}]", depth + 1) for key, child in value.items()
            }
        case np.ndarray() if value.ndim == 0:
            return _json(value[()], field, depth)
        case bytes() | bytearray() | memoryview():
            raise TypeError(f"{field} is bytes; give text (.decode()), or base64 as a str")
        case Sequence() | np.ndarray():
            return [_json(child, f"{field}[{place}]", depth + 1) for place, child in enumerate(value)]
        case set() | frozenset():
            raise TypeError(f"{field} is a set, which has no order; give a list, such as sorted(...)")
        case _:
            raise TypeError(
                f"{field} is of type {type(value).__name__}; give a str, number, bool, list or dict"
            )


def _key(key: object, field: str) -> str:
    return string(key, f"the key {key!r:.60} in {field}")


def _whole_number(value: int, field: str) -> int:
    if abs(value) > MAX_WHOLE_NUMBER:
        raise ValueError(f"{field} is a whole number beyond 2^53 and would be rounded; give it as a str")
    return value


def _finite(value: float, given: object, field: str) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{field} is {given}, which JSON cannot represent; give None or leave it out")
    return value


def _decimal(value: Decimal, field: str) -> float:
    if not value.is_finite():
        return _finite(math.nan, value, field)
    double = float(value)
    if Decimal(repr(double)) != value:
        raise ValueError(
            f"{field} is Decimal('{value!s:.60}'), whose digits a double does not keep; give it as a str"
        )
    return double


def _iso(value: Any, field: str) -> str:
    if value != value:  # NaT, of NumPy or pandas
        raise ValueError(f"{field} is NaT, not a time; give None or leave it out")
    return str(value) if isinstance(value, np.datetime64) else str(value.isoformat())
