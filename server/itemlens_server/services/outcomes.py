"""What came of the answers that were remembered: the events that carry their ids, by collection, surface and day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path

import numpy as np

from itemlens_server.errors import InvalidArgument, NotFound
from itemlens_server.fusion.event_log import SECONDS_PER_DAY
from itemlens_server.services.intervals import Rate, ratio, share
from itemlens_server.services.recommendation_ids import KEY, RecommendationIds
from itemlens_server.storage import answers as storage
from itemlens_server.storage.answers import AnswerRecord
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import EventRecord
from itemlens_server.storage.store import Store

# Numbers of the proto's EventType.
IMPRESSION, VIEW, CLICK, CART, PURCHASE, RETURN = range(1, 7)
BY = ("collection", "surface", "day", "explored")


@dataclass(frozen=True)
class Outcome:
    """What came of some answers. by: their collection, surface and day (YYYY-MM-DD, UTC), and whether their items were
    in them to learn about them ("yes", "no"), as far as asked for.

    Events count if their item is in the list of their answer; `other_items` counts the rest.
    revenue: value of purchases less that of returns. unpriced: purchases without a value.
    clicked: share of answers with a click. click_through: share of shown items that were clicked.
    """

    by: dict[str, str]
    answers: int
    users: int
    impressions: int
    views: int
    clicks: int
    carts: int
    purchases: int
    returns: int
    quantity: float
    revenue: float
    unpriced: int
    other_items: int
    clicked: Rate
    click_through: Rate
    purchases_per_answer: Rate
    revenue_per_answer: Rate


@dataclass(frozen=True)
class Report:
    """The outcomes in order, and the number of events with the id of an answer that is no longer kept."""

    outcomes: tuple[Outcome, ...]
    without_answer: int


@dataclass
class _User:
    """Sums over the answers to one user, or over one answer to nobody in particular."""

    answers: int = 0
    clicked: int = 0
    shown_items: int = 0
    clicked_items: int = 0
    purchases: int = 0
    revenue: float = 0.0


@dataclass
class _Cell:
    """Sums over the answers of one line of the report."""

    users: dict[str, _User] = field(default_factory=dict)
    events: dict[int, int] = field(default_factory=dict)
    quantity: float = 0.0
    unpriced: int = 0
    other_items: int = 0

    def add(self, answer: AnswerRecord, events: Sequence[EventRecord]) -> None:
        # Nothing says that two answers without a user were to the same one.
        key = f"u{answer.user_id}" if answer.user_id else f"a{answer.recommendation_id}"
        user = self.users.setdefault(key, _User())
        items = set(answer.item_ids)
        own = [event for event in events if event.item_id in items]
        self.other_items += len(events) - len(own)
        shown = {event.item_id for event in own if event.type == IMPRESSION}
        clicked = {event.item_id for event in own if event.type == CLICK}
        user.answers += 1
        user.clicked += bool(clicked)
        user.shown_items += len(shown)
        user.clicked_items += len(shown & clicked)
        for event in own:
            self.events[event.type] = self.events.get(event.type, 0) + 1
            if event.type in (PURCHASE, RETURN):
                self._take(user, event)

    def _take(self, user: _User, event: EventRecord) -> None:
        bought = event.type == PURCHASE
        user.purchases += bought
        self.unpriced += bought and event.value is None
        self.quantity += event.quantity if bought else -abs(event.quantity)
        value = event.value or 0.0
        user.revenue += value if bought else -abs(value)

    def outcome(self, by: dict[str, str]) -> Outcome:
        users = list(self.users.values())

        def sums(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
            return np.asarray([getattr(user, name) for user in users], np.float64)

        answers, shown, revenue = sums("answers"), sums("shown_items"), sums("revenue")
        # Users to whom nothing was shown say nothing of the share of what was shown.
        some = shown > 0
        impressions, views, clicks, carts, purchases, returns = (
            self.events.get(kind, 0) for kind in (IMPRESSION, VIEW, CLICK, CART, PURCHASE, RETURN)
        )
        return Outcome(
            by, int(answers.sum()), sum(key.startswith("u") for key in self.users),
            impressions, views, clicks, carts, purchases, returns,
            self.quantity, float(revenue.sum()), self.unpriced, self.other_items,
            share(sums("clicked"), answers), share(sums("clicked_items")[some], shown[some]),
            ratio(sums("purchases"), answers, least=0.0), ratio(revenue, answers),
        )  # fmt: skip


def report(
    data: Path,
    collection: str = "",
    first: date | None = None,
    last: date | None = None,
    by: Sequence[str] = ("collection", "surface"),
) -> Report:
    """Read a data folder, while a server may be running, and report the answers of a collection ("": of all).

    first, last: only answers from the first of these days until the end of the last (UTC).

    Raises:
        InvalidArgument: `by` has a name that is not in BY, or the days are in the wrong order.
        NotFound: there is no such collection.
        FailedPrecondition: there is no store, or a file has another format.
        DataLoss: a file is damaged.
    """
    for name in by:
        if name not in BY:
            raise InvalidArgument(f"{name!r} is no column to group by; use {', '.join(BY)}", "by")
    if first and last and first > last:
        raise InvalidArgument(f"the first day, {first}, is after the last, {last}", "first")
    reader = Store.read_only(data)
    begin = _seconds(first) if first else 0.0
    end = _seconds(last) + SECONDS_PER_DAY if last else float(1 << 38)
    cells: dict[tuple[str, ...], _Cell] = {}
    without = 0
    with reader.at_one_moment():
        ids = RecommendationIds(reader.secret(KEY) or b"-")
        records = [record for record in reader.collections() if collection in ("", record.name)]
        if collection and not records:
            known = ", ".join(record.name for record in reader.collections()) or "none"
            raise NotFound(
                f"there is no collection {collection!r} in {data}; there are: {known}",
                "collection",
                collection,
            )
        for record in records:
            events = _events(reader, record.id, begin, end)
            answers = storage.read(data, record.id, begin, end)
            for answer, its_events in joined(answers, events):
                if answer is None:
                    without += sum(ids.is_ours(e.recommendation_id, record.id) for e in its_events)
                    continue
                day = datetime.fromtimestamp(answer.time, UTC).date().isoformat()
                values = {"collection": record.name, "surface": answer.surface, "day": day}
                parts = _by_explored(answer, its_events) if "explored" in by else [("", answer, its_events)]
                for values["explored"], part, of_part in parts:
                    cells.setdefault(tuple(values[name] for name in by), _Cell()).add(part, of_part)
    outcomes = (cell.outcome(dict(zip(by, key, strict=True))) for key, cell in sorted(cells.items()))
    return Report(tuple(outcomes), without)


def joined(
    answers: Iterable[AnswerRecord], events: Iterable[EventRecord]
) -> Iterator[tuple[AnswerRecord | None, list[EventRecord]]]:
    """Yield each answer with its events, and the events of each answer that is not there. Both are ordered by the id of
    the answer."""
    grouped = ((key, list(group)) for key, group in groupby(events, lambda event: event.recommendation_id))
    waiting = next(grouped, None)
    for answer in answers:
        while waiting is not None and waiting[0] < answer.recommendation_id:
            yield None, waiting[1]
            waiting = next(grouped, None)
        if waiting is not None and waiting[0] == answer.recommendation_id:
            yield answer, waiting[1]
            waiting = next(grouped, None)
        else:
            yield answer, []
    while waiting is not None:
        yield None, waiting[1]
        waiting = next(grouped, None)


def _by_explored(
    answer: AnswerRecord, events: Sequence[EventRecord]
) -> Iterator[tuple[str, AnswerRecord, list[EventRecord]]]:
    """Yield the explored items of an answer and the others, each with their events, if there are any."""
    explored = {answer.item_ids[place] for place in answer.explored}
    rest = tuple(item for item in answer.item_ids if item not in explored)
    if explored:
        items = tuple(item for item in answer.item_ids if item in explored)
        own = [event for event in events if event.item_id in explored or not rest]
        yield "yes", replace(answer, item_ids=items), own
    if rest or not explored:
        own = [event for event in events if event.item_id not in explored]
        yield "no", replace(answer, item_ids=rest), own


def _events(reader: Reader, collection: int, begin: float, end: float) -> Iterator[EventRecord]:
    return reader.events_of_answers(collection, RecommendationIds.bound(begin), RecommendationIds.bound(end))


def _seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
