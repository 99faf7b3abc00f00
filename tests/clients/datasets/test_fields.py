"""How a cell becomes a value: a wrong value is refused with its column, never changed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from itemlens_datasets.fields import Attribute, PictureSource, Time, needed, number
from itemlens_datasets.rows import Reason, RowError


@pytest.mark.parametrize(
    ("type", "value", "expected"),
    [
        (None, Decimal("19.90"), Decimal("19.90")),  # the client makes JSON of it
        (None, date(2024, 5, 1), date(2024, 5, 1)),
        ("str", 1234567890123456789, "1234567890123456789"),
        ("str", date(2024, 5, 1), "2024-05-01"),
        ("int", " 1999 ", 1999),
        ("int", 1999.0, 1999),
        ("int", str(2**53), 2**53),
        ("float", "1e3", 1000.0),
        ("bool", "Yes", True),
        ("bool", 0, False),
        ("bool", "false", False),
        ("int", "", None),
        ("bool", float("nan"), None),
    ],
)
def test_attributes(type: Any, value: Any, expected: Any) -> None:
    assert Attribute(column="c", type=type).read({"c": value}) == expected


@pytest.mark.parametrize(
    ("type", "value", "reason", "message"),
    [
        ("int", "1999.5", Reason.BAD_VALUE, "column 'c': '1999.5' is not a whole number"),
        ("int", 1999.5, Reason.BAD_VALUE, "is not a whole number"),
        ("int", float("inf"), Reason.BAD_VALUE, "is not a whole number"),
        ("float", "12,5", Reason.BAD_VALUE, "is not a number"),
        ("float", "nan", Reason.BAD_VALUE, "is not a number"),
        ("bool", "maybe", Reason.BAD_VALUE, "is not true or false"),
        ("int", "1234567890123456789", Reason.INEXACT_NUMBER, r"\{column: c, type: str\}"),
        (None, 2**53 + 1, Reason.INEXACT_NUMBER, "above 2\\^53 and would be rounded"),
        (None, b"\x00", Reason.BAD_VALUE, "is not an attribute, but bytes"),
        (None, -(2**53) - 1, Reason.INEXACT_NUMBER, "would be rounded"),
    ],
)
def test_a_wrong_attribute_is_refused(type: Any, value: Any, reason: Reason, message: str) -> None:
    with pytest.raises(RowError, match=message) as caught:
        Attribute(column="c", type=type).read({"c": value})
    assert (caught.value.reason, caught.value.column) == (reason, "c")


def test_an_empty_id_names_its_column() -> None:
    with pytest.raises(RowError, match="the id is empty") as caught:
        needed("{a}-{b}", {"a": 1, "b": None}, "id")
    assert (caught.value.reason, caught.value.column) == (Reason.EMPTY, "b")


def test_bytes_are_not_text() -> None:
    with pytest.raises(RowError, match=r"column 'a': b'\\x01' is not text, but bytes"):
        needed("{a}", {"a": b"\x01"}, "id")


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(RowError) as caught:
        number({"c": "x" * 100_000}, "c")
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("unit", "value", "message"),
    [
        ("iso", "1714521600", "is not a time in ISO 8601; for numbers give `unit`"),
        ("iso", "yesterday", "is not a time in ISO 8601"),
        ("seconds", "2024-05-01", "is not a number"),
        ("seconds", "1e30", "is not a time between the years 1 and 9999 in seconds"),
        ("seconds", "1714521600000", "is not a time between the years 1 and 9999 in seconds"),
        ("milliseconds", "-1e300", "is not a time between the years 1 and 9999 in milliseconds"),
    ],
)
def test_a_wrong_time_is_refused(unit: Any, value: str, message: str) -> None:
    with pytest.raises(RowError, match=message) as caught:
        Time(column="c", unit=unit).read({"c": value})
    assert (caught.value.reason, caught.value.column) == (Reason.BAD_VALUE, "c")


def test_a_time_of_parquet_is_kept_as_it_is() -> None:
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    assert Time(column="c").read({"c": moment}) == moment
    assert Time(column="c").read({"c": date(2024, 5, 1)}) == moment


def test_a_picture_column_holds_bytes() -> None:
    source = PictureSource(column="p")
    assert source.read({"p": b"1"}, Path("data")) == [b"1"]
    assert source.read({"p": [b"1", b"2"]}, Path("data")) == [b"1", b"2"]
    with pytest.raises(RowError, match=r'is not bytes; for files give `path: "\{p\}"`'):
        source.read({"p": "a.jpg"}, Path("data"))
