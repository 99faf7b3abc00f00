"""Rules that are wrong or contradict each other are refused when they are set, with the field."""

from __future__ import annotations

from dataclasses import replace

import pytest

from itemlens_server.errors import InvalidArgument
from itemlens_server.services.rule_checks import check_rules
from itemlens_server.storage.rules import Pin, Rule

PINS = Rule("pins", "PIN", pins=(Pin(1, "a"), Pin(3, "b")))
BLOCK = Rule("block", "BLOCK", item_ids=("x",))
CAP = Rule("cap", "CAP", attribute="brand", places=2)
FLOOR = Rule("floor", "FLOOR", filter='brand = "Alto"', places=2)
NAN = float("nan")


def refused(*rules: Rule) -> tuple[str, str]:
    """The field and the message."""
    with pytest.raises(InvalidArgument) as raised:
        check_rules(rules)
    return raised.value.field, raised.value.message


def test_rules_of_all_kinds_go_together() -> None:
    check_rules([PINS, BLOCK, CAP, FLOOR])
    check_rules([])


@pytest.mark.parametrize(
    ("rule", "field", "message"),
    [
        (replace(PINS, name=""), "name", "not a valid name"),
        (replace(PINS, name="*"), "name", "not a valid name"),
        (replace(PINS, kind=""), "kind", "a kind is required"),
        (replace(PINS, start=2.0, end=2.0), "end_time", "never applies"),
        (replace(PINS, start=float("inf")), "start_time", "out of range"),
        (replace(PINS, end=NAN), "end_time", "out of range"),
        (replace(PINS, end=1e18), "end_time", "out of range"),
        (replace(PINS, surfaces=("home", "")), "surfaces[1]", "not a valid name"),
        (replace(PINS, surfaces=("home",) * 21), "surfaces", "the limit is 20"),
        (replace(PINS, filter="price <"), "filter", "the filter is wrong at character 8"),
        (replace(PINS, pins=()), "pin.pins", "give the items"),
        (replace(PINS, pins=tuple(Pin(n, f"i{n}") for n in range(1, 102))), "pin.pins", "the limit is 100"),
        (replace(PINS, pins=(Pin(0, "a"),)), "pin.pins[0].position", "must be 1 to 1000"),
        (replace(PINS, pins=(Pin(2**31, "a"),)), "pin.pins[0].position", "must be 1 to 1000"),
        (replace(PINS, pins=(Pin(1, ""),)), "pin.pins[0].item_id", "1 to 256 characters"),
        (replace(PINS, pins=(Pin(1, "a"), Pin(1, "b"))), "pin.pins[1].position", "two items have position 1"),
        (replace(PINS, pins=(Pin(1, "a"), Pin(2, "a"))), "pin.pins[1].item_id", "'a' has two positions"),
        (replace(BLOCK, item_ids=()), "block", "give the items to block, or all_matching"),
        (replace(BLOCK, item_ids=(), filter="new"), "block", "give the items to block, or all_matching"),
        (replace(BLOCK, all_matching=True), "block", "give the items to block, or all_matching"),
        (replace(BLOCK, item_ids=(), all_matching=True), "filter", "a filter is required"),
        (replace(BLOCK, item_ids=("a", "x" * 300)), "block.item_ids[1]", "1 to 256 characters"),
        (replace(BLOCK, item_ids=tuple(map(str, range(10**6)))), "block.item_ids", "the limit is 1000"),
        (replace(CAP, attribute=""), "cap.attribute", "an attribute is required"),
        (replace(CAP, places=0), "cap.places", "it must be 1 to 1000"),
        (replace(CAP, places=0, share=1.5), "cap.share", "not a share"),
        (replace(CAP, places=0, share=NAN), "cap.share", "not a share"),
        (replace(FLOOR, filter=""), "filter", "a filter is required"),
        (replace(FLOOR, places=1001), "floor.places", "the longest list"),
        (replace(FLOOR, places=0, share=-0.1), "floor.share", "not a share"),
    ],
)
def test_a_wrong_rule_is_refused(rule: Rule, field: str, message: str) -> None:
    told, why = refused(BLOCK if rule.name != "block" else CAP, rule)
    assert told == f"settings.rules[1].{field}" and message in why


