"""What a change of some users' events does to the counts: f(after) - f(before)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from itemlens_server.fusion.counts.events import KEY_BITS, SECOND, Events, distinct
from itemlens_server.fusion.counts.successions import HORIZON, Windows, basket_numbers, parts
from itemlens_server.fusion.event_log import Mask, days
from itemlens_server.fusion.rows import Ints


@dataclass(frozen=True, eq=False)
class Change:
    """The events of some users that count, before and after.

    same_first, same_last: how many events of each user are the same at the start and at the end, int64 [users]
    """

    before: Events
    after: Events
    same_first: Ints
    same_last: Ints

    @staticmethod
    def of(before: Events, after: Events) -> Change:
        """Compare the events of the same users."""
        shorter = np.minimum(before.sizes, after.sizes)
        first = _same(before, before.starts[:-1], after, after.starts[:-1], shorter, 1)
        last = _same(before, before.starts[1:] - 1, after, after.starts[1:] - 1, shorter - first, -1)
        return Change(before, after, first, last)

    @property
    def gained(self) -> Ints:
        """The items and days of takes that are new: item << KEY_BITS | day of the user's last event, int64."""
        keys, old, new = self._takes
        there = (new != old) & (new != _NEVER)
        return _take(keys[there], new[there])

    @property
    def lost(self) -> Ints:
        """Those that are not there any more."""
        keys, old, new = self._takes
        there = (new != old) & (old != _NEVER)
        return _take(keys[there], old[there])

    @cached_property
    def came(self) -> Ints:
        """The users and items of pairs that are new: place << KEY_BITS | item, int64, ascending."""
        keys, old, _ = self._takes
        own: Ints = keys[old == _NEVER]
        return own

    @cached_property
    def went(self) -> Ints:
        """Those that are not there any more."""
        keys, _, new = self._takes
        own: Ints = keys[new == _NEVER]
        return own

    def joined(self) -> Iterator[tuple[Ints, Ints]]:
        """Yield pairs of items that a user has now and had not before, one of which came, int64 [pairs] each. An item
        makes a pair with itself."""
        return _pairs(self.came, self._stayed)

    def left(self) -> Iterator[tuple[Ints, Ints]]:
        """Yield those that a user had before and has no more."""
        return _pairs(self.went, self._stayed)

    def windows(self) -> tuple[Windows, Windows]:
        """Return the windows before and after, outside of which all pairs of baskets are the same."""
        both = (self.before, self.after)
        # A basket at the edge that another event joins or leaves is touched, too.
        joined, followed = (np.zeros(len(self.same_first), np.bool_) for _ in both)
        for events in both:
            more = events.sizes > self.same_first
            joined |= _same_time(events, events.starts[:-1] + self.same_first, more & (self.same_first > 0))
            more = events.sizes > self.same_last
            followed |= _same_time(events, events.starts[1:] - self.same_last, more & (self.same_last > 0))
        one, other = (self._window(events, joined, followed) for events in both)
        return one, other

    def _window(self, events: Events, joined: Mask, followed: Mask) -> Windows:
        numbers, starts = basket_numbers(events)
        # One number beyond the end, which is never used, for users without events.
        at = np.append(numbers, 0)
        head, tail = self.same_first, self.same_last
        first = np.where(head > 0, at[events.starts[:-1] + head - 1] + ~joined, starts)
        end = at[events.starts[1:] - 1]
        last = np.where(tail > 0, at[events.starts[1:] - tail] - ~followed, end)
        # Without a basket on each side nothing is counted, as before an event that came at the end.
        last[(end < first) | (starts > last)] = -HORIZON - 1
        there = numbers >= (first - HORIZON)[events.owners]
        there &= numbers <= (last + HORIZON)[events.owners]
        return Windows(numbers[there], events.items[there], starts, first, last)

    @cached_property
    def _outside(self) -> Mask:
        """Which events of `after` are the same as before, bool [events]."""
        return _outside(self.after, self.same_first, self.same_last)

    @cached_property
    def _takes(self) -> tuple[Ints, Ints, Ints]:
        """The users and items of the events that are not the same, as ascending keys, and the days of the last take
        before and after, int64 [keys] each; _NEVER without any."""
        gone = ~_outside(self.before, self.same_first, self.same_last)
        new, same = ~self._outside, self._outside
        keys = distinct(np.concatenate([self.before.keys[gone], self.after.keys[new]]))
        stayed = _last_days(keys, self.after, same)
        return (
            keys,
            np.maximum(stayed, _last_days(keys, self.before, gone)),
            np.maximum(stayed, _last_days(keys, self.after, new)),
        )

    @cached_property
    def _stayed(self) -> Ints:
        """The users and items that were there before and are now, of users to whom items came or from whom they went:
        keys, int64, ascending."""
        changed = np.zeros(len(self.after.sizes), np.bool_)
        changed[np.concatenate([self.came, self.went]) >> KEY_BITS] = True
        keys = distinct(self.after.keys[changed[self.after.owners]])
        kept = np.ones(len(keys), np.bool_)
        kept[np.searchsorted(keys, self.came)] = False
        return keys[kept]


