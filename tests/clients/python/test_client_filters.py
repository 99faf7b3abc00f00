"""Filters that are built: what is sent of them, and what is no filter."""

from __future__ import annotations

import operator
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format

from itemlens import Filter, where
from itemlens import _filter as filters
from itemlens.v1 import catalog_pb2

ANYTHING: Any = "b < 1"
NUMBER: Any = 5


def sent(filter: Filter) -> Any:
    request = catalog_pb2.DeleteItemsRequest()
    filters.put(filter, request)
    assert not request.filter
    return json_format.MessageToDict(request)["filterTree"]


def compared(attribute: str, op: str, **value: object) -> dict[str, Any]:
    return {"comparison": {"attribute": attribute, "op": f"FILTER_OPERATOR_{op}", "value": value}}


IN_STOCK = compared("in_stock", "EQUAL", boolean=True)


@pytest.mark.parametrize(
    ("filter", "tree"),
    [
        (where("in_stock"), IN_STOCK),
        (where("price") < 60.5, compared("price", "LESS", number=60.5)),
        (where("price") <= 60, compared("price", "LESS_OR_EQUAL", integer="60")),
        (where("price") > np.float32(2), compared("price", "GREATER", number=2.0)),
        (where("price") >= np.int32(2), compared("price", "GREATER_OR_EQUAL", integer="2")),
        (where("brand") == "Kaya", compared("brand", "EQUAL", text="Kaya")),
        (where("brand") != "Kaya", compared("brand", "NOT_EQUAL", text="Kaya")),
        (where("new") == np.bool_(False), compared("new", "EQUAL", boolean=False)),
        (where("released") >= date(2026, 1, 2), compared("released", "GREATER_OR_EQUAL", text="2026-01-02")),
        (
            where("released") < datetime(2026, 1, 2, 3, tzinfo=UTC),
            compared("released", "LESS", text="2026-01-02T03:00:00+00:00"),
        ),
        (where("released") > timedelta(days=-1), compared("released", "GREATER", now=-86400.0)),
        (where("size").one_of("S", 2), {"oneOf": {"attribute": "size", "values": [{"text": "S"}, {"integer": "2"}]}}),
        (where("shop").near(48.1, 11, km=5), {"near": {"attribute": "shop", "lat": 48.1, "lon": 11.0, "km": 5.0}}),
        (where("price").exists(), {"has": "price"}),
        (~where("in_stock"), {"none": [IN_STOCK]}),
        (where("a").exists() & where("b").exists() & where("c").exists(), {"all": [{"has": n} for n in "abc"]}),
        (where("a").exists() | (where("b").exists() | where("c").exists()), {"any": [{"has": n} for n in "abc"]}),
        (
            where("a").exists() & (where("b").exists() | where("c").exists()),
            {"all": [{"has": "a"}, {"any": [{"has": "b"}, {"has": "c"}]}]},
        ),
    ],
)  # fmt: skip
def test_what_is_sent(filter: Filter, tree: object) -> None:
    assert sent(filter) == tree


def test_a_filter_does_not_change_when_it_is_joined() -> None:
    both = where("a").exists() & where("b").exists()
    before = sent(both)
    assert sent(both & where("c").exists()) != before == sent(both)


def test_many_conditions_that_are_joined_are_one_level() -> None:
    many = [where(f"a{n}").exists() for n in range(200)]
    assert len(sent(reduce(operator.and_, many))["all"]) == 200
    deep: Filter = where("a")
    with pytest.raises(ValueError, match="nested more than 50 deep"):
        for _ in range(50):
            deep = ~deep


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: bool(where("a")), TypeError, "join conditions with & | ~ and brackets"),
        (lambda: 10 <= where("price") < 60, TypeError, "a chain of comparisons"),
        (lambda: where("a") and where("b"), TypeError, "instead of with and, or, not"),
        (lambda: where("a") & ANYTHING, TypeError, "unsupported operand"),
        (lambda: where("price") < float("nan"), ValueError, "the value for 'price' is nan; give a finite number"),
        (lambda: where("ean") == 2**63, ValueError, "whole numbers have 64 bits"),
        (lambda: operator.eq(where("a"), None), TypeError, "the value for 'a' must be a number, not None"),
        (lambda: where("a") == ["x"], TypeError, r"is a list; write where\('a'\).one_of"),
        (lambda: where("a").one_of(), ValueError, "needs at least one value"),
        (lambda: where("at") > datetime(2026, 1, 1), ValueError, "has no time zone"),
        (lambda: where("a").near(float("inf"), 0, km=1), ValueError, "give a finite number"),
        (lambda: where(NUMBER), TypeError, "where must be a str"),
        (lambda: filters.put(NUMBER, catalog_pb2.DeleteItemsRequest()), TypeError, "filter must be a str"),
    ],
)  # fmt: skip
def test_what_is_no_filter(wrong: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong()
