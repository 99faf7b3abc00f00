"""What a change of users' events does to the counts: f(new) - f(old), collected for all users of a write."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from itemlens_server.fusion.counts.successions import Window, changed_windows
from itemlens_server.fusion.counts.user_events import TAKE_BITS, UserEvents
from itemlens_server.fusion.rows import Ints


@dataclass
class Change:
    """Parts to add and to take away.

    of_pairs:     whether pairs and windows are collected, else what came to users and went
    gained, lost: takes of each user (see `UserEvents.takes`), int64
    joined, left: pairs of items that a user has now, and had before, with the items that came or went; an item makes a
                  pair with itself
    after, before: windows of baskets
    came, went:    users with the items that are new to them, and that they have no more
    """

    of_pairs: bool = True
    gained: list[Ints] = field(default_factory=list)
    lost: list[Ints] = field(default_factory=list)
    joined: list[tuple[Ints, Ints]] = field(default_factory=list)
    left: list[tuple[Ints, Ints]] = field(default_factory=list)
    after: list[Window] = field(default_factory=list)
    before: list[Window] = field(default_factory=list)
    came: list[tuple[int, Ints]] = field(default_factory=list)
    went: list[tuple[int, Ints]] = field(default_factory=list)

    def add(self, before: UserEvents, after: UserEvents, user: int) -> None:
        """Add the change of a user's events that count. user: the number of the user (see `Histories.number`)."""
        old, new = before.takes(), after.takes()
        gained, lost = _without(new, old), _without(old, new)
        if len(gained):
            self.gained.append(gained)
        if len(lost):
            self.lost.append(lost)
        # The items that came and went.
        came = _without(gained >> TAKE_BITS, lost >> TAKE_BITS)
        went = _without(lost >> TAKE_BITS, gained >> TAKE_BITS)
        if not self.of_pairs:
            self.came.append((user, came))
            self.went.append((user, went))
            return
        if len(came) or len(went):
            stayed = _without(new >> TAKE_BITS, came)
            if len(came):
                self.joined.append(_pairs(came, stayed))
            if len(went):
                self.left.append(_pairs(went, stayed))
        windows = changed_windows(before, after)
        for window, windows_ in zip(windows, (self.before, self.after), strict=True):
            if len(window.numbers):
                windows_.append(window)


def _without(values: Ints, others: Ints) -> Ints:
    """Return the `values` that are not among the `others`; both ascending and different."""
    if not len(values) or not len(others):
        return values
    places = np.minimum(np.searchsorted(others, values), len(others) - 1)
    different: Ints = values[others[places] != values]
    return different


def _pairs(own: Ints, stayed: Ints) -> tuple[Ints, Ints]:
    """Return each pair of an `own` item with those that stayed, with the `own` ones before it, and with itself."""
    both = np.concatenate([stayed, own])
    reach = len(stayed) + np.arange(len(own))
    rows, columns = np.nonzero(np.arange(len(both)) <= reach[:, None])
    return own[rows], both[columns]
