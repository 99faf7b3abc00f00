"""The queue: interactive first, bulk never starved, callers by fair share, batches of similar length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.engine.call_context import Priority
from itemlens_server.engine.queue import Plan, Queue, QueueEntry

INTERACTIVE, BULK = Priority.INTERACTIVE, Priority.BULK


class Named(QueueEntry):
    def __init__(
        self, name: str, tokens: int, group: object = None, priority: Priority = INTERACTIVE
    ) -> None:
        super().__init__(tokens, group, priority)
        self.name = name


DEFAULT = Plan()


def queue(*entries: Named, plan: Plan = DEFAULT, caller: str = "") -> Queue[Named]:
    waiting: Queue[Named] = Queue(plan)
    for entry in entries:
        entry.caller = caller
        waiting.put(entry)
    return waiting


def by(caller: str, entry: Named) -> Named:
    entry.caller = caller
    return entry


def names(batch: list[Named]) -> list[str]:
    return [entry.name for entry in batch]


def order(waiting: Queue[Named]) -> list[str]:
    """Return names in the order in which they would run, one batch after the other."""
    taken = []
    while batch := waiting.take():
        taken += names(batch)
    return taken


ALONE = Plan(max_batch=1)

# This number of waiting entries makes a batch worthwhile. They share no batch with the entries before them.
MANY = [Named("other", 10, "others") for _ in range(50)]


class TestBatches:
    def test_an_empty_queue_gives_nothing(self) -> None:
        assert queue().take() == []

    def test_similar_lengths_are_joined_whatever_is_between_them(self) -> None:
        waiting = queue(Named("a", 10), Named("long", 90), Named("b", 10), Named("c", 10))
        assert sorted(names(waiting.take())) == ["a", "b", "c"]
        assert names(waiting.take()) == ["long"]

    def test_the_one_that_waits_longest_opens_the_batch(self) -> None:
        waiting = queue(Named("long", 90), Named("a", 10), Named("b", 10))
        assert names(waiting.take()) == ["long"]

    def test_an_entry_joins_if_its_padding_costs_less_than_its_own_batch(self) -> None:
        waiting = queue(Named("a", 100), Named("b", 90), Named("c", 70), *MANY, plan=Plan(call_tokens=12))
        assert sorted(names(waiting.take())) == ["a", "b"]

    def test_a_longer_one_pads_all_the_others(self) -> None:
        entries = [Named("a", 50), Named("b", 50), Named("longer", 55), *MANY]
        assert len(queue(*entries, plan=Plan(call_tokens=9)).take()) == 2
        assert len(queue(*entries, plan=Plan(call_tokens=10)).take()) == 3

    def test_an_entry_joins_if_the_queue_gains_more_than_the_batch_loses(self) -> None:
        entries = [Named(str(n), 60) for n in range(20)]
        sizes = {n: len(queue(*entries[:n], plan=Plan(call_tokens=12)).take()) for n in (4, 5, 9, 10, 20)}
        assert sizes == {4: 1, 5: 2, 9: 2, 10: 3, 20: 5}

    def test_where_a_call_costs_much_all_are_joined(self) -> None:
        waiting = queue(Named("a", 100), Named("b", 3), plan=Plan(call_tokens=4096))
        assert len(waiting.take()) == 2

    def test_where_padding_is_in_attention_only_more_of_it_is_worth_a_place(self) -> None:
        entries = [Named("a", 40), Named("b", 80), Named("long", 200), *MANY]
        assert names(queue(*entries, plan=Plan(call_tokens=12)).take()) == ["a"]
        packed = Plan(call_tokens=12, attention_tokens=960)
        assert packed.padding(40, 80) == (80**2 - 40**2) / 960
        assert sorted(names(queue(*entries, plan=packed).take())) == ["a", "b"]

    def test_where_inputs_run_one_after_the_other_none_pads_another(self) -> None:
        waiting = queue(Named("a", 3), Named("b", 200), *MANY, plan=Plan(max_batch=2, singly=True))
        assert names(waiting.take()) == ["a", "b"]

    def test_a_batch_has_a_bound_in_inputs_and_in_padded_tokens(self) -> None:
        entries = [Named(str(n), 10) for n in range(9)]
        assert len(queue(*entries, plan=Plan(max_batch=4)).take()) == 4
        assert len(queue(*entries, plan=Plan(max_tokens=30)).take()) == 3
        assert len(queue(Named("huge", 1000), plan=Plan(max_tokens=30)).take()) == 1

    def test_none_is_overtaken_by_many(self) -> None:
        plan = Plan(max_batch=2)
        waiting = queue(Named("a", 10), *(Named(str(n), 90) for n in range(7)), Named("b", 10), plan=plan)
        assert names(waiting.take()) == ["a"]

    def test_groups_never_share_a_batch(self) -> None:
        waiting = queue(Named("a", 10, "parts"), Named("b", 10, "none"), Named("c", 10, "parts"))
        assert names(waiting.take()) == ["a", "c"]

    def test_waiting_entries_are_shared_among_idle_workers(self) -> None:
        waiting = queue(*(Named(str(n), 10) for n in range(4)))
        assert [len(waiting.take(idle)) for idle in (2, 1)] == [2, 2]

    @given(
        st.lists(st.tuples(st.integers(1, 250), st.booleans(), st.sampled_from(Priority)), max_size=60),
        st.integers(1, 16),
        st.integers(16, 600),
        st.integers(0, 500),
        st.sampled_from([0, 960]),
    )
    def test_every_job_runs_once_within_all_bounds(
        self,
        entries: list[tuple[int, bool, Priority]],
        max_batch: int,
        max_tokens: int,
        call_tokens: int,
        attention_tokens: int,
    ) -> None:
        plan = Plan(
            max_batch=max_batch,
            max_tokens=max_tokens,
            call_tokens=call_tokens,
            attention_tokens=attention_tokens,
        )
        waiting = queue(*(Named(str(n), *entry) for n, entry in enumerate(entries)), plan=plan)
        seen = []
        while batch := waiting.take():
            lengths = [entry.tokens for entry in batch]
            padded = len(batch) * max(lengths)
            assert len(batch) <= max_batch
            assert len(batch) == 1 or padded <= max_tokens
            padding = sum(plan.padding(length, max(lengths)) for length in lengths)
            assert padding <= call_tokens * (len(batch) - 1) + 1e-9
            assert len({(entry.group, entry.priority) for entry in batch}) == 1
            seen += names(batch)
        assert sorted(seen) == sorted(str(n) for n in range(len(entries)))
        assert len(waiting) == waiting.tokens(INTERACTIVE) == waiting.tokens(BULK) == 0


class TestFairShare:
    def test_a_small_caller_does_not_wait_behind_a_large_one(self) -> None:
        waiting = queue(*(Named(f"much {n}", 10) for n in range(20)), plan=ALONE, caller="much")
        waiting.take()
        waiting.put(by("little", Named("little", 10)))
        assert order(waiting).index("little") <= 1

    def test_two_equal_callers_take_turns(self) -> None:
        waiting = queue(*(Named("a", 10) for _ in range(6)), plan=ALONE, caller="a")
        for _ in range(6):
            waiting.put(by("b", Named("b", 10)))
        turns = order(waiting)
        assert all(abs(turns[:n].count("a") - turns[:n].count("b")) <= 1 for n in range(12))

    def test_the_share_is_of_tokens_not_of_inputs(self) -> None:
        waiting = queue(*(Named("long", 100) for _ in range(5)), plan=ALONE, caller="long")
        for _ in range(50):
            waiting.put(by("short", Named("short", 10)))
        assert order(waiting)[:22].count("long") == 2

    def test_an_idle_caller_saves_nothing_up(self) -> None:
        waiting = queue(*(Named("busy", 10) for _ in range(20)), plan=ALONE, caller="busy")
        for _ in range(10):
            waiting.take()
        for _ in range(10):
            waiting.put(by("late", Named("late", 10)))
        assert abs(order(waiting)[:10].count("late") - 5) <= 1

    def test_one_caller_is_served_in_order(self) -> None:
        assert order(queue(*(Named(str(n), 10) for n in range(9)), plan=ALONE)) == list("012345678")

    def test_before_a_caller_run_its_own_entries_and_an_equal_share_of_the_others(self) -> None:
        waiting = queue(*(Named("a", 10) for _ in range(10)), plan=ALONE, caller="a")
        waiting.put(by("b", Named("b", 10)))
        assert waiting.ahead(INTERACTIVE, "a", 1) == 10 + 1
        assert waiting.ahead(INTERACTIVE, "b", 1) == 1 + 2
        assert waiting.ahead(INTERACTIVE, "c", 1) == 1 + 1
        assert waiting.ahead(INTERACTIVE, "c", 7) == 7 + 1
        assert waiting.ahead(BULK, "c", 1) == 0
        order(waiting)
        assert waiting.ahead(INTERACTIVE, "a", 1) == 0


class TestPriorities:
    def test_interactive_goes_ahead(self) -> None:
        waiting = queue(Named("bulk", 10, priority=BULK), Named("interactive", 10), plan=ALONE)
        assert order(waiting) == ["interactive", "bulk"]

    def test_a_worker_may_be_kept_from_bulk(self) -> None:
        waiting = queue(Named("bulk", 10, priority=BULK))
        assert not waiting.ready(bulk=False)
        assert waiting.take(bulk=False) == []
        assert waiting.ready()
        assert names(waiting.take()) == ["bulk"]

    def test_bulk_alone_runs_freely(self) -> None:
        assert len(order(queue(*(Named("bulk", 10, priority=BULK) for _ in range(9)), plan=ALONE))) == 9

    def test_bulk_gets_its_share_under_any_interactive_load(self) -> None:
        waiting = queue(*(Named("bulk", 10, priority=BULK) for _ in range(100)), plan=ALONE)
        for _ in range(200):
            waiting.put(by("", Named("interactive", 10)))
        bulk = order(waiting)[:200].count("bulk")
        assert 28 <= bulk <= 32  # 15 % of what is run

    def test_the_share_of_bulk_does_not_pile_up_while_none_waits(self) -> None:
        waiting = queue(*(Named("interactive", 10) for _ in range(300)), plan=ALONE)
        for _ in range(200):
            waiting.take()
        for _ in range(50):
            waiting.put(by("", Named("bulk", 10, priority=BULK)))
        assert order(waiting)[:20].count("bulk") <= 4
