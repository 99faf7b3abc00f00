"""What happens to the events of users, step by step, and the counts that follow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from itemlens_server.fusion.counts.counts import Counts, Event
from itemlens_server.fusion.counts.recount import Recount
from itemlens_server.fusion.event_log import SECONDS_PER_DAY, EventLog
from itemlens_server.fusion.taken import BOUGHT, GLANCE, REJECTED, RETURNED, TAKE

USERS, ITEMS = "uvw", "abcdefg"
# A user, an item and a time in thirds of a day.
EVENT = st.tuples(st.sampled_from(USERS), st.sampled_from(ITEMS), st.integers(0, 9))


@dataclass(frozen=True)
class Added:
    events: Sequence[tuple[str, str, int]]


@dataclass(frozen=True)
class Removed:
    """The events at `places` of all, as far as they are the user's."""

    user: str
    places: Sequence[int]


@dataclass(frozen=True)
class Forgotten:
    user: str


@dataclass(frozen=True)
class Merged:
    source: str
    target: str


Step = Added | Removed | Forgotten | Merged
_USER = st.sampled_from(USERS)
STEP: st.SearchStrategy[Step] = st.one_of(
    st.builds(Added, st.lists(EVENT, min_size=1, max_size=12)),
    st.builds(Removed, _USER, st.lists(st.integers(0, 30), max_size=8)),
    st.builds(Forgotten, _USER),
    st.builds(Merged, _USER, _USER),
)
STEPS = st.lists(STEP, max_size=12)
# More items than there are, and fewer: with matrices, and without.
BOUNDS = st.sampled_from([100, 3])


def kind(number: int) -> int:
    """What the event with a number is, in a story of all kinds of events."""
    return (TAKE, BOUGHT, RETURNED, GLANCE, REJECTED, BOUGHT, BOUGHT, GLANCE)[number % 8]


class Story:
    """Counts, and the events that they must be of. mixed: events are of all kinds, instead of takes."""

    def __init__(self, bound: int = 100, mixed: bool = False) -> None:
        self.counts, self.events, self.last, self.mixed = Counts(bound), list[Event](), 0, mixed

    def tell(self, *steps: Step) -> None:
        for step in steps:
            match step:
                case Added(events):
                    self._add(events)
                case Removed(user, places):
                    gone = {e[3] for n, e in enumerate(self.events) if n in places and e[0] == user}
                    self.counts.remove(user, gone)
                    self.events = [event for event in self.events if event[3] not in gone]
                case Forgotten(user):
                    self.counts.remove(user, [event[3] for event in self.events if event[0] == user])
                    self.events = [event for event in self.events if event[0] != user]
                case Merged(source, target):
                    self.counts.merge(source, target)
                    self.events = [(target if u == source else u, i, t, n) for u, i, t, n in self.events]

    def _add(self, events: Sequence[tuple[str, str, int]]) -> None:
        new = [
            (user, item, time * SECONDS_PER_DAY / 3, self.last + n)
            for n, (user, item, time) in enumerate(events, 1)
        ]
        self.last += len(new)
        self.events += new
        if self.mixed:
            self.counts.add(new, kinds=[kind(number) for *_, number in new])
        else:
            self.counts.add(new)


def recount(events: Sequence[Event], mixed: bool = False) -> Recount:
    """The counts of all events at once."""
    ordered = sorted(events, key=lambda event: (event[0], event[2], event[3]))
    log = EventLog.of(((u, i, 1, t) for u, i, t, _ in ordered), {1: 1.0})
    kinds = np.asarray([kind(number) for *_, number in ordered], np.int8)
    return Recount.of(log, kinds=kinds if mixed else None)