def test_names_are_told_apart_and_rules_are_few() -> None:
    assert refused(BLOCK, BLOCK) == ("settings.rules[1].name", "'block' occurs twice")
    many = [replace(BLOCK, name=f"b{n}") for n in range(51)]
    assert refused(*many) == ("settings.rules", "there are 51, the limit is 50")


def test_all_filters_together_have_the_limits_of_one() -> None:
    many = [replace(BLOCK, name=f"b{n}", filter=" or ".join(["x = 1"] * 50)) for n in range(5)]
    check_rules(many[:4])
    field, message = refused(*many)
    assert field == "settings.rules[4].filter" and "250 conditions" in message and "200" in message
    near = [replace(BLOCK, name=f"b{n}", filter="near(place, 1, 1, 1)") for n in range(11)]
    check_rules(near[:10])
    assert refused(*near)[0] == "settings.rules[10].filter"


CONTRADICTIONS = [
    (PINS, replace(BLOCK, item_ids=("x", "b")), "block.item_ids[1]", "'b' is pinned and blocked"),
    (replace(BLOCK, item_ids=("b",)), PINS, "pin.pins[1].item_id", "'b' is pinned and blocked"),
    (PINS, Rule("more", "PIN", pins=(Pin(3, "c"),)), "pin.pins[0].position", "two items have position 3"),
    (PINS, Rule("more", "PIN", pins=(Pin(2, "a"),)), "pin.pins[0].item_id", "'a' has two positions"),
    (CAP, replace(FLOOR, places=3), "floor", "allows fewer places than the floor"),
    (replace(FLOOR, places=3, filter='price < 9 and brand = "Alto"'), CAP, "cap", "allows fewer places"),
    (CAP, replace(FLOOR, places=5, filter='brand in ("A", "B")'), "floor", "allows fewer places"),
    (replace(CAP, places=0, share=0.2), replace(FLOOR, places=0, share=0.3), "floor", "allows fewer places"),
    (
        Rule("block", "BLOCK", filter="new", all_matching=True), replace(FLOOR, filter="new"),
        "filter", "is blocked and has places",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "field", "message"), CONTRADICTIONS)
def test_rules_that_contradict_each_other_are_refused(
    first: Rule, second: Rule, field: str, message: str
) -> None:
    told, why = refused(first, second)
    assert told == f"settings.rules[1].{field}" and message in why
    assert first.name in why and second.name in why


@pytest.mark.parametrize(("first", "second"), [case[:2] for case in CONTRADICTIONS])
def test_at_other_times_and_on_other_surfaces_they_do_not(first: Rule, second: Rule) -> None:
    check_rules([replace(first, end=100.0), replace(second, start=100.0)])
    check_rules([replace(first, surfaces=("home", "basket")), replace(second, surfaces=("search",))])
    refused(replace(first, end=101.0), replace(second, start=100.0))
    refused(replace(first, surfaces=("home", "basket")), replace(second, surfaces=("basket",)))
    refused(replace(first, surfaces=("home",)), second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (CAP, replace(FLOOR, places=4, filter='brand in ("A", "B")')),
        (CAP, replace(FLOOR, places=9, filter='brand != "Alto"')),
        (CAP, replace(FLOOR, places=9, filter='brand = "Alto" or new')),
        (replace(CAP, filter="new"), replace(FLOOR, places=9)),
        (CAP, replace(FLOOR, places=0, share=1.0)),
        (replace(FLOOR, places=0, share=0.6), Rule("new", "FLOOR", filter="new", share=0.6)),
        (replace(CAP, places=0, share=0.05), replace(FLOOR, places=0, share=0.1)),  # one place each
    ],
)
def test_what_may_hold_together_is_no_contradiction(first: Rule, second: Rule) -> None:
    check_rules([first, second])
