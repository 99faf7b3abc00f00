"""Rules for the lists of a collection, as they are stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PIN, BLOCK, CAP, FLOOR = "PIN", "BLOCK", "CAP", "FLOOR"


@dataclass(frozen=True)
class Pin:
    """An item and its place in a list, from 1."""

    position: int
    item_id: str


@dataclass(frozen=True)
class Rule:
    """A rule. The fields are those of the proto's Rule. Times are seconds since 1970.

    kind: PIN, BLOCK, CAP or FLOOR; it has the fields `pins`, `item_ids` or `all_matching`, `attribute` and a limit, and
        a limit
    places, share: the limit, of which one is above 0
    """

    name: str
    kind: str
    start: float | None = None
    end: float | None = None
    surfaces: tuple[str, ...] = ()
    filter: str = ""
    pins: tuple[Pin, ...] = ()
    item_ids: tuple[str, ...] = ()
    all_matching: bool = False
    attribute: str = ""
    places: int = 0
    share: float = 0.0

    @staticmethod
    def parse(value: Mapping[str, Any]) -> Rule:
        """Return the rule of the JSON object of its fields."""
        lists = {
            "surfaces": tuple(value.get("surfaces", ())),
            "item_ids": tuple(value.get("item_ids", ())),
            "pins": tuple(Pin(**pin) for pin in value.get("pins", ())),
        }
        return Rule(**{**value, **lists})

    def most(self, k: int) -> int:
        """Return how many places of a list of `k` a cap allows."""
        return self.places or max(1, math.floor(self.share * k + 1e-9))

    def least(self, k: int) -> int:
        """Return how many places of a list of `k` a floor asks for."""
        return self.places or math.ceil(self.share * k - 1e-9)

    def is_active(self, surface: str, now: float) -> bool:
        """Return whether the rule is for lists on a surface at a time."""
        on_time = (self.start is None or self.start <= now) and (self.end is None or now < self.end)
        return on_time and (not self.surfaces or surface in self.surfaces)

    def meets(self, other: Rule) -> bool:
        """Return whether there may be a list that both rules are for."""
        starts = [rule.start for rule in (self, other) if rule.start is not None]
        ends = [rule.end for rule in (self, other) if rule.end is not None]
        at_once = not starts or not ends or max(starts) < min(ends)
        same = not self.surfaces or not other.surfaces or not set(self.surfaces).isdisjoint(other.surfaces)
        return at_once and same
