"""Rules for the lists of a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

from ._build import timestamp
from ._values import named, number, string, strings, whole
from .v1 import catalog_pb2


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule for lists, such as a merchandiser's: a PinRule, BlockRule, CapRule or FloorRule.

    Rules are applied in this order: what is blocked is not in the list; caps count; floors move items up; pins take
    their places. No rule brings in an item that the request leaves out.
    """

    name: str
    """1 to 64 characters of a-z, 0-9, '_' and '-'. Replies name the rules that were active."""
    start: datetime | None = None
    """When it begins to apply, with a time zone. None: it applies already."""
    end: datetime | None = None
    """When it ends, with a time zone. None: it does not."""
    surfaces: Sequence[str] = ()
    """The `surface`s of requests that it applies to. Empty: all lists."""
    filter: str = ""
    """Only items that match it are pinned, blocked, counted by a cap, or have places of a floor. Empty: all."""


@dataclass(frozen=True, kw_only=True)
class PinRule(Rule):
    """Items have given places: `PinRule(name="spring", pins={1: "boots", 3: "tent"})`.

    A list that is shorter does not have the place. Scores and parts of the items stay what they are.
    """

    pins: Mapping[int, str]
    """Ids of items by position, from 1; at most 100."""


@dataclass(frozen=True, kw_only=True)
class BlockRule(Rule):
    """Items are in no list: `BlockRule(name="recall", item_ids=["kettle"])`, or all that match the `filter`."""

    item_ids: Sequence[str] | None = None
    """1 to 1,000. None: all items that match `filter`, which is then required. An empty list is refused: leave the rule
    out."""


@dataclass(frozen=True, kw_only=True)
class CapRule(Rule):
    """At most so many places for items with one value of an attribute: `CapRule(name="brands", attribute="brand",
    places=3)`. Give `places` or `share`."""

    attribute: str
    """An attribute of one text, number, truth value or time, such as a brand or a seller."""
    places: int | None = None
    """Most places, at least 1."""
    share: float | None = None
    """Most places as a share of the `k` that is asked for, or of the items that may be in the list if these are fewer;
    above 0 and at most 1, rounded down, at least one place."""


@dataclass(frozen=True, kw_only=True)
class FloorRule(Rule):
    """At least so many places for the items that match the `filter`: `FloorRule(name="own", filter='brand = "Alto"',
    places=2)`. Give `places` or `share`. The best of those that are missing are moved up to the end of the list."""

    places: int | None = None
    """Least places, at least 1."""
    share: float | None = None
    """Least places as a share of the list, above 0 and at most 1, rounded up."""


RULES: tuple[type[Rule], ...] = (PinRule, BlockRule, CapRule, FloorRule)


def message(given: Rule) -> catalog_pb2.Rule:
    """A rule as a message. Errors name it."""
    with named(f"rule {given.name!r:.80}"):
        made = catalog_pb2.Rule(
            name=string(given.name, "name"),
            start_time=timestamp(given.start),
            end_time=timestamp(given.end),
            surfaces=strings(given.surfaces, "surfaces"),
            filter=string(given.filter, "filter"),
        )
        match given:
            case PinRule():
                _set_pins(made.pin, given.pins)
            case BlockRule():
                _set_blocked(made.block, given.item_ids)
            case CapRule():
                made.cap.attribute = string(given.attribute, "attribute")
                _set_limit(made.cap, given.places, given.share)
            case FloorRule():
                _set_limit(made.floor, given.places, given.share)
    return made


def _set_pins(made: catalog_pb2.PinRule, pins: Mapping[int, str]) -> None:
    made.SetInParent()
    if not isinstance(pins, Mapping):
        raise TypeError("pins must be a dict from position to item id")
    for position, item_id in pins.items():
        made.pins.add(position=whole(position, "pins"), item_id=string(item_id, "pins"))


def _set_blocked(made: catalog_pb2.BlockRule, item_ids: Sequence[str] | None) -> None:
    if item_ids is None:
        made.all_matching = True
    elif not (ids := strings(item_ids, "item_ids")):
        raise ValueError(
            "item_ids is empty: leave the rule out, or give None to block all that match the filter"
        )
    else:
        made.item_ids.extend(ids)


def _set_limit(
    message: catalog_pb2.CapRule | catalog_pb2.FloorRule, places: int | None, share: float | None
) -> None:
    if (places is None) == (share is None):
        raise ValueError("give `places` or `share`")
    if places is not None:
        message.places = whole(places, "places")
    if share is not None:
        message.share = number(share, "share")


class _RuleFields(TypedDict):
    name: str
    start: datetime | None
    end: datetime | None
    surfaces: tuple[str, ...]
    filter: str


class _Limit(TypedDict):
    places: int | None
    share: float | None


def read(given: catalog_pb2.Rule) -> Rule:
    """Return the rule of a message that has a kind."""
    common = _RuleFields(
        name=given.name,
        start=given.start_time.ToDatetime(UTC) if given.HasField("start_time") else None,
        end=given.end_time.ToDatetime(UTC) if given.HasField("end_time") else None,
        surfaces=tuple(given.surfaces),
        filter=given.filter,
    )
    match given.WhichOneof("kind"):
        case "pin":
            return PinRule(**common, pins={pin.position: pin.item_id for pin in given.pin.pins})
        case "block":
            return BlockRule(
                **common, item_ids=None if given.block.all_matching else tuple(given.block.item_ids)
            )
        case "cap":
            return CapRule(**common, attribute=given.cap.attribute, **_limit(given.cap))
    return FloorRule(**common, **_limit(given.floor))


def _limit(given: catalog_pb2.CapRule | catalog_pb2.FloorRule) -> _Limit:
    by_share = given.WhichOneof("limit") == "share"
    return _Limit(places=None if by_share else given.places, share=given.share if by_share else None)
