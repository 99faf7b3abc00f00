"""Entries that are events, and poison."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens import Event, EventType
from itemlens_cli.ingest.entries import NAMES, Poison, event_of, line_of
from itemlens_cli.ingest.source import Entry


def read(content: str | bytes) -> Event:
    return event_of(Entry("17", content if isinstance(content, bytes) else content.encode()), "clicks")


def test_an_event_has_the_fields_of_the_client() -> None:
    whole = """{"event_id": "e", "user_id": "u", "item_id": "i", "type": "purchase", "time": "2026-03-01T10:00:00Z",
        "quantity": 2, "value": 9.5, "recommendation_id": "r"}"""
    time = datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert read(whole) == Event("u", "i", "purchase", time, 2, 9.5, "r", "e")


def test_without_an_id_it_gets_one_from_its_place() -> None:
    event = read('{"user_id": "u", "item_id": "i", "type": "view"}')
    assert event == Event("u", "i", "view", event_id="clicks:17")


def test_what_streams_write_otherwise_is_understood() -> None:
    event = read(
        '{"user_id": 7, "item_id": 8, "type": "VIEW", "quantity": "2", "value": null, "time": "1772359200.5"}'
    )
    time = datetime(2026, 3, 1, 10, 0, 0, 500_000, UTC)
    assert event == Event("7", "8", "view", time, 2.0, event_id="clicks:17")


START = '{"user_id": "u", "item_id": "i", "type": "view"'


@pytest.mark.parametrize(
    ("content", "reason", "message"),
    [
        ("{", "NOT_JSON", "not JSON"),
        (b"\xff\xfe{}", "NOT_JSON", "not JSON"),
        ("[" * 100_000, "NOT_JSON", "not JSON"),
        ("1" * 5000, "NOT_JSON", "not JSON"),
        ("[1]", "NOT_JSON", "not a JSON object, but list"),
        ('{"user_id": "u", "type": "view"}', "MISSING_FIELD", "item_id must be given"),
        ('{"user_id": "", "item_id": "i"}', "MISSING_FIELD", "user_id and type must be given"),
        (START + ', "timestamp": 1}', "UNKNOWN_FIELD", "there is no field 'timestamp'"),
        (START + ', "valu": 1}', "UNKNOWN_FIELD", "did you mean value"),
        (START.replace("view", "buy") + "}", "BAD_FIELD", "type is 'buy', but must be one of"),
        (START.replace('"u"', '["u"]') + "}", "BAD_FIELD", "user_id must be a str"),
        (START.replace('"u"', r'"\ud800"') + "}", "BAD_FIELD", "half of a surrogate pair"),
        (START + ', "quantity": "two"}', "BAD_FIELD", "could not convert"),
        (START + ', "value": NaN}', "BAD_FIELD", "value is nan"),
        (START + ', "value": 1' + "0" * 400 + "}", "BAD_FIELD", "too large"),
        (START + ', "time": 1772359200500}', "BAD_FIELD", "not milliseconds"),
        (START + ', "time": -1e300}', "BAD_FIELD", ""),
        (START + ', "time": "2026-03-01T10:00:00"}', "BAD_FIELD", "no time zone"),
        (START + ', "time": "yesterday"}', "BAD_FIELD", "neither seconds since 1970 nor ISO 8601"),
        (START + ', "time": -1e17}', "BAD_FIELD", "not in the years 1 to 9999"),
        (START + ', "time": -67768040609740801}', "BAD_FIELD", "not in the years 1 to 9999"),
        (START + ', "time": "1711011212345"}', "BAD_FIELD", "not milliseconds"),
        (START + ', "time": "20260331"}', "BAD_FIELD", "no time zone"),
        (START + ', "time": "inf"}', "BAD_FIELD", "not in the years 1 to 9999"),
        (START + ', "time": true}', "BAD_FIELD", "time must be a number of seconds"),
    ],
)
def test_poison_says_what_is_wrong(content: str | bytes, reason: str, message: str) -> None:
    with pytest.raises(Poison) as poison:
        read(content)
    assert poison.value.reason == reason and message in poison.value.message


def test_what_the_source_refuses_is_poison() -> None:
    with pytest.raises(Poison, match="a line of 9 bytes") as poison:
        event_of(Entry("1", b"{", "a line of 9 bytes"), "clicks")
    assert poison.value.reason == "TOO_LONG"
    with pytest.raises(Poison, match="no UTF-8") as poison:
        event_of(Entry("1", b"{", "no UTF-8", "NOT_UTF8"), "clicks")
    assert poison.value.reason == "NOT_UTF8"


IDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
EVENTS = st.builds(
    Event,
    user_id=IDS,
    item_id=IDS,
    type=st.sampled_from([EventType(name) for name in EventType if name != "unspecified"]),
    time=st.none() | st.datetimes(timezones=st.just(UTC)),
    quantity=NUMBERS,
    value=NUMBERS,
    recommendation_id=st.just("") | IDS,
    event_id=IDS,
    order_id=st.just("") | IDS,
    own_type=st.sampled_from(["", "wishlist"]),
)


@given(EVENTS)
def test_the_line_of_an_event_is_read_as_the_same_event(event: Event) -> None:
    line = line_of(event)
    assert "\n" not in line and read(line) == event


def test_a_line_has_only_what_is_given() -> None:
    assert line_of(Event("u", "靴子", "view", event_id="e")) == (
        '{"user_id": "u", "item_id": "靴子", "type": "view", "event_id": "e"}'
    )
    time = datetime(2026, 3, 1, 10, tzinfo=UTC)
    whole = line_of(Event("u", "i", "own", time, 2, 0.0, "r", "e", "o", "wishlist"))
    assert all(f'"{name}": ' in whole for name in NAMES) and '"2026-03-01T10:00:00+00:00"' in whole
