"""Live recall: lists that callers got are compared with exact ones, by kind of question, without touching them."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import pytest

from itemlens_server.attributes.parser import parse
from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.fusion.history import CLICK, Interaction
from itemlens_server.services import ItemInput, QueryRequest, RecommendOptions
from itemlens_server.services.live_recall import ALARM_QUESTIONS, LiveRecall, RecallSum, found_of, kind_of
from itemlens_server.services.results import RecommendedItem
from itemlens_server.services.vectors import VectorInput
from itemlens_server.storage.collection_settings import CollectionSettings
from itemlens_server.storage.rules import Pin, Rule
from support.live import Live, contents
from support.spaces import Tiny


def items(*names: str, explored: bool = False) -> list[RecommendedItem]:
    """Items whose scores differ."""
    return [RecommendedItem(name, 0, -float(ord(name[0])), 0, explored=explored) for name in names]


def recall(share: float = 1.0, alarm: float = 0.9) -> LiveRecall:
    return LiveRecall(Settings(live_recall_share=share, live_recall_alarm=alarm))


def sums_after(live: LiveRecall, questions: int, kind: str = "user") -> Mapping[str, RecallSum]:
    """The sums, once so many questions of a kind are compared."""
    until = time.monotonic() + 10
    while live.sums().get(kind, RecallSum()).questions < questions and time.monotonic() < until:
        time.sleep(0.005)
    return live.sums()


@pytest.fixture
def compared() -> Iterator[LiveRecall]:
    live = recall()
    yield live
    live.close()


def test_the_share_of_the_exact_list_that_the_caller_got_is_counted_by_kind(compared: LiveRecall) -> None:
    compared.offer("user", items("a", "b", "x"), lambda: items("a", "b", "c"))
    sums_after(compared, 1)
    compared.offer("user", items("a"), lambda: items("a"))
    sums_after(compared, 2)
    compared.offer("query, filtered", items(), lambda: items("a", "b"))
    assert sums_after(compared, 1, "query, filtered") == {
        "user": RecallSum(2, 4, 3),
        "query, filtered": RecallSum(1, 2, 0),
    }


def scored(interest: int = 0, **scores: float) -> list[RecommendedItem]:
    return [RecommendedItem(name, 0, score, interest) for name, score in scores.items()]


@pytest.mark.parametrize(
    ("listed", "exact", "found"),
    [
        (scored(a=3, b=2), scored(a=3, c=2), 2),  # as good
        (scored(a=3, b=1.9), scored(a=3, c=2), 1),
        (scored(a=3, b=2.5), scored(a=3, c=2), 1),  # better, so it is in the exact list of another question
        (scored(a=3, b=2), scored(a=3, c=2, d=2), 2),  # stands for one only
        (scored(a=3.5, b=2.5), scored(a=3, c=2), 2),  # all scores of a list have the same part
        (scored(b=3), scored(a=3), 0),  # nothing tells how the lists' scores compare
        (scored(), scored(a=3), 0),
        (scored(a=3) + scored(1, b=2), scored(a=3, c=2), 1),  # of another interest
        (
            scored(a=3, b=1) + scored(1, d=5, e=4),
            scored(a=3, c=1) + scored(1, d=6, f=5),
            4,
        ),  # each has its own part
    ],
)
def test_an_item_of_the_same_score_stands_for_one_that_is_not_listed(
    listed: list[RecommendedItem], exact: list[RecommendedItem], found: int
) -> None:
    assert found_of(listed, exact) == (found, len(exact))


def test_an_exact_answer_that_fails_is_logged_and_does_not_count(
    compared: LiveRecall, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> Sequence[RecommendedItem]:
        raise RuntimeError("no memory")

    compared.offer("user", items("a"), fails)
    deadline = time.monotonic() + 10
    while not caplog.records and time.monotonic() < deadline:
        time.sleep(0.005)
    compared.offer("user", items("a"), lambda: items("a"))
    assert sums_after(compared, 1) == {"user": RecallSum(1, 1, 1)}
    assert "the exact answer of a question failed" in caplog.text
    assert compared.left_out() == {"busy": 0, "failed": 1}


def test_one_question_waits_while_another_is_compared_and_more_are_left_out(compared: LiveRecall) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Sequence[RecommendedItem]:
        begun.set()
        go_on.wait(10)
        return items("a")

    compared.offer("user", items("a"), slow)
    assert begun.wait(10)
    for _ in range(20):
        compared.offer("user", items("a"), lambda: items("a"))
    go_on.set()
    sums_after(compared, 2)
    time.sleep(0.05)
    assert compared.sums()["user"].questions == 2
    assert compared.left_out()["busy"] == 19


def test_only_the_wanted_share_is_compared() -> None:
    live = recall(share=0.0)
    for _ in range(100):
        live.offer("user", items("a"), lambda: items("a"))
    time.sleep(0.1)
    assert live.sums() == {} and live.left_out()["busy"] == 0


def test_nothing_is_kept_or_compared_after_the_end() -> None:
    live, begun, go_on = recall(), threading.Event(), threading.Event()

    def slow() -> Sequence[RecommendedItem]:
        begun.set()
        go_on.wait(10)
        return items("a")

    live.offer("user", items("a"), slow)
    assert begun.wait(10)
    waits = items("a")
    live.offer("user", waits, lambda: items("a"))
    live.close()
    live.close()
    live.offer("user", items("a"), lambda: items("a"))
    assert not [holder for holder in gc.get_referrers(waits) if not isinstance(holder, FrameType)]
    go_on.set()
    sums_after(live, 1)
    time.sleep(0.1)
    assert live.sums()["user"].questions == 1


def test_a_recall_below_the_alarm_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    live = recall(alarm=0.9)
    for n in range(ALARM_QUESTIONS + 5):
        live.offer("user", items("a"), lambda: items("a", "b"))
        sums_after(live, n + 1)
        if n < ALARM_QUESTIONS - 2:
            assert not caplog.records
    live.close()
    [record] = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "by user is 0.500 over the last 50" in record.getMessage()


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (QueryRequest(user_id="u"), "user"),
        (QueryRequest(history=[Interaction("a", CLICK)]), "user"),
        (QueryRequest(content=contents("red shoe")), "query"),
        (QueryRequest(liked=["a"]), "items"),
        (QueryRequest(vector=VectorInput(b"", 0, "", "")), "vector"),
        (QueryRequest(user_id="u", content=contents("red"), liked=["a"]), "user+query+items"),
    ],
)
def test_a_kind_is_what_the_question_is_by(request_: QueryRequest, kind: str) -> None:
    assert kind_of(request_, RecommendOptions()) == kind


def test_a_filter_is_part_of_the_kind() -> None:
    assert kind_of(QueryRequest(user_id="u"), RecommendOptions(filter=parse("price < 3"))) == "user, filtered"


@pytest.fixture(scope="module")
def shop(repository: ModelRepository, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Items in graphs that are searched carelessly. All lists are made again."""
    data = tmp_path_factory.mktemp("recall") / "data"
    live = Live(
        repository, data, tiny.fitted, segment_rows=300, candidates_per_channel=4, live_recall_share=1
    )
    items = [ItemInput(f"i{n}", contents(f"shoe {n} {n % 7}"), {"price": n}, ()) for n in range(600)]
    live.catalogue.upsert("", items, False, CallContext())
    while live.catalogue.maintain():
        pass
    live.record(*((f"u{n % 20}", f"i{7 * n % 600}", CLICK) for n in range(200)))
    yield live
    live.use_cases.recommender.live_recall.close()
    live.close()


