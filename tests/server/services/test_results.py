"""Kept recommendations: their contents, their memory, and when they are dropped."""

from __future__ import annotations

import gc
import secrets
import tracemalloc
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.errors import FailedPrecondition, InvalidArgument, NotFound
from itemlens_server.fusion.history import CLICK, PURCHASE, Interaction
from itemlens_server.fusion.rows import FEW, Array
from itemlens_server.services import (
    Collection,
    ExplainOptions,
    Explanation,
    QueryRequest,
    RecommendResult,
    lists,
)
from itemlens_server.services.items import ItemInput
from itemlens_server.services.results import OVERHEAD_BYTES, RecentResults, RememberedResult
from support import spaces
from support.live import Live, contents, sample_catalogue
from support.spaces import Tiny

PAST = [f"item-{n:04d}" for n in (0, 1, 3, 6, 30)]
HISTORY = QueryRequest(history=[Interaction(i, CLICK) for i in PAST])


@pytest.fixture
def own(repository: ModelRepository, tiny: Tiny, tmp_path: Path) -> Iterator[Live]:
    """The sample catalogue with behaviour, for tests that change it."""
    filled = sample_catalogue(repository, tmp_path / "data", tiny.fitted)
    yield filled
    filled.close()


@pytest.fixture(scope="module")
def large(
    repository: ModelRepository, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """990 items, and a user with 10,000 events, a third of them on items that do not exist."""
    filled = sample_catalogue(repository, tmp_path_factory.mktemp("large") / "data", tiny.fitted, 990)
    filled.record(*(("u", f"{'item' if n % 3 else 'gone'}-{n % 990:04d}", PURCHASE) for n in range(10_000)))
    yield filled
    filled.close()


def is_remembered(live: Live, recommendation_id: str) -> bool:
    try:
        live.catalogue.results.get(recommendation_id)
    except NotFound:
        return False
    return True


def explained(live: Live, result: RecommendResult) -> list[Explanation]:
    item_ids = [item.item_id for item in result.items]
    answer = live.use_cases.explainer.explain_result(
        "", result.recommendation_id, item_ids, ExplainOptions(with_sums=True), CallContext()
    )
    return list(answer.explanations)


def put_again(live: Live, *item_ids: str, times: int = 1) -> None:
    """Change the contents of items, `times` times."""
    for n in range(times):
        items = [ItemInput(i, contents(f"blue kettle {n} {i}"), {}, ()) for i in item_ids]
        live.catalogue.upsert("", items, False, CallContext())


def compact(live: Live) -> None:
    """Make rows dead until they are dropped."""
    before = live.collection.snapshot().view.item_ids
    for _ in range(10):
        put_again(live, *(f"filler-{n}" for n in range(FEW)), times=2)
        if live.collection.snapshot().view.item_ids is not before:
            return
    raise AssertionError("never compacted")


def assert_same(a: Explanation, b: Explanation) -> None:
    assert (a.score, a.by_channel, a.by_source) == (b.score, b.by_channel, b.by_source)
    # The vector of a content differs in the last bits with its batch.
    assert [p.text for p in a.by_place] == [p.text for p in b.by_place]
    assert [p.value for p in a.by_place] == pytest.approx([p.value for p in b.by_place], abs=1e-6)
    for x, y in zip(a.sums, b.sums, strict=True):
        assert x.sources == y.sources
        np.testing.assert_allclose(x.values, y.values, atol=1e-6)


class TestWhatIsKept:
    REQUESTS = (
        HISTORY,
        QueryRequest(content=contents("red shoe", [spaces.picture("dress", "red")])),
        QueryRequest(
            history=HISTORY.history, content=contents("red"), liked=["item-0060"], disliked=["item-0066", "item-0009"],
            source_weights={"liked": 2.0}, behaviour_weight=0.5,
        ),
    )  # fmt: skip

    @pytest.mark.parametrize("request_", REQUESTS, ids=["history", "content", "all"])
    def test_gives_the_explanation_that_the_answer_had(self, sample: Live, request_: QueryRequest) -> None:
        result = sample.ask(request_, k=10)
        for item, of_result in zip(result.items, explained(sample, result), strict=True):
            assert of_result.error is None and of_result.score == item.score
            assert abs(of_result.residual) < 1e-5
            [of_query] = sample.explain(request_, item.item_id, with_sums=True)
            if of_query.score == item.score:  # otherwise another interest has a higher score
                assert_same(of_query, of_result)

    def test_does_not_change_when_past_items_are_updated_deleted_and_their_rows_dropped(
        self, own: Live
    ) -> None:
        result = own.ask(HISTORY, k=10)
        before = explained(own, result)
        own.put(PAST[0], merge=True, attributes={"price": 3})
        put_again(own, PAST[1], PAST[2])
        own.catalogue.delete_items(own.collection, [PAST[3]])
        own.take_tables(None)
        compact(own)
        view = own.collection.snapshot().view
        assert {view.item_ids[p] for p in np.flatnonzero(~view.alive)} <= {f"filler-{n}" for n in range(FEW)}
        for old, new in zip(before, explained(own, result), strict=True):
            assert_same(old, new)
            assert abs(new.residual) < 1e-5

    def test_of_a_listed_item_that_was_dropped_says_so(self, own: Live) -> None:
        result = own.ask(HISTORY, k=10)
        first, second, *_ = (item.item_id for item in result.items)
        put_again(own, first)
        own.catalogue.delete_items(own.collection, [second])
        compact(own)
        errors = [type(e.error) for e in explained(own, result)]
        assert errors == [FailedPrecondition] * 2 + [type(None)] * 8

    def test_is_whole_for_an_answer_over_rows_that_were_dropped_meanwhile(
        self, own: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rank = lists.rank

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            put_again(own, *PAST)
            compact(own)
            return rank(*args, **kwargs)

        monkeypatch.setattr(lists, "rank", interrupted)
        result = own.ask(HISTORY, k=10)
        assert set(own.catalogue.results.get(result.recommendation_id).rows)
        for item, explanation in zip(result.items, explained(own, result), strict=True):
            assert explanation.score == item.score and abs(explanation.residual) < 1e-5

    def test_is_not_found_if_it_is_forgotten_while_it_is_read(
        self, own: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result, vectors = own.ask(HISTORY, k=10), own.catalogue.reads.vectors

        def interrupted(collection: Collection, labels: Sequence[int]) -> dict[int, Array]:
            own.catalogue.results.forget("")
            put_again(own, *PAST)
            compact(own)
            return vectors(collection, labels)

        monkeypatch.setattr(own.catalogue.reads, "vectors", interrupted)
        with pytest.raises(NotFound) as raised:
            explained(own, result)
        assert raised.value.resource_type == "recommendation"

    def test_holds_on_to_no_arrays_of_the_collection(self, own: Live) -> None:
        results = [own.ask(request, k=10) for request in self.REQUESTS]
        assert own.collection.event_tables.tables is not None
        arrays = [
            weakref.ref(a)
            for a in (
                own.collection.snapshot().view.h.base,
                own.collection.event_tables.tables.behaviour.data,
            )
        ]
        kept = [own.catalogue.results.get(result.recommendation_id) for result in results]
        del results
        own.take_tables(None)
        own.collection.snapshot()
        compact(own)
        gc.collect()
        assert [array() for array in arrays] == [None, None]
        assert all(isinstance(k.data, bytes) for k in kept)


class TestMemory:
    @pytest.mark.parametrize(
        ("request_", "k"),
        [(QueryRequest(user_id="u"), 10), (HISTORY, 1000), (QueryRequest(content=contents("red shoe")), 10)],
        ids=["10,000 events", "k=1000", "words"],
    )
    def test_of_a_result_is_what_is_counted(self, large: Live, request_: QueryRequest, k: int) -> None:
        result, results = large.ask(request_, k=k, exclude_seen=False), RecentResults(100 << 20)
        assert len(result.items) == min(k, 991)

        def remember(times: int) -> tuple[int, int]:
            for _ in range(times):
                with results.pending(large.collection, "u") as pending:
                    results.add(replace(result, recommendation_id=secrets.token_hex(12)), pending)
            gc.collect()
            return tracemalloc.get_traced_memory()[0], results.bytes

        tracemalloc.start()
        try:
            (measured, counted), (measured_after, counted_after) = remember(30), remember(70)
        finally:
            tracemalloc.stop()
        assert measured_after - measured == pytest.approx(counted_after - counted, rel=0.2)
        assert counted_after - counted < 70 * (20_000 + 60 * k)

    def test_is_bounded_and_the_oldest_are_forgotten_first(self, sample: Live) -> None:
        [size] = {self.size(sample, sample.ask(QueryRequest(content=contents("red")), k=3)) for _ in range(3)}
        results = RecentResults(3 * size + 100)
        asked = [sample.ask(QueryRequest(content=contents("red")), k=3) for _ in range(7)]
        for result in asked:
            with results.pending(sample.collection, "") as pending:
                results.add(result, pending)
            assert results.bytes <= 3 * size + 100
        with pytest.raises(NotFound, match="recommendation_memory_bytes"):
            results.get(asked[3].recommendation_id)
        assert [results.get(r.recommendation_id).size for r in asked[4:]] == [size] * 3
        results.forget("")
        assert results.bytes == 0

    def test_too_small_for_a_result_keeps_the_others(self, sample: Live) -> None:
        small, large = (sample.ask(QueryRequest(content=contents("red")), k=k) for k in (3, 100))
        results = RecentResults(self.size(sample, small))
        for result in (small, large):
            with results.pending(sample.collection, "") as pending:
                results.add(result, pending)
        assert results.get(small.recommendation_id)
        with pytest.raises(NotFound):
            results.get(large.recommendation_id)

    def test_of_0_costs_a_recommendation_nothing(self, sample: Live, monkeypatch: pytest.MonkeyPatch) -> None:
        result, results = sample.ask(HISTORY), RecentResults(0)
        monkeypatch.delattr(RememberedResult, "of")
        with results.pending(sample.collection, "") as pending:
            results.add(result, pending)
        assert results.bytes == 0

    def test_counts_the_rows_that_are_kept_for_explaining_alone(self, own: Live) -> None:
        results = own.catalogue.results
        first, last = own.ask(HISTORY), own.ask(HISTORY)
        before = results.bytes
        put_again(own, *PAST)
        compact(own)
        row = own.collection.space.head.dimension * 4
        assert results.bytes >= before + 2 * len(PAST) * row
        kept = [results.get(r.recommendation_id) for r in (first, last)]
        assert sum(k.size for k in kept) == results.bytes
        assert all(sorted(k.rows) == sorted(k.past.tolist()) for k in kept)

    def test_that_rows_would_exceed_forgets_the_oldest(self, own: Live) -> None:
        asked = [own.ask(HISTORY) for _ in range(6)]
        size = self.size(own, asked[0])
        own.catalogue.results._max_bytes = 6 * size
        put_again(own, *PAST)
        compact(own)
        results = own.catalogue.results
        assert results.bytes <= 6 * size
        remembered = [is_remembered(own, r.recommendation_id) for r in asked]
        assert remembered == sorted(remembered) and remembered[-1] and not remembered[0]
        assert all(e.error is None for e in explained(own, asked[-1]) if e.item_id not in PAST)

    @staticmethod
    def size(live: Live, result: RecommendResult) -> int:
        size = RememberedResult.of(result, "").size
        assert size > OVERHEAD_BYTES
        return size


class TestForgetting:
    def test_a_users_results_go_with_the_user(self, live: Live) -> None:
        live.put("a", "red shoe")
        live.put("b", "red gown")
        live.record(("u", "a", CLICK), ("v", "a", CLICK))
        own, other = (live.ask(QueryRequest(user_id=user)) for user in ("u", "v"))
        assert live.delete_user("u") == 1
        assert not is_remembered(live, own.recommendation_id)
        assert is_remembered(live, other.recommendation_id)

    @pytest.mark.parametrize("name", ["", "default"])
    def test_what_was_read_before_the_user_was_deleted_is_not_remembered_after(
        self, live: Live, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        live.put("a", "red shoe")
        live.put("b", "red gown")
        live.record(("u", "a", CLICK), ("v", "a", CLICK))
        self.meanwhile(monkeypatch, lambda: live.delete_user("u", name))
        assert not is_remembered(live, live.ask(QueryRequest(user_id="u")).recommendation_id)
        assert is_remembered(live, live.ask(QueryRequest(user_id="v")).recommendation_id)

    def test_another_users_deletion_meanwhile_does_not_matter(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.put("a", "red shoe")
        live.record(("u", "a", CLICK), ("v", "a", CLICK))
        self.meanwhile(monkeypatch, lambda: live.delete_user("v"))
        assert is_remembered(live, live.ask(QueryRequest(user_id="u")).recommendation_id)

    @pytest.mark.parametrize("change", ["delete", "move"])
    def test_nothing_is_remembered_of_a_collection_that_went_meanwhile(
        self, live: Live, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, change: str
    ) -> None:
        live.put("a", "red shoe")
        before = weakref.ref(live.collection)
        catalogue = live.catalogue
        self.meanwhile(
            monkeypatch,
            lambda: (
                catalogue.delete("default") if change == "delete" else catalogue.move("default", tiny.plain)
            ),
        )
        result = live.ask(QueryRequest(content=contents("red")))
        assert not is_remembered(live, result.recommendation_id)
        del result
        live.put("b", "blue dress")  # the writer's thread keeps a reference to its last write
        gc.collect()
        assert before() is None

    def test_a_call_that_fails_leaves_nothing_pending(self, live: Live) -> None:
        live.put("a", "red shoe")
        with pytest.raises(NotFound):
            live.ask(QueryRequest(liked=["gone"]))
        assert not live.catalogue.results._pending

    def test_nobody_is_deleted_where_no_user_is_named(self, live: Live) -> None:
        with pytest.raises(InvalidArgument) as error:
            live.delete_user("")
        assert error.value.field == "user_id"

    def test_a_collections_results_go_with_the_collection(self, live: Live) -> None:
        live.put("a", "red shoe")
        result = live.ask(QueryRequest(content=contents("red")))
        live.catalogue.delete("default")
        assert not is_remembered(live, result.recommendation_id)

    @staticmethod
    def meanwhile(monkeypatch: pytest.MonkeyPatch, change: Callable[..., object]) -> None:
        """Run `change` during the next recommendation, after all reads."""
        rank = lists.rank

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            monkeypatch.setattr(lists, "rank", rank)
            change()
            return rank(*args, **kwargs)

        monkeypatch.setattr(lists, "rank", interrupted)
