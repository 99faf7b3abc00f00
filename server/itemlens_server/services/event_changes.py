"""A user's events: their list, their deletion one by one or all at once, and those that are given to another user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from itemlens_server.config import Settings
from itemlens_server.errors import InvalidArgument, NotFound
from itemlens_server.services.answers import Answers
from itemlens_server.services.collection import Collection
from itemlens_server.services.items import WriteOutcome
from itemlens_server.services.known_users import KnownUsers
from itemlens_server.services.limits import check_id, check_length, check_reference, check_references
from itemlens_server.services.results import RecentResults
from itemlens_server.storage import event_changes, writes
from itemlens_server.storage.records import EventRecord
from itemlens_server.storage.store import Store


@dataclass(frozen=True)
class EventChanges:
    """What is done to recorded events. collections: all of the moment. settings: `max_events`, ids of a call."""

    store: Store
    collections: Callable[[], list[Collection]]
    known_users: KnownUsers
    results: RecentResults
    answers: Answers
    settings: Settings

    def page(
        self, collection: Collection, user_id: str, after: int, size: int
    ) -> list[tuple[int, EventRecord]]:
        """The next `size` events of a user after a row, in the order of recording, with their rows.

        Raises:
            InvalidArgument: `user_id` is empty.
        """
        _check_user(user_id, "user_id")
        return self.store.reader().events_of(collection.record.id, user_id, after, size)

    def delete(self, collection: Collection, event_ids: Sequence[str]) -> tuple[list[WriteOutcome], int]:
        """Delete events. Return the outcome of each, and the sequence number."""
        check_length(event_ids, self.settings.max_events, "event_ids")
        check_references(event_ids, "event_ids")
        number = collection.record.id

        def after(result: tuple[dict[str, tuple[str, int]], int, int]) -> None:
            rows: dict[str, list[int]] = {}
            for user_id, row in result[0].values():
                rows.setdefault(user_id, []).append(row)
            for current in self._current(number):
                for user_id, own in rows.items():
                    current.event_tables.forget_events(user_id, own)

        wanted, done, deleted = list(dict.fromkeys(event_ids)), 0, dict[str, tuple[str, int]]()
        try:
            while True:  # in slices, so that other writes can run in between
                write = partial(event_changes.delete_events, collection=number, event_ids=wanted[done:])
                gone, sequence, count = self.store.delete(write, after)
                deleted |= gone
                done += count
                if done >= len(wanted):
                    break
        finally:  # also where a slice fails: the ones before it are gone
            users = {user_id for user_id, _ in deleted.values()}
            self.known_users.forget(number, users)
            for user_id in users:
                self.results.forget(collection.name, user_id)
        missing = "event {!r} is not in collection {!r}"
        return [
            WriteOutcome(i)
            if i in deleted
            else WriteOutcome(i, NotFound(missing.format(i, collection.name), "event", i))
            for i in event_ids
        ], sequence

    def delete_user(self, collections: Sequence[Collection], user_id: str) -> int:
        """Delete a user's events and kept answers in some collections. Return the number of events.

        Raises:
            InvalidArgument: `user_id` is empty.
        """
        _check_user(user_id, "user_id")
        numbers, deleted, all_gone = [c.record.id for c in collections], 0, False

        def after(result: tuple[dict[int, list[int]], bool]) -> None:
            for number, rows in result[0].items():
                for current in self._current(number):
                    current.event_tables.forget_events(user_id, rows)

        try:
            while not all_gone:  # in slices, so that other writes can run in between
                gone, all_gone = self.store.delete(lambda c: writes.delete_user(c, numbers, user_id), after)
                deleted += sum(map(len, gone.values()))
        finally:  # also where a slice fails: the ones before it are gone
            for collection in collections:
                self.known_users.forget(collection.record.id, [user_id])
                self.results.forget(collection.name, user_id)
            self.answers.forget(numbers, user_id)
        return deleted

    def merge(self, collections: Sequence[Collection], source: str, target: str) -> int:
        """Give the events of one user to another, in some collections. Return their number.

        Raises:
            InvalidArgument: one of the ids is empty, or both are equal.
        """
        _check_user(source, "from_user_id")
        check_id(target, "into_user_id")
        if source == target:
            raise InvalidArgument("from_user_id and into_user_id are the same user", "into_user_id")
        numbers = [collection.record.id for collection in collections]

        def after(moved: dict[int, int]) -> None:
            for number in moved:
                for current in self._current(number):
                    current.event_tables.merge_users(source, target)

        try:
            moved = self.store.delete(lambda c: event_changes.merge_users(c, numbers, source, target), after)
        finally:
            for collection in collections:
                self.known_users.forget(collection.record.id, [source, target])
                # Explanations of lists for the visitor would outlive the deletion of the user.
                self.results.forget(collection.name, source)
        self.answers.give(numbers, source, target)
        return sum(moved.values())

    def _current(self, number: int) -> list[Collection]:
        """The collection with this number in the space that it has now; none if it was deleted."""
        return [collection for collection in self.collections() if collection.record.id == number]


def _check_user(user_id: str, field: str) -> None:
    if not user_id:
        raise InvalidArgument(f"`{field}` is required: give the id of a user", field)
    check_reference(user_id, field)
