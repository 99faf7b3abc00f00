"""Reasons that tell what other users took: only of enough of them, with a number that a recount confirms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.fusion.counts.histories import Histories
from itemlens_server.fusion.parts import Part
from itemlens_server.services import EventRecord, ExplainOptions, QueryRequest
from itemlens_server.services.live_counts import recount
from itemlens_server.services.sentences import Others, sentence
from support.live import Live
from support.spaces import Tiny

VIEW, PURCHASE, RETURN, DISLIKE = 2, 5, 6, 7
ITEMS, USERS = 12, 30
ALSO = re.compile(r"(\d+) (?:people|person) who took “(\w+)”")
SOON = re.compile(r"“(\w+)” \((\d+) took both\)")
MODES = pytest.mark.parametrize("matrix_items", [100, 0], ids=["matrices", "lists"])


@contextmanager
def opened(repository: ModelRepository, folder: Path, tiny: Tiny, **settings: int) -> Iterator[Live]:
    """A catalogue of items whose titles are their ids, and whose texts are all alike."""
    live = Live(repository, folder / "data", tiny.fitted, **settings)
    try:
        for n in range(ITEMS):
            live.put(f"i{n}", "red shoe", attributes={"title": f"i{n}"})
        yield live
    finally:
        live.close()


def maintain(live: Live) -> None:
    while live.catalogue.maintain():
        pass


def said(sentences: Sequence[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """What sentences say of others: item, past item and number of users."""
    also = [(item, past, int(n)) for item, text in sentences for n, past in ALSO.findall(text)]
    soon = [(item, past, int(n)) for item, text in sentences for past, n in SOON.findall(text)]
    for _, text in sentences:  # nothing is said of others without a number
        assert text.count("who took") == len(ALSO.findall(text)) and text.count("soon after") <= text.count(
            "took both"
        )
    return also + soon


def reasons(live: Live, user: str, exclude_seen: bool = True) -> list[tuple[str, str]]:
    """All sentences on a user's items: of the list, of its explanation, and of the explanation by query."""
    request = QueryRequest(user_id=user, behaviour_weight=20.0)
    answer = live.ask(request, k=ITEMS, with_reasons=True, exclude_seen=exclude_seen)
    ids = [item.item_id for item in answer.items]
    kept = live.use_cases.explainer.explain_result(
        "", answer.recommendation_id, ids, ExplainOptions(), CallContext()
    )
    explained = live.explain(request, *ids, exclude_seen=exclude_seen)
    return [
        *((item.item_id, item.reason) for item in answer.items),
        *((why.item_id, why.sentence) for why in (*kept.explanations, *explained)),
    ]


def users_of_both(live: Live) -> dict[tuple[str, str], int]:
    """How many users took two items, counted from the store."""
    collection = live.collection
    assert collection.event_tables.counts is not None
    counted = recount(live.store.reader(), collection.record.id, collection.event_tables.counts._kinds)
    table = counted.pairs(slice(0, len(counted.item_ids))).toarray().astype(int)
    names = counted.item_ids
    return {(a, b): int(table[x, y]) for x, a in enumerate(names) for y, b in enumerate(names)}


def take_at_random(live: Live, rng: np.random.Generator, events: int) -> None:
    users, items = rng.integers(0, USERS, events), (rng.random(events) ** 2 * ITEMS).astype(int)
    kinds = rng.choice([PURCHASE, VIEW, RETURN, DISLIKE], events, p=[0.6, 0.3, 0.05, 0.05])
    rows = zip(users.tolist(), items.tolist(), kinds.tolist(), strict=True)
    live.record(*((f"u{user}", f"i{item}", kind) for user, item, kind in rows))


