"""T, "what was taken soon after X": directed, by baskets, with a horizon."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion import sequence
from itemlens_server.fusion.counts import recount
from itemlens_server.fusion.counts.recount import Recount
from itemlens_server.fusion.counts.successions import HORIZON
from itemlens_server.fusion.event_log import EventLog

EVENTS = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("abcde"), st.just(5), st.integers(0, 14)), max_size=40
).map(lambda events: sorted(events, key=lambda e: (e[0], e[3])))


def table(
    *events: tuple[str, str, int, float], step: float = 0.6, **options: int
) -> dict[tuple[str, str], float]:
    log = EventLog.of(events, {5: 1.0})
    t = sequence.table(Recount.of(log, step), **options).tocoo()
    names = log.item_ids
    return {(names[j], names[i]): float(x) for j, i, x in zip(t.row, t.col, t.data, strict=True)}


def test_by_hand() -> None:
    # One user took a, then b, then c. Each has one taker, so each root is the root of 2.
    t = table(("u", "a", 5, 0), ("u", "b", 5, 1), ("u", "c", 5, 2))
    assert t == pytest.approx({("a", "b"): 1 / 2, ("b", "c"): 1 / 2, ("a", "c"): 614 / 1024 / 2})


def test_what_was_taken_together_and_what_was_taken_again_says_nothing() -> None:
    assert table(("u", "a", 5, 0), ("u", "b", 5, 0), ("v", "a", 5, 0), ("v", "a", 5, 1)) == {}


def test_a_basket_too_large_to_be_one_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [*(("u", item, 5, 0.0) for item in "abc"), ("u", "x", 5, 1.0), ("u", "y", 5, 2.0)]
    assert {("a", "x"), ("x", "y")} <= table(*events).keys()
    monkeypatch.setattr(recount, "LARGEST_BASKET", 2)
    assert table(*events).keys() == {("x", "y")}


def test_beyond_the_horizon_nothing_counts() -> None:
    events = [("u", f"i{n:02}", 5, float(n)) for n in range(HORIZON + 2)]
    t = table(*events)
    assert ("i00", f"i{HORIZON}") in t and ("i00", f"i{HORIZON + 1}") not in t


@given(EVENTS, st.floats(0.1, 1.0))
def test_is_the_sum_over_ordered_pairs_of_baskets(
    events: list[tuple[str, str, int, int]], step: float
) -> None:
    sums: dict[tuple[str, str], float] = defaultdict(float)
    takers = {i: len({u for u, j, *_ in events if j == i}) for _, i, *_ in events}
    for user in "uvw":
        times = sorted({t for u, _, _, t in events if u == user})
        baskets = [{i for u, i, _, t in events if (u, t) == (user, time)} for time in times]
        for (m, before), (n, after) in combinations(enumerate(baskets), 2):
            for j in before if n - m <= HORIZON else ():
                for i in after - {j}:
                    amount = round(1024 * step ** (n - m - 1)) / 1024
                    sums[j, i] += amount / math.sqrt((takers[j] + 1) * (takers[i] + 1))
    assert table(*events, step=step) == pytest.approx({pair: s for pair, s in sums.items() if s}, rel=1e-5)


def test_the_largest_entries_of_a_row_are_kept() -> None:
    events = [("u", "a", 5, 0.0), *(("u", i, 5, float(n)) for n, i in enumerate("bcde", 1))]
    t = table(*events, kept=2)
    assert {i for j, i in t if j == "a"} == {"b", "c"} and len(t) == 2 + 2 + 2 + 1


def test_of_no_events_is_empty() -> None:
    assert sequence.table(Recount.of(EventLog.of([], {5: 1.0}))).shape == (0, 0)
