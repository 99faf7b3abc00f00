"""Checks of rules against the types of a collection's attributes, when settings change."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

from itemlens_server.attributes.schema import AttributeType
from itemlens_server.attributes.table import AttributeTable
from itemlens_server.errors import InvalidArgument
from itemlens_server.fusion.caps import Cap, check_cap
from itemlens_server.services.rule_checks import values_of
from itemlens_server.services.rule_masks import condition
from itemlens_server.storage.rules import CAP, FLOOR, Rule

Types = Mapping[str, AttributeType]
# Items have one value of an attribute of these types, and different values in a filter are different ones.
_SINGLE = (AttributeType.STRING, AttributeType.NUMBER, AttributeType.INTEGER, AttributeType.BOOLEAN)


def check_fit(rules: Sequence[Rule], types: Types, old_rules: Collection[Rule], old_types: Types) -> None:
    """Check that rules fit the attributes of a collection that has items. A rule that is not new is refused only if
    it fitted the old types.

    Raises:
        InvalidArgument: an attribute is unknown, or of a type that does not fit, or floors contradict each other.
    """
    for n, rule in enumerate(rules):
        error = _error(rule, types)
        if error is None:
            continue
        if rule not in old_rules:
            raise error.within(f"settings.rules[{n}]")
        if _error(rule, old_types) is None:
            raise InvalidArgument(
                f"rule {rule.name!r} would no longer fit: {error.message}; change the rule in the same call",
                "settings.attributes",
            )
    for (_, first), (n, second) in combinations(enumerate(rules), 2):
        if first in old_rules and second in old_rules:
            continue
        if (
            first.meets(second)
            and first.kind == second.kind == FLOOR
            and first.share + second.share > 1 + 1e-9
        ):
            own, others = values_of(first), values_of(second)
            single = [name for name in own.keys() & others.keys() if types.get(name) in _SINGLE]
            if any(own[name].isdisjoint(others[name]) for name in single):
                raise InvalidArgument(
                    f"no item matches both floors {first.name!r} and {second.name!r}, whose shares are more than the "
                    "whole list; change one of them, or give them other times or surfaces",
                    f"settings.rules[{n}].floor.share",
                )


def _error(rule: Rule, types: Types) -> InvalidArgument | None:
    """What does not fit the types."""
    try:
        if rule.filter:
            condition(rule.filter).mask(AttributeTable(types).view())
        if rule.kind == CAP:
            check_cap(Cap(rule.attribute, 1, "cap.attribute"), types)
    except InvalidArgument as error:
        return error
    return None