@MODES
@pytest.mark.parametrize("seed", range(3))
def test_of_random_events_nothing_is_said_of_fewer_than_enough_users(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path, matrix_items: int, seed: int
) -> None:
    rng, told = np.random.default_rng(seed), 0
    least = int(rng.integers(2, 9))
    settings = {"matrix_items": matrix_items, "min_reason_users": least}
    with opened(repository, tmp_path, tiny, **settings) as live:
        for step in range(4):
            take_at_random(live, rng, 150)
            if step != 2:  # else the tables know less than the counts
                maintain(live)
            if step == 3:
                live.delete_user("u3")
                live.catalogue.event_changes.merge([live.collection], "u4", "u5")
            expected = users_of_both(live)
            for user in ("u0", "u1", "u5"):
                for item, past, number in said(reasons(live, user, exclude_seen=step % 2 == 0)):
                    assert number == expected[item, past] >= least
                    told += 1
    assert told


@MODES
def test_a_pair_is_said_from_the_first_moment_that_enough_users_took_both(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path, matrix_items: int
) -> None:
    with opened(repository, tmp_path, tiny, matrix_items=matrix_items) as live:
        live.record(*((f"u{u}", item, PURCHASE) for u in range(19) for item in ("i0", "i1")))
        live.record(*((f"v{u}", item, PURCHASE) for u in range(60) for item in ("i2", "i3")))
        live.record(("me", "i0", PURCHASE))
        maintain(live)
        assert said(reasons(live, "me")) == []
        live.record(("u19", "i0", PURCHASE), ("u19", "i1", PURCHASE))
        assert set(said(reasons(live, "me"))) == {("i1", "i0", 20)}
        live.delete_user("u7")
        assert said(reasons(live, "me")) == []


@MODES
def test_people_often_take_it_soon_after_only_if_enough_did_in_that_order(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path, matrix_items: int
) -> None:
    with opened(repository, tmp_path, tiny, matrix_items=matrix_items) as live:
        # 25 users take i1 after i0; 50 take i2 and i3, one of them i2 after i3.
        live.record(*((f"u{u}", item, PURCHASE) for u in range(25) for item in ("i0", "i1")))
        live.record(*((f"v{u}", item, PURCHASE) for u in range(49) for item in ("i2", "i3")))
        live.record(*((f"w{u}", item, PURCHASE) for u in range(1) for item in ("i3", "i2")))
        live.record(("me", "i0", PURCHASE), ("me", "i3", PURCHASE))
        maintain(live)
        collection = live.collection
        assert collection.event_tables.users_of_both("i2", ["i3"]) == [50]
        assert collection.event_tables.times_soon_after("i1", ["i0", "i3", "none"]) == [25.0, 0.0, 0.0]
        assert collection.event_tables.times_soon_after("i2", ["i3"]) == [1.0]
        assert collection.event_tables.times_soon_after("none", ["i3"]) == [0.0]

        def told(item: str, past_item: str) -> str:
            part = Part("SEQUENCE", 0.8, past_item_id=past_item)
            return sentence("en", [part], [], str, item, others=Others(collection.event_tables, 20))

        assert told("i1", "i0") == "Because people often take this soon after “i0” (25 took both)."
        assert "soon after" not in told("i2", "i3")
        live.record(*((f"w{u}", item, PURCHASE) for u in range(1, 20) for item in ("i3", "i2")))
        collection.event_tables._rests_until = 0.0
        maintain(live)
        assert told("i2", "i3") == "Because people often take this soon after “i3” (69 took both)."


def test_a_best_seller_is_not_called_new_before_there_are_tables(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path
) -> None:
    def of_nobody(live: Live) -> dict[str, str]:
        answer = live.ask(QueryRequest(user_id="nobody"), k=ITEMS, with_reasons=True)
        return {item.item_id: item.reason for item in answer.items}

    unknown = "Nothing is known yet of what you like."
    with opened(repository, tmp_path, tiny) as live:
        live.record(*((f"u{u}", "i0", PURCHASE) for u in range(60)))
        assert live.collection.event_tables.tables is None
        told = of_nobody(live)
        assert told["i0"] == unknown and told["i1"] == f"{unknown} It is new here."
        assert live.collection.event_tables.counts is not None
        live.collection.event_tables.counts.current = None  # as after a start that counts in the background
        assert set(of_nobody(live).values()) == {unknown}


