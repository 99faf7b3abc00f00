"""Checks of rules when they are set: each by itself, and whether they contradict each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from itemlens_server.attributes.filters import (
    MOST_CONDITIONS,
    MOST_DISTANCES,
    All,
    Compare,
    Filter,
    Literal,
    Near,
    OneOf,
    leaves,
)
from itemlens_server.attributes.schema import FIRST_SECOND, LAST_SECOND
from itemlens_server.errors import InvalidArgument, quoted
from itemlens_server.services.limits import DEFAULT_K, check_count, check_id, check_name, check_named
from itemlens_server.services.rule_masks import condition
from itemlens_server.storage.rules import BLOCK, CAP, FLOOR, PIN, Rule

MOST_RULES, MOST_SURFACES, MOST_PINS, MOST_BLOCKED = 50, 20, 100, 1000
MOST_PLACES = 1000


def check_rules(rules: Sequence[Rule]) -> None:
    """Check rules.

    Raises:
        InvalidArgument: a rule is wrong, or contradicts another one; the error names its field in the settings.
    """
    check_count(rules, MOST_RULES, "settings.rules")
    check_named(rules, "settings.rules", _check)
    _check_conditions(rules)
    for (_, first), (n, second) in combinations(enumerate(rules), 2):
        if first.meets(second):
            for field, message in _contradictions(first, second):
                raise InvalidArgument(
                    f"{message}; change one of the rules {first.name!r} and {second.name!r}, or give them other times "
                    "or surfaces", f"settings.rules[{n}].{field}",
                )  # fmt: skip


def _check(rule: Rule) -> None:
    check_name(rule.name)
    for field, time in (("start_time", rule.start), ("end_time", rule.end)):
        if time is not None and not FIRST_SECOND <= time < LAST_SECOND:
            raise InvalidArgument("the time is out of range; give one of the years 1 to 9999", field)
    if rule.start is not None and rule.end is not None and rule.start >= rule.end:
        raise InvalidArgument("the end is not after the start, so the rule never applies", "end_time")
    check_count(rule.surfaces, MOST_SURFACES, "surfaces")
    for n, surface in enumerate(rule.surfaces):
        check_name(surface, f"surfaces[{n}]")
    if rule.filter:
        condition(rule.filter)
    if rule.kind == PIN:
        _check_pins(rule)
    elif rule.kind == BLOCK:
        check_count(rule.item_ids, MOST_BLOCKED, "block.item_ids")
        for n, item_id in enumerate(rule.item_ids):
            check_id(item_id, f"block.item_ids[{n}]")
        if bool(rule.item_ids) == rule.all_matching:
            raise InvalidArgument(
                "give the items to block, or all_matching; a rule without items to block is to be left out",
                "block",
            )
        if rule.all_matching and not rule.filter:
            raise InvalidArgument("a filter is required: it says which items are blocked", "filter")
    elif rule.kind == CAP:
        if not rule.attribute:
            raise InvalidArgument("an attribute is required", "cap.attribute")
        _check_limit(rule, "cap")
    elif rule.kind == FLOOR:
        if not rule.filter:
            raise InvalidArgument("a filter is required: it says which items have the places", "filter")
        _check_limit(rule, "floor")
    else:
        raise InvalidArgument("a kind is required: one of pin, block, cap, floor", "kind")


def _check_conditions(rules: Sequence[Rule]) -> None:
    """Check that all rules together have no more conditions than one filter may have, since each list looks at all."""
    conditions = distances = 0
    for n, rule in enumerate(rules):
        own = leaves(condition(rule.filter)) if rule.filter else []
        conditions += len(own)
        distances += sum(isinstance(leaf, Near) for leaf in own)
        if conditions > MOST_CONDITIONS or distances > MOST_DISTANCES:
            raise InvalidArgument(
                f"up to here the filters of the rules have {conditions} conditions, {distances} of them near(); the "
                f"limits of all together are {MOST_CONDITIONS} and {MOST_DISTANCES}; `in (...)` takes any number of "
                "values", f"settings.rules[{n}].filter",
            )  # fmt: skip


def _check_pins(rule: Rule) -> None:
    if not rule.pins:
        raise InvalidArgument("give the items to pin", "pin.pins")
    check_count(rule.pins, MOST_PINS, "pin.pins")
    for n, pin in enumerate(rule.pins):
        field = f"pin.pins[{n}]"
        check_id(pin.item_id, f"{field}.item_id")
        if not 1 <= pin.position <= MOST_PLACES:
            raise InvalidArgument(
                f"the position is {pin.position}; it must be 1 to {MOST_PLACES}", f"{field}.position"
            )
        if any(other.position == pin.position for other in rule.pins[:n]):
            raise InvalidArgument(f"two items have position {pin.position}", f"{field}.position")
        if any(other.item_id == pin.item_id for other in rule.pins[:n]):
            raise InvalidArgument(f"{quoted(pin.item_id)} has two positions", f"{field}.item_id")


def _check_limit(rule: Rule, kind: str) -> None:
    if rule.share:
        if not 0 < rule.share <= 1:
            raise InvalidArgument(
                f"{rule.share} is not a share; it must be above 0 and at most 1", f"{kind}.share"
            )
    elif not 1 <= rule.places <= MOST_PLACES:
        raise InvalidArgument(
            f"the number of places is {rule.places}; it must be 1 to {MOST_PLACES}, the longest list",
            f"{kind}.places",
        )


def _contradictions(first: Rule, second: Rule) -> Iterator[tuple[str, str]]:
    """Yield what two rules that meet contradict each other in: the field of the second, and a message."""
    yield from _of_pins(first, second)
    for one, other, turned in ((first, second, False), (second, first, True)):
        if one.kind == BLOCK and other.kind == PIN:
            blocked = set(one.item_ids)
            for n, pin in enumerate(other.pins):
                if pin.item_id in blocked:
                    at = one.item_ids.index(pin.item_id)
                    field = f"block.item_ids[{at}]" if turned else f"pin.pins[{n}].item_id"
                    yield field, f"{quoted(pin.item_id)} is pinned and blocked"
        if one.kind == BLOCK and other.kind == FLOOR and one.all_matching and one.filter == other.filter:
            yield "filter", "what the filter matches is blocked and has places"
        if one.kind == CAP and other.kind == FLOOR and _is_below(one, other):
            field = "cap" if turned else "floor"
            yield field, f"a cap on {quoted(one.attribute)} allows fewer places than the floor asks for"


def _of_pins(first: Rule, second: Rule) -> Iterator[tuple[str, str]]:
    positions = {pin.position for pin in first.pins}
    items = {pin.item_id for pin in first.pins}
    for n, pin in enumerate(second.pins):
        if pin.position in positions:
            yield f"pin.pins[{n}].position", f"two items have position {pin.position}"
        if pin.item_id in items:
            yield f"pin.pins[{n}].item_id", f"{quoted(pin.item_id)} has two positions"


def _is_below(cap: Rule, floor: Rule) -> bool:
    """Whether a cap allows fewer items than a floor asks for, all of them of values of the cap's attribute. Shares are
    those of a list of the default length."""
    if cap.filter not in ("", floor.filter):
        return False
    values = values_of(floor).get(cap.attribute)
    if values is None:
        return False
    if bool(cap.share) != bool(floor.share):
        return False  # which of them asks for more depends on the list
    return cap.most(DEFAULT_K) * len(values) < floor.least(DEFAULT_K)


def values_of(rule: Rule) -> dict[str, set[Literal]]:
    """Return the values that the items of a rule's filter may have, by attribute, as far as it says so."""
    whole = condition(rule.filter)
    parts: Sequence[Filter] = whole.parts if isinstance(whole, All) else (whole,)
    found: dict[str, set[Literal]] = {}
    for part in parts:
        if isinstance(part, Compare) and part.op == "=":
            found[part.attribute.name] = {part.value}
        elif isinstance(part, OneOf):
            found[part.attribute.name] = set(part.values)
    return found
