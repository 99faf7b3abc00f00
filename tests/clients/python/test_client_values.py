"""Conversion of Python values to proto values, and errors that name the wrong one."""

from __future__ import annotations

import enum
import math
import uuid
from collections import OrderedDict
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from itemlens import Event, Interaction, Item, StreamPosition
from itemlens._values import MAX_DEPTH, attributes
from support.fake_server import Fake


class Size(enum.Enum):
    LARGE = "L"


class Stock(enum.IntEnum):
    LOW = 1


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (datetime(2026, 5, 1, 12, 30, tzinfo=UTC), "2026-05-01T12:30:00+00:00"),
        (datetime(2026, 5, 1, 12, 30), "2026-05-01T12:30:00"),
        (date(2026, 5, 1), "2026-05-01"),
        (time(12, 30), "12:30:00"),
        (np.datetime64("2026-05-01T12:30"), "2026-05-01T12:30"),
        (Decimal("19.99"), 19.99),
        (Decimal("1E+3"), 1000.0),
        (np.float32(0.5), 0.5),
        (np.int64(42), 42),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(["2026-05-01"], "datetime64[D]"), ["2026-05-01"]),
        (np.array(7), 7),
        ((1, "a", None), [1, "a", None]),
        (range(3), [0, 1, 2]),
        (OrderedDict(a={"b": Decimal("0.5")}), {"a": {"b": 0.5}}),
        (Size.LARGE, "L"),
        (Stock.LOW, 1),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (2**53, 2**53),
        (-(2**53), -(2**53)),
        (1e300, 1e300),
        (nested(MAX_DEPTH), nested(MAX_DEPTH)),
    ],
)
def test_an_attribute_becomes_json(given: Any, sent: Any) -> None:
    [value] = attributes({"x": given}).values()
    assert value == sent and isinstance(value, type(sent))


@pytest.mark.parametrize(
    ("given", "error", "cure"),
    [
        (2**53 + 1, ValueError, "give it as a str"),
        (-(10**400), ValueError, "give it as a str"),
        (np.uint64(2**63), ValueError, "give it as a str"),
        (Decimal("1234567890.1234567890"), ValueError, "give it as a str"),
        (Decimal(2**53 + 1), ValueError, "give it as a str"),
        (Decimal("NaN"), ValueError, "leave it out"),
        (math.nan, ValueError, "leave it out"),
        (np.float32("inf"), ValueError, "leave it out"),
        (np.datetime64("NaT"), ValueError, "leave it out"),
        ({1, 2}, TypeError, "give a list"),
        (frozenset("a"), TypeError, "give a list"),
        (b"red", TypeError, r"\.decode"),
        (np.bytes_(b"red"), TypeError, r"\.decode"),
        (object(), TypeError, "give a str, number"),
        (1j, TypeError, "give a str, number"),
        ({1: "a"}, TypeError, "must be a str, not 1"),
        ("\ud800", ValueError, "surrogate"),
        (nested(MAX_DEPTH + 1), ValueError, "flatten it"),
    ],
)
def test_an_attribute_that_cannot_be_kept_is_refused_by_item_and_name(
    client: Any, fake: Fake, given: Any, error: type[Exception], cure: str
) -> None:
    items = [Item("good", texts={"title": "x"}), Item("shoe", attributes={"facts": {"price": given}})]
    with pytest.raises(error, match=rf"item 'shoe': .*attributes\['facts'\]\['price'\].*{cure}"):
        client.upsert(items)
    assert fake.asked("UpsertItems") == []


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match="flatten it"):
        attributes({"x": value})


def test_in_an_upload_only_the_item_with_the_bad_attribute_fails(client: Any, fake: Fake) -> None:
    given = [Item(f"i{n}", text="x", attributes={"tags": {1} if n == 1 else [1]}) for n in range(3)]
    report = client.upload(given)
    assert (report.written, set(fake.items)) == (2, {"i0", "i2"})
    [failed] = report.failed
    assert failed.id == "i1" and "attributes['tags'] is a set" in str(failed.error)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.upsert(Item("a", text="x")), TypeError, "items must be a list"),
        (
            lambda c: c.upsert([{"item_id": "a"}]),
            TypeError,
            r"items\[0\] must be an itemlens.Item, not a dict",
        ),
        (lambda c: c.upload([{"item_id": "a"}]), TypeError, "must be an itemlens.Item, not a dict"),
        (lambda c: c.upsert([Item(5, text="x")]), TypeError, "item 5: item_id must be a str"),
        (lambda c: c.upsert([Item("a", text=5)]), TypeError, "item 'a': .*text.* must be a str"),
        (
            lambda c: c.upsert([Item("a", picture=np.zeros((2, 2, 3)))]),
            TypeError,
            "item 'a': a picture must be the bytes",
        ),
        (lambda c: c.upsert([Item("a", texts=["x"])]), TypeError, "item 'a': texts must be a dict"),
        (
            lambda c: c.upsert([Item("a", picture="none.jpg")]),
            OSError,
            "item 'a': the picture file cannot be read .No such file or directory.; correct.*none.jpg",
        ),
        (
            lambda c: c.upsert([Item("a", text="x", relations=[("with", "b")])]),
            TypeError,
            "itemlens.Relation",
        ),
        (lambda c: c.upsert([Item("a", text="\udc80")]), ValueError, "surrogate pair at position 0"),
        (lambda c: c.record_events([Event("u", "a", "buy")]), ValueError, "one of impression, view"),
        (lambda c: c.record_events([Event("u", "a", "Purchase")]), ValueError, "did you mean 'purchase'"),
        (lambda c: c.record_events([Event("u", "a", time=1_700_000_000)]), TypeError, "fromtimestamp"),
        (lambda c: c.record_events([Event("u", "a", quantity="2")]), TypeError, "quantity must be a number"),
        (lambda c: c.record_events([Event("u", "a", value=math.nan)]), ValueError, "value is nan"),
        (lambda c: c.record_events([Event(7, "a")]), TypeError, "user_id must be a str, not 7"),
        (lambda c: c.recommend(history=[Interaction("a"), 5]), TypeError, r"history\[1\]"),
        (lambda c: c.recommend(liked="abc"), TypeError, r"liked must be a list.*write \['abc'\]"),
        (lambda c: c.recommend("u", k=-1), ValueError, "k must be 0 or more"),
        (lambda c: c.recommend("u", k="ten"), TypeError, "k must be a whole number"),
        (lambda c: c.recommend("u", top_fraction="half"), TypeError, "top_fraction must be a number"),
        (lambda c: c.recommend("u", language="de"), ValueError, "language is 'de'.*one of en, zh"),
        (lambda c: c.recommend("u", collection=5), TypeError, "collection must be a str"),
        (lambda c: c.explain(["i1"], "u", heat_map="jpg"), ValueError, "heat_map is 'jpg'.*grid, png"),
        (lambda c: c.encode(["x"], channel="title", purpose="search"), ValueError, "purpose is 'search'"),
        (lambda c: c.record_events([], stream="s"), TypeError, "stream must be an itemlens.StreamPosition"),
        (
            lambda c: c.record_events([], stream=StreamPosition("s", 1)),
            TypeError,
            "stream.position must be a str",
        ),
        (
            lambda c: c.record_events([], stream=StreamPosition("s", "1", lag=-1)),
            ValueError,
            "stream.lag must be",
        ),
        (lambda c: c.delete_user(3), TypeError, "user_id must be a str"),
    ],
)
def test_a_wrong_argument_is_named(
    client: Any, fake: Fake, call: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(client)
    assert {name for name, _ in fake.requests} <= {"GetSpace", "GetCollection"}