# Days are numbered from 0.
_NEVER = -1


def _take(keys: Ints, last: Ints) -> Ints:
    takes: Ints = ((keys & SECOND) << KEY_BITS) | last
    return takes


def _same(one: Events, from_: Ints, other: Events, other_from: Ints, most: Ints, step: int) -> Ints:
    """Return how many events in a row are equal for each user, at most `most`, int64 [users].

    from_, other_from: place of each user's first event to be compared; `step`: from one to the next, 1 or -1
    """
    owners = np.repeat(np.arange(len(most)), most)
    place = np.arange(len(owners)) - (np.cumsum(most) - most)[owners]
    differ = np.flatnonzero(
        one.numbers[from_[owners] + step * place] != other.numbers[other_from[owners] + step * place]
    )
    same = most.copy()
    np.minimum.at(same, owners[differ], place[differ])
    return same


def _same_time(events: Events, places: Ints, valid: Mask) -> Mask:
    """Return whether the event at each place has the time of the one before it, where `valid`; bool [users]."""
    same = np.zeros(len(places), np.bool_)
    at = places[valid]
    same[valid] = events.times[at] == events.times[at - 1]
    return same


def _outside(events: Events, first: Ints, last: Ints) -> Mask:
    """Return which events are among the first or the last of their user, bool [events]."""
    places, owners = np.arange(len(events)), events.owners
    return (places < (events.starts[:-1] + first)[owners]) | (places >= (events.starts[1:] - last)[owners])


def _last_days(keys: Ints, events: Events, some: Mask) -> Ints:
    """Return the day of the last of some events by user and item, int64 [keys]; _NEVER without any.

    keys: users and items, ascending. some: bool [events]
    """
    last = np.full(len(keys), _NEVER)
    if len(keys):
        own = events.keys[some]
        places = np.minimum(np.searchsorted(keys, own), len(keys) - 1)
        found = keys[places] == own
        np.maximum.at(last, places[found], days(events.times[some][found]))
    return last


def _pairs(own: Ints, stayed: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield each pair of an `own` item with those of the same user that stayed, with the `own` ones before it, and with
    itself. own, stayed: users and items, ascending keys
    """
    users = own >> KEY_BITS
    starts = np.searchsorted(stayed, users << KEY_BITS)
    sizes = np.searchsorted(stayed, (users + 1) << KEY_BITS) - starts
    before = np.searchsorted(own, users << KEY_BITS)
    for others, first, amounts in ((stayed, starts, sizes), (own, before, np.arange(len(own)) - before + 1)):
        for part in parts(np.cumsum(amounts)):
            some = amounts[part]
            which = np.repeat(np.arange(len(some)), some)
            places = np.arange(len(which)) + (first[part] - (np.cumsum(some) - some))[which]
            yield own[part][which] & SECOND, others[places] & SECOND
