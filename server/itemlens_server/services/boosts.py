"""The boosts of a list: those that the request gives, and those of the collection's settings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.attributes.boosts import Boost
from itemlens_server.attributes.shapes import ByItem
from itemlens_server.errors import InvalidArgument, Warning, quoted
from itemlens_server.fusion.boosts import AppliedBoost
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.rows import Ints
from itemlens_server.services.limits import check_count, check_named, check_references

# Of one list, and of the settings of a collection.
MOST_BOOSTS, MOST_NAMED = 10, 50


@dataclass(frozen=True)
class BoostChoice:
    """What a request says of the boosts of its list.

    boosts: with a shape, or the names alone of those of the settings. without: names of those of the settings that are
    on by default, but not in this list.
    """

    boosts: Sequence[Boost] = ()
    without: Sequence[str] = ()

    def check(self) -> None:
        """Check what needs no collection.

        Raises:
            InvalidArgument: a field is wrong.
        """
        check_count(self.boosts, MOST_BOOSTS, "boosts")
        check_references(self.without, "without_boosts")
        check_named(self.boosts, "boosts", _check_asked)

    def of(self, settings: Sequence[Boost]) -> list[tuple[Boost, str]]:
        """Return the boosts of the list, each with its path in the request; "" for one of the settings.

        Raises:
            InvalidArgument: a name is not in the settings, or there are too many.
        """
        known = {boost.name: boost for boost in settings}
        for n, name in enumerate(self.without):
            if name not in known:
                raise InvalidArgument(_no_boost(name, known), f"without_boosts[{n}]")
        own = {boost.name for boost in self.boosts} | set(self.without)
        chosen = [(boost, "") for boost in settings if boost.by_default and boost.name not in own]
        for n, boost in enumerate(self.boosts):
            if boost.shape is not None:
                chosen.append((boost, f"boosts[{n}]"))
            elif boost.name in known:
                chosen.append((known[boost.name], ""))
            else:
                raise InvalidArgument(
                    f"{_no_boost(boost.name, known)}; give it a shape, or one of these names",
                    f"boosts[{n}].name",
                )
        if len(chosen) > MOST_BOOSTS:
            raise InvalidArgument(
                f"{len(chosen)} boosts with those that are on by default, the limit is {MOST_BOOSTS}; leave some out "
                "with `without_boosts`", "boosts",
            )  # fmt: skip
        return chosen


NO_BOOSTS = BoostChoice()


def boosted(asking: Asking, settings: Sequence[Boost], choice: BoostChoice) -> tuple[Asking, list[Warning]]:
    """Return `asking` with the boosts of its list. settings: those of the collection's settings.

    A boost of the settings that does not fit the attributes adds nothing, so that a change of these does not take lists
    away; a warning says so.

    Raises:
        InvalidArgument: a boost of the request is unknown, or does not fit the attributes.
    """
    applied, warnings, now = [], [], time.time()
    for boost, field in choice.of(settings):
        try:
            applied.append(AppliedBoost.of(boost, asking.snapshot.view, now))
        except InvalidArgument as error:
            if field:
                raise error.within(field) from None
            message = f"boost {quoted(boost.name)} of the settings adds nothing: {error.message}"
            warnings.append(Warning("BOOST_IGNORED", message, "boosts"))
    return replace(asking, boosts=tuple(applied)), warnings


def outweighing(boosts: Sequence[AppliedBoost], positions: Ints, alpha: Array) -> list[Warning]:
    """Return warnings of boosts that differ more between the scored items than all else does, so that they alone make
    the order. The spread is a standard deviation; that of all else is of the largest interest.

    positions: the scored items of this interest. alpha: their scores, float32 [positions].
    """
    warnings: list[Warning] = []
    for boost in boosts if len(positions) > 1 else ():
        own = boost.nats[positions]
        spread, others = float(np.std(own)), float(np.std(alpha - own))
        if spread > others:
            message = (
                f"boost {quoted(boost.name)} outweighs all else: its standard deviation over the scored items is "
                f"{spread:.2g} nats, that of everything else {others:.2g}; give it fewer nats unless that is meant"
            )
            warnings.append(Warning("BOOST_OUTWEIGHS", message, "boosts"))
    return warnings


def check_boosts(boosts: Sequence[Boost]) -> None:
    """Check boosts of settings.

    Raises:
        InvalidArgument: a field is wrong; the error names it.
    """
    check_count(boosts, MOST_NAMED, "settings.boosts")
    check_named(boosts, "settings.boosts", _check_kept)
    if sum(boost.by_default for boost in boosts) > MOST_BOOSTS:
        raise InvalidArgument(f"at most {MOST_BOOSTS} boosts may be on by default", "settings.boosts")


def _check_asked(boost: Boost) -> None:
    """Check a boost of a request."""
    boost.check()
    if boost.by_default:
        raise InvalidArgument("only boosts of the settings of a collection are on by default", "by_default")


def _check_kept(boost: Boost) -> None:
    """Check a boost of settings."""
    boost.check()
    if boost.shape is None:
        raise InvalidArgument("a shape is required", "shape")
    if isinstance(boost.shape, ByItem):
        raise InvalidArgument("nats of items are given in requests; in settings, boost an attribute", "items")


def _no_boost(name: str, known: dict[str, Boost]) -> str:
    return f"{quoted(name)} is no boost of the collection's settings; there are: {', '.join(known) or 'none'}"
