"""Boosts as they are written on the command line."""

from __future__ import annotations

import pytest

from itemlens import Boost, ByItem, ByValue, HalfLife, Linear, Log, Steps
from itemlens_cli.boosts import boost
from itemlens_server.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("new season", "new season"),
        (
            "released half_life nats=1.5 half_life=60",
            Boost("released half_life", "released", HalfLife(nats=1.5, half_life=60)),
        ),
        (
            "price linear slope=-0.1 origin=20 missing_nats=-1 most_nats=2",
            Boost("price linear", "price", Linear(slope=-0.1, origin=20), missing_nats=-1, most_nats=2),
        ),
        ("sold log nats=0.5", Boost("sold log", "sold", Log(nats=0.5))),
        ("price steps 20=0.3 40=0.6", Boost("price steps", "price", Steps([(20, 0.3), (40, 0.6)]))),
        ("'screen size' steps 20=1", Boost("screen size steps", "screen size", Steps([(20, 1)]))),
        (
            "brand values 'Alto Uno=0.5' a=b=1",
            Boost("brand values", "brand", ByValue({"Alto Uno": 0.5, "a=b": 1})),
        ),
        ("items i1=1 i2=-2", Boost("items", shape=ByItem({"i1": 1, "i2": -2}))),
    ],
)
def test_a_text_is_a_name_or_a_boost(text: str, expected: Boost | str) -> None:
    assert boost(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("released half_live nats=1", "SHAPE is one of linear"),
        ("nats=1", "write ATTRIBUTE SHAPE"),
        ("released half_life nats=1", "half_life"),
        ("released linear slope=much", "could not convert"),
        ("price linear slope=1 colour=2", "colour"),
        ("'price linear slope=1", "No closing quotation"),
    ],
)
def test_a_wrong_text_is_an_error(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        boost(text)