@pytest.mark.parametrize(
    ("kind", "request_", "options"),
    [
        ("user", lambda n: QueryRequest(user_id=f"u{n}"), {}),
        ("query", lambda n: QueryRequest(content=contents(f"shoe {n}")), {"k": 3}),
        (
            "user+query, filtered",
            lambda n: QueryRequest(user_id=f"u{n}", content=contents("shoe")),
            {"filter": parse("price < 500"), "k": 3},
        ),
    ],
)  # fmt: skip
def test_it_is_what_a_full_measurement_finds(
    shop: Live, kind: str, request_: Callable[[int], QueryRequest], options: Mapping[str, Any]
) -> None:
    found = total = 0
    for n in range(20):
        listed = shop.ask(request_(n), **options).items
        sums_after(shop.use_cases.recommender.live_recall, n + 1, kind)
        exact = shop.ask(request_(n), exact=True, **options).items
        one = found_of(listed, exact)
        found, total = found + one[0], total + one[1]
    assert shop.use_cases.recommender.live_recall.sums()[kind] == RecallSum(20, total, found)
    if kind == "query":
        assert found < total, "the index finds everything, so this test tells nothing"


def test_a_list_that_is_exact_anyway_is_not_compared(shop: Live) -> None:
    live = shop.use_cases.recommender.live_recall
    shop.ask(QueryRequest(liked=["i1"]), k=3, filter=parse("price < 20"))  # so few are scanned
    shop.ask(QueryRequest(liked=["i1"]), k=3, candidates=["i1", "i2"], exclude_seen=False)
    shop.ask(QueryRequest(liked=["i1"]), k=3, exact=True)
    shop.ask(QueryRequest(liked=["i2"]), k=3)
    assert sums_after(live, 1, "items")["items"].questions == 1
    assert "items, filtered" not in live.sums()


def test_items_that_rules_have_placed_do_not_count(shop: Live) -> None:
    rules = (Rule("pin", "PIN", pins=(Pin(1, "i300"), Pin(2, "i301"))),)
    shop.catalogue.configure("default", CollectionSettings(rules=rules), ["rules"])
    listed = shop.ask(QueryRequest(liked=["i1"], content=contents("shoe")), k=4).items
    assert [item.item_id for item in listed[:2]] == ["i300", "i301"]
    sums = sums_after(shop.use_cases.recommender.live_recall, 1, "query+items")
    assert sums["query+items"].items == 2
