"""The rules of a collection that are active for one list: what they block, cap, move up and pin.

They are applied in one order: what is blocked is not in the list; caps count as those of the request do; floors move
the best items that they lack up to the end of the list; pins take their places. A rule never brings in an item that
the request leaves out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from itemlens_server.errors import InvalidArgument, Warning, quoted
from itemlens_server.fusion.caps import FREE, Cap, Caps, check_cap, codes_of
from itemlens_server.fusion.rows import Bools, Ints, View
from itemlens_server.services.rule_masks import RuleMasks
from itemlens_server.storage.rules import BLOCK, CAP, FLOOR, PIN, Rule

ALL_RULES = "*"
NOT_APPLIED = "RULE_NOT_APPLIED"
# Items that a warning names at most.
SHOWN = 3
ALL_ROWS = slice(None)


@dataclass(frozen=True)
class PinnedRow:
    """A row and its place in the list, from 1. rule: the name of its rule."""

    place: int
    row: int
    rule: str


@dataclass(frozen=True)
class Floor:
    """At least `places` of the list are for rows of `matching`, bool [rows]."""

    rule: str
    places: int
    matching: Bools


class ActiveRules:
    """Rules over the rows of a view. Those whose filter or attribute does not fit the collection are left out, with
    a warning.

    warnings: what was not done. counts: how many items a rule blocked. Both grow.
    """

    def __init__(self, rules: Sequence[Rule], view: View, masks: RuleMasks) -> None:
        """`masks`: of the collection's records."""
        self.view = view
        self._masks = masks
        self.warnings: list[Warning] = []
        self.counts: dict[str, int] = {}
        # By rule: which records match its filter.
        self._matching: dict[str, Bools] = {}
        self.rules = [rule for rule in rules if self._fits(rule)]

    @staticmethod
    def of(
        rules: Sequence[Rule],
        view: View,
        masks: RuleMasks,
        surface: str,
        disabled: Collection[str],
        now: float,
    ) -> ActiveRules:
        """Return the rules that are active on a surface at a time. disabled: names of rules that do not count."""
        off = {rule.name for rule in rules} if ALL_RULES in disabled else set(disabled)
        active = [rule for rule in rules if rule.name not in off and rule.is_active(surface, now)]
        found = ActiveRules(active, view, masks)
        for name in sorted(off - {rule.name for rule in rules}):
            message = f"there is no rule {quoted(name)}, so it is not switched off"
            found.warnings.append(Warning("UNKNOWN_RULE", message, "disabled_rules"))
        return found

    def _fits(self, rule: Rule) -> bool:
        try:
            if rule.filter:
                self._matching[rule.name] = self._masks.of(rule.filter, self.view.attributes)
            if rule.kind == CAP:
                check_cap(Cap(rule.attribute, 1, "cap.attribute"), self.view.attributes.types)
        except InvalidArgument as error:
            self._warn(rule.name, f"does not fit the collection: {error.message}")
            return False
        return True

    def _warn(self, name: str, message: str) -> None:
        self.warnings.append(Warning(NOT_APPLIED, f"rule {name!r} {message}"))

    def _of(self, kind: str) -> list[Rule]:
        return [rule for rule in self.rules if rule.kind == kind]

    def _match(self, rule: Rule, rows: Ints | slice = ALL_ROWS) -> Bools:
        """Which of some rows match the filter of a rule, if it has one; bool [rows]."""
        records = self.view.records[rows]
        if rule.name not in self._matching:
            return np.ones(len(records), np.bool_)
        matching: Bools = self._matching[rule.name][records]
        return matching

    @cached_property
    def blocked(self) -> Sequence[tuple[str, Bools]]:
        """By name of a rule: which rows it blocks, bool [rows]."""
        found = []
        for rule in self._of(BLOCK):
            if rule.all_matching:
                rows = self._match(rule)
            else:
                positions = self.view.find(rule.item_ids)
                positions = positions[positions >= 0]
                rows = np.zeros(len(self.view.labels), np.bool_)
                rows[positions[self._match(rule, positions)]] = True
            found.append((rule.name, rows))
        return found

    def left(self, mask: Bools) -> Bools:
        """Return which items of a mask may be in the list, bool [rows]."""
        left = mask.copy()
        for name, rows in self.blocked:
            self.counts[name] = int(np.count_nonzero(left & rows))
            left &= ~rows
        if mask.any() and not left.any():
            message = "rules block every item that may be in the list, so the list is empty"
            self.warnings.append(Warning("FILTERED_OUT", message))
        return left

    def blocking(self, row: int) -> str | None:
        """Return the name of the first rule that blocks a row."""
        return next((name for name, rows in self.blocked if rows[row]), None)

    def caps(self, k: int) -> list[tuple[Cap, Ints]]:
        """Return the caps of a list of `k`, each with the codes of its values; see `codes_of`."""
        found = []
        for rule in self._of(CAP):
            cap = Cap(rule.attribute, rule.most(k), "", rule.name)
            codes = codes_of(cap, self.view)
            if rule.name in self._matching:
                codes = np.where(self._match(rule), codes, FREE)
            found.append((cap, codes))
        return found

    def floors(self, k: int) -> list[Floor]:
        """Return the floors of a list of `k`."""
        found = []
        for rule in self._of(FLOOR) if k else ():
            places = rule.least(k)
            if places > k:
                self._warn(rule.name, f"asks for {places} places of a list that has {k}")
            found.append(Floor(rule.name, min(places, k), self._match(rule)))
        return found

    def warn_of_floor(self, floor: Floor, places: int) -> None:
        """Warn that a floor has only so many places, since nothing else that matches may be in the list."""
        self._warn(
            floor.rule, f"has {places} of its {floor.places} places: nothing else that matches has room"
        )

    def pins(self, mask: Bools, k: int, caps: Caps) -> list[PinnedRow]:
        """Return the rows that take places of a list of `k`, by place. mask: the items that may be in the list."""
        wanted = sorted(
            ((pin, rule) for rule in self._of(PIN) for pin in rule.pins if pin.position <= k),
            key=lambda own: own[0].position,
        )
        found: list[PinnedRow] = []
        if not wanted:
            return found
        room = caps.room(())
        not_done: dict[tuple[str, str], list[str]] = {}
        for pin, rule in wanted:
            row = self.view.position(pin.item_id)
            if row is None or not self.view.alive[row]:
                why = "not in the collection"
            elif not self._match(rule, np.asarray([row]))[0]:
                continue  # as the rule says
            elif not mask[row]:
                by = self.blocking(row)
                why = f"blocked by rule {by!r}" if by else "left out by the request, or seen by the user"
            elif not room.has(np.asarray([row]))[0]:
                why = "no room under a cap beside other pinned items"
            else:
                found.append(PinnedRow(pin.position, row, rule.name))
                room.join(row)
                continue
            not_done.setdefault((rule.name, why), []).append(pin.item_id)
        for (name, why), item_ids in not_done.items():
            more = f" and {len(item_ids) - SHOWN} more" if len(item_ids) > SHOWN else ""
            self._warn(name, f"does not pin {', '.join(map(quoted, item_ids[:SHOWN]))}{more}: {why}")
        return found
