"""The demo's last step: somebody new, whose events change another user's list, and who is forgotten without a trace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from itemlens import Basis, Client, Event, EventType
from itemlens_datasets.bundled import User
from itemlens_demo.answers import title_of

NEWCOMER = "somebody-new"
LIST_LENGTH = 6
# Where in the other user's list the item is that the newcomer takes after the other user's last one.
PLACE = 40
LONGEST = 300


@dataclass(frozen=True)
class Newcomer:
    """What happened. The digests are those of all counts of events: before, with the newcomer, and after.

    first:       titles of the first list, from which nothing of the newcomer was known
    took, then:  titles of what the newcomer bought, one after the other
    other:       name of the user whose latest item is the first
    place_before, place_after: those of the second in that user's list; 0: not in it
    """

    first: tuple[str, ...]
    basis: Basis
    took: str
    then: str
    other: str
    place_before: int
    place_after: int
    digest_before: str
    digest_with: str
    digest_after: str

    @property
    def forgotten(self) -> bool:
        """Whether nothing is left of the newcomer."""
        return self.digest_before == self.digest_after != self.digest_with


def tell(client: Client, other: User, events: list[Event]) -> Newcomer:
    """Let somebody new come, buy and be forgotten. other: a user with events."""
    client.delete_user(NEWCOMER)  # left by an interrupted run
    before = client.get_counts().digest
    try:
        first = client.recommend(user_id=NEWCOMER, k=LIST_LENGTH)
        shared = [event.item_id for event in events if event.user_id == other.user_id][-1]
        listed = _list(client, other)
        then = listed[min(PLACE, len(listed)) - 1]
        client.record_events(_purchases(shared, then)).raise_for_errors()
        after = _list(client, other)
        with_newcomer = client.get_counts().digest
    finally:
        client.delete_user(NEWCOMER)
    names = [*(item.item_id for item in first.items), shared, then]
    titles = [title_of(stored.item) for stored in client.get_items(names)]
    return Newcomer(
        tuple(titles[:-2]), first.basis, titles[-2], titles[-1], other.name, listed.index(then) + 1,
        after.index(then) + 1 if then in after else 0, before, with_newcomer, client.get_counts().digest,
    )  # fmt: skip


def _purchases(shared: str, then: str) -> list[Event]:
    """The newcomer buys both, one after the other, for five days."""
    now = datetime.now(UTC)
    return [
        Event(NEWCOMER, item_id, EventType.PURCHASE, now - timedelta(days=days, hours=hours))
        for days in range(5, 0, -1)
        for item_id, hours in ((shared, 2), (then, 1))
    ]


def _list(client: Client, user: User) -> list[str]:
    return [item.item_id for item in client.recommend(user_id=user.user_id, k=LONGEST).items]