def test_nothing_is_said_of_others_while_the_events_are_being_counted(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path
) -> None:
    with opened(repository, tmp_path, tiny, min_reason_users=1) as live:
        live.record(*((f"u{u}", item, PURCHASE) for u in range(60) for item in ("i0", "i1")))
        live.record(("me", "i0", PURCHASE))
        maintain(live)
        assert set(said(reasons(live, "me"))) == {("i1", "i0", 60)}
        assert live.collection.event_tables.counts is not None
        live.collection.event_tables.counts.current = None
        assert live.collection.event_tables.tables is not None and said(reasons(live, "me")) == []


def test_the_number_is_said_in_chinese_too(repository: ModelRepository, tiny: Tiny, tmp_path: Path) -> None:
    with opened(repository, tmp_path, tiny) as live:
        live.record(*((f"u{u}", item, PURCHASE) for u in range(60) for item in ("i0", "i1")))
        live.record(("me", "i0", PURCHASE))
        maintain(live)
        [why] = live.explain(QueryRequest(user_id="me", behaviour_weight=20.0), "i1", language="zh")
        assert "60人" in why.sentence and "“i0”" in why.sentence


def test_how_many_took_an_item_lately_is_read_as_the_tables_know_it_without_a_look_at_all_users(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(repository, tmp_path, tiny) as live:
        events = [(f"u{u}", f"i{n}", 1e8 * n) for u in range(60) for n in range(2)]
        live.catalogue.record(
            "", [EventRecord(f"{n}", u, i, PURCHASE, at) for n, (u, i, at) in enumerate(events)]
        )
        maintain(live)
        asked = list[Histories]()
        monkeypatch.setattr(Histories, "times_are_an_order", property(asked.append))
        # All first events have one time, so the times are only an order, and all takers are recent.
        assert (
            live.collection.event_tables.takers("i0") == live.collection.event_tables.takers("i1") == (60, 60)
            and not asked
        )
        monkeypatch.undo()
        live.catalogue.record("", [EventRecord("late", "v", "i1", PURCHASE, 1e8)])
        live.collection.event_tables._rests_until = 0.0
        maintain(live)
        assert live.collection.event_tables.takers("i0") == (60, 0) and live.collection.event_tables.takers(
            "i1"
        ) == (61, 61)


def test_that_many_took_it_is_said_only_of_enough_users(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path
) -> None:
    def of_nobody(live: Live, item: str) -> str:
        answer = live.ask(QueryRequest(user_id="nobody"), k=ITEMS, with_reasons=True)
        [of_list] = [found.reason for found in answer.items if found.item_id == item]
        kept = live.use_cases.explainer.explain_result(
            "", answer.recommendation_id, [item], ExplainOptions(), CallContext()
        )
        [why] = kept.explanations
        [asked] = live.explain(QueryRequest(user_id="nobody"), item)
        assert of_list == why.sentence == asked.sentence
        return of_list

    with opened(repository, tmp_path, tiny) as live:
        live.record(*((f"u{u}", f"i{n}", PURCHASE) for n in range(8) for u in range(1 + 18 * (n == 0))))
        live.record(*((f"v{u}", "i9", PURCHASE) for u in range(99)))
        maintain(live)
        assert of_nobody(live, "i0") == "Nothing is known yet of what you like."
        live.record(("u19", "i0", PURCHASE))
        assert of_nobody(live, "i0").startswith("Nothing is known yet of what you like. Because many took it")
        assert live.collection.event_tables.takers("i0") == (20, 20) and live.collection.event_tables.takers(
            "i99"
        ) == (0, 0)
        live.delete_user("u3")
        assert of_nobody(live, "i0") == "Nothing is known yet of what you like."
