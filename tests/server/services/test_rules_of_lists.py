"""Lists under rules: what is blocked is not there, caps and floors hold, pins have their places, and all is said."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trials
from hypothesis import strategies as st

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.errors import Cancelled
from itemlens_server.fusion.caps import Cap, Room
from itemlens_server.fusion.history import PURCHASE, Interaction
from itemlens_server.fusion.rows import Bools, Ints, View
from itemlens_server.services import (
    ExplainOptions,
    ItemInput,
    QueryRequest,
    RecommendOptions,
    RecommendResult,
)
from itemlens_server.storage.collection_settings import CollectionSettings, Exploration
from itemlens_server.storage.rules import Pin, Rule
from support.live import Live, contents, sample_catalogue
from support.sizes import size
from support.spaces import Tiny

COUNT = 60
COLOURS = ("red", "green", "blue")
ASK = QueryRequest(content=contents("red shoe"))
NOBODY = QueryRequest(user_id="nobody")
BRANDS = {f"i{n:02}": f"b{n % 5}" for n in range(COUNT)}


@pytest.fixture(scope="module")
def shop(repository: ModelRepository, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(repository, tmp_path_factory.mktemp("rules") / "data", tiny.fitted)
    live.catalogue.upsert("", items(), False, CallContext())
    yield live
    live.close()


def items() -> list[ItemInput]:
    """Shoes of three colours and five brands: prices 0, 1, 2 ..."""
    return [
        ItemInput(f"i{n:02}", contents(f"{COLOURS[n % 3]} shoe {n}"), {"brand": f"b{n % 5}", "price": n}, ())
        for n in range(COUNT)
    ]


def lists(shop: Live, *rules: Rule, ask: QueryRequest = ASK, **options: Any) -> RecommendResult:
    shop.catalogue.configure("default", CollectionSettings(rules=tuple(rules)), ["rules"])
    return shop.ask(ask, **options)


def ids(result: RecommendResult) -> list[str]:
    return [item.item_id for item in result.items]


def counts(result: RecommendResult) -> dict[str, int]:
    return {change.rule: change.items for change in result.changes if change.rule}


def pin(*pins: tuple[int, str], name: str = "pins", **more: Any) -> Rule:
    return Rule(name, "PIN", pins=tuple(itertools.starmap(Pin, pins)), **more)


def block(*item_ids: str, **more: Any) -> Rule:
    return Rule("recall", "BLOCK", item_ids=item_ids, all_matching=not item_ids, **more)


def cap(places: int, **more: Any) -> Rule:
    return Rule("brands", "CAP", attribute="brand", places=places, **more)


def floor(places: int, condition: str = 'brand = "b4"', **more: Any) -> Rule:
    return Rule("own", "FLOOR", filter=condition, places=places, **more)


@pytest.mark.parametrize("ask", [ASK, NOBODY, QueryRequest(liked=["i00"])])
def test_what_is_blocked_is_not_there_and_the_next_take_its_places(shop: Live, ask: QueryRequest) -> None:
    plain = lists(shop, ask=ask, k=20, exact=True)
    gone = ids(plain)[:2]
    found = lists(shop, block(*gone), ask=ask, k=20, exact=True)
    assert not set(gone) & set(ids(found)) and len(found.items) == 20
    assert found.eligible == plain.eligible - 2 and counts(found) == {"recall": 2}
    by_filter = lists(shop, block(filter="price < 30"), ask=ask, k=60)
    assert len(by_filter.items) == by_filter.eligible and min(ids(by_filter)) >= "i30"
    both = lists(shop, block("i10", "i40", filter="price < 30"), ask=ask, k=60)
    assert "i10" not in ids(both) and "i40" in ids(both)


def test_a_list_may_be_empty_because_of_rules(shop: Live) -> None:
    found = lists(shop, block(filter="price >= 0"))
    assert ids(found) == [] and [w.reason for w in found.warnings] == ["FILTERED_OUT"]


@pytest.mark.parametrize("ask", [ASK, NOBODY])
def test_pins_have_their_places_and_true_scores(shop: Live, ask: QueryRequest) -> None:
    plain = lists(shop, ask=ask, k=COUNT, exact=True)
    scores = {item.item_id: item.score for item in plain.items}
    last = ids(plain)[-1]
    found = lists(shop, pin((3, last), (1, "i07"), (99, "i08")), ask=ask, k=10, exact=True, with_parts=True)
    assert ids(found)[0] == "i07" and ids(found)[2] == last and len(set(ids(found))) == 10
    for item in found.items:
        assert item.score == pytest.approx(scores[item.item_id], abs=1e-5)
        assert sum(part.value for part in item.parts) == pytest.approx(item.score, abs=1e-4)
        assert item.rules == (("pins",) if item.item_id in ("i07", last) else ())
    rest = [i for i in ids(plain) if i not in ("i07", last)]
    if ask is ASK:
        assert [i for i in ids(found) if i not in ("i07", last)] == rest[:8]
        assert found.items[2].rank == COUNT
    assert counts(found) == {"pins": 2} and found.warnings == ()


def test_a_list_that_is_too_short_does_not_have_the_place(shop: Live) -> None:
    few = ("i00", "i01", "i03")
    found = lists(shop, pin((4, "i01")), candidates=few, k=10)
    assert sorted(ids(found)) == list(few) and counts(found) == {"pins": 0} and found.warnings == ()
    assert ids(lists(shop, pin((3, "i01")), candidates=few, k=10))[2] == "i01"


@pytest.mark.parametrize(
    ("rules", "options", "message"),
    [
        ([pin((1, "gone"))], {}, "rule 'pins' does not pin 'gone': not in the collection"),
        (
            [pin((1, "x1"), (2, "x2"), (3, "x3"), (4, "x4"), (5, "x5"))], {},
            "does not pin 'x1', 'x2', 'x3' and 2 more: not in the collection",
        ),
        ([pin((1, "i01")), block(filter="price = 1")], {}, "does not pin 'i01': blocked by rule 'recall'"),
        ([pin((1, "i01"))], {"candidates": ("i02",)}, "left out by the request, or seen by the user"),
        ([pin((1, "i00"), (2, "i05"), (3, "i10")), cap(2)], {}, "does not pin 'i10': no room under a cap"),
        ([floor(5)], {"k": 3}, "rule 'own' asks for 5 places of a list that has 3"),
        ([floor(3, "price < 2")], {}, "rule 'own' has 2 of its 3 places"),
        ([floor(3), Rule("b", "CAP", attribute="price", filter='brand = "b4"', places=1)], {}, None),
        ([floor(3)], {"caps": [Cap("brand", 1, "caps[0]")]}, "rule 'own' has 1 of its 3 places"),
    ],
)  # fmt: skip
def test_what_a_rule_does_not_do_is_warned_of(
    shop: Live, rules: Sequence[Rule], options: dict[str, Any], message: str | None
) -> None:
    found = lists(shop, *rules, **options)
    if message is None:
        assert found.warnings == ()
    else:
        [warning] = found.warnings
        assert warning.reason == "RULE_NOT_APPLIED" and message in warning.message
    assert len(found.items) == len(set(ids(found)))


def test_blocks_are_looked_up_once_for_many_pins_that_are_left_out(
    shop: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, find = list[int](), View.find

    def look(view: View, item_ids: Sequence[str]) -> Ints:
        looks.append(len(item_ids))
        return find(view, item_ids)

    pins = pin(*((n + 1, f"i{n:02}") for n in range(10)))
    blocks = [Rule(f"b{n}", "BLOCK", item_ids=("i50", f"i{n + 20}")) for n in range(10)]
    monkeypatch.setattr(View, "find", look)
    found = lists(shop, pins, *blocks, candidates=("i40", "i50"))
    [warning] = found.warnings
    assert ids(found) == ["i40"] and "left out by the request" in warning.message
    assert looks.count(2) <= len(blocks) + 1  # one for the candidates


def test_a_pin_that_does_not_match_its_own_filter_is_silent(shop: Live) -> None:
    found = lists(shop, pin((1, "i01"), (2, "i59"), filter="price > 50"))
    assert ids(found)[1] == "i59" and found.items[0].rules == () and found.warnings == ()


def test_a_pin_counts_under_a_cap(shop: Live) -> None:
    found = lists(shop, cap(1), pin((5, "i44")), k=10)
    assert ids(found)[4] == "i44" and sorted(BRANDS[i] for i in ids(found)) == [f"b{n}" for n in range(5)]
    change = next(change for change in found.changes if change.rule == "brands")
    assert (change.attribute, change.most) == ("brand", 1) and change.items > 0


def test_caps_count_what_matches_and_shares_are_of_the_list(shop: Live) -> None:
    by_share = lists(shop, Rule("brands", "CAP", attribute="brand", share=0.2), k=10)
    assert sorted(BRANDS[i] for i in ids(by_share)) == sorted([*BRANDS.values()][:5] * 2)
    few = lists(shop, Rule("brands", "CAP", attribute="brand", share=0.01), k=10)
    assert len(few.items) == 5
    some = lists(shop, cap(1, filter='brand in ("b0", "b1")'), k=COUNT)
    brands = [BRANDS[i] for i in ids(some)]
    assert [brands.count(f"b{n}") for n in range(5)] == [1, 1, 12, 12, 12]


def test_a_floor_moves_the_best_that_match_up(shop: Live) -> None:
    plain = lists(shop, k=COUNT, exact=True)
    best = [i for i in ids(plain) if i >= "i50"]
    missing = [i for i in best[:4] if i not in ids(plain)[:10]]
    assert missing
    found = lists(shop, floor(4, "price >= 50"), k=10)
    assert [i for i in ids(found) if i >= "i50"] == best[:4]
    assert ids(found)[-len(missing) :] == missing
    assert [item.item_id for item in found.items if item.rules == ("own",)] == missing
    assert counts(found) == {"own": len(missing)}
    # What leaves the list is what stands lowest and does not match.
    kept = [i for i in ids(found) if i not in missing]
    others = [i for i in ids(plain)[:10] if i < "i50"]
    assert [i for i in kept if i < "i50"] == others[: len(others) - len(missing)]


def test_a_floor_that_is_met_changes_nothing(shop: Live) -> None:
    plain = lists(shop, k=10)
    found = lists(shop, floor(5, "price >= 0"), k=10)
    assert ids(found) == ids(plain) and counts(found) == {"own": 0}


def test_a_floor_under_a_full_cap_looks_at_each_item_at_most_twice(
    shop: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every brand is full, so an item can join only for one of its own brand."""
    looks, has = list[int](), Room.has

    def look(room: Room, rows: Ints) -> Bools:
        looks.append(len(rows))
        return has(room, rows)

    monkeypatch.setattr(Room, "has", look)
    rules = (cap(2), floor(20, "price >= 30"))
    plain, before = lists(shop, cap(2), k=20), len(looks)
    looks.clear()
    found = lists(shop, *rules, k=20)
    assert len(plain.items) == len(found.items) == 10 and min(ids(found)) >= "i30"
    assert sorted(BRANDS[i] for i in ids(found)) == sorted([*BRANDS.values()][:5] * 2)
    assert len(looks) - before <= 2 * len(found.items)


def test_a_call_that_is_over_ends_the_search_for_items_of_a_floor(
    shop: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, has = CallContext(), Room.has

    def hang_up(room: Room, rows: Ints) -> Bools:
        call.end()
        return has(room, rows)

    shop.catalogue.configure(
        "default", CollectionSettings(rules=(cap(2), floor(10, "price >= 30"))), ["rules"]
    )
    monkeypatch.setattr(Room, "has", hang_up)
    with pytest.raises(Cancelled):
        shop.use_cases.recommender.recommend("", ASK, RecommendOptions(k=10), call)


def test_somebody_new_gets_floors_too(shop: Live) -> None:
    found = lists(shop, floor(4, "price < 4"), ask=NOBODY, k=10)
    assert {"i00", "i01", "i02", "i03"} <= set(ids(found)) and len(found.items) == 10


def test_rules_are_for_times_and_surfaces_and_can_be_switched_off(shop: Live) -> None:
    past, future, home = block("i00", end=1e9), block("i00", start=4e9), block("i00", surfaces=("home",))
    for rule, options in (
        (past, {}), (future, {}), (home, {}), (home, {"surface": "basket"}),
        (block("i00"), {"disabled_rules": ["recall"]}), (block("i00"), {"disabled_rules": ["*"]}),
    ):  # fmt: skip
        found = lists(shop, rule, k=COUNT, **options)
        assert "i00" in ids(found) and found.changes == () and found.warnings == ()
    for rule, surface in ((block("i00", start=1e9, end=4e9), ""), (home, "home")):
        assert "i00" not in ids(lists(shop, rule, k=COUNT, surface=surface))
    [warning] = lists(shop, block("i00"), disabled_rules=["recal"]).warnings
    assert (warning.reason, warning.field) == ("UNKNOWN_RULE", "disabled_rules")


def test_an_attribute_that_is_gone_leaves_a_warning_and_the_list(live: Live) -> None:
    """A rule may be set before there are items."""
    live.catalogue.create("default", "")
    unknown = [floor(1, "nothing = 1"), Rule("c", "CAP", attribute="nothing", places=1), pin((1, "i01"))]
    live.catalogue.configure("default", CollectionSettings(rules=tuple(unknown)), ["rules"])
    live.catalogue.upsert("", items()[:5], False, CallContext())
    found = live.ask(ASK)
    assert len(found.items) == 5 and found.items[0].item_id == "i01"
    assert ["does not fit the collection" in w.message for w in found.warnings] == [True, True]


LIKED = QueryRequest(liked=["i03"])
PAST = QueryRequest(history=[Interaction(i, PURCHASE) for i in ("i00", "i01", "i02", "i03")])
NAMES = st.sampled_from(sorted(BRANDS))
RULES = st.tuples(
    st.lists(st.tuples(st.integers(1, 12), NAMES), max_size=4, unique_by=(lambda p: p[0], lambda p: p[1])),
    st.sets(NAMES, max_size=4),
    st.none() | st.integers(1, 4),
    st.none() | st.tuples(st.integers(1, 6), st.integers(0, COUNT)),
)


@trials(max_examples=size(40, 400), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RULES, st.integers(1, 15), st.sampled_from([ASK, NOBODY, LIKED, PAST]))
def test_laws_of_lists_under_rules(
    shop: Live,
    drawn: tuple[list[tuple[int, str]], set[str], int | None, tuple[int, int] | None],
    k: int,
    ask: QueryRequest,
) -> None:
    pins, blocked, most, least = drawn
    seen = {*ask.liked, *(past.item_id for past in ask.history)}
    pins = [(place, i) for place, i in pins if i not in blocked]
    rules = [pin(*pins)] if pins else []
    rules += [block(*sorted(blocked))] if blocked else []
    rules += [cap(most)] if most else []
    rules += [floor(least[0], f"price >= {least[1]}")] if least else []
    plain = lists(shop, ask=ask, k=k)
    found = lists(shop, *rules, ask=ask, k=k)
    listed = ids(found)
    brands = [BRANDS[i] for i in listed]
    assert len(set(listed)) == len(listed) <= k and not (blocked | seen) & set(listed)
    if most:
        assert max(map(brands.count, brands)) <= most
    else:
        assert len(listed) == min(k, found.eligible)
        for place, item_id in pins:
            if place <= len(listed) and item_id not in seen:
                assert listed[place - 1] == item_id
        if least:
            matching = [i for i in BRANDS if int(i[1:]) >= least[1] and i not in blocked | seen]
            free = k - sum(place <= k and i not in seen for place, i in pins)
            pinned = sum(place <= k and i in matching for place, i in pins)
            expected = min(least[0], k, len(matching), pinned + free)
            assert sum(i in matching for i in listed) >= expected
    if not rules:
        assert found.items == plain.items and found.changes == () and found.warnings == plain.warnings


def test_a_list_without_an_active_rule_is_the_list_without_rules(shop: Live) -> None:
    plain = lists(shop, k=30, with_parts=True)
    off = lists(shop, pin((1, "i59")), cap(1), block("i00"), k=30, with_parts=True, disabled_rules=["*"])
    assert off.items == plain.items and off.shifts == plain.shifts and off.changes == plain.changes


def test_pins_and_floors_hold_beside_exploration(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path
) -> None:
    """Two thirds of the items have no events, and are drawn for every place."""
    live = sample_catalogue(repository, tmp_path / "data", tiny.fitted)
    rules = (
        Rule("theme", "CAP", attribute="theme", places=3),
        pin((2, "item-0001"), (5, "item-0030")),
        floor(2, 'colour = "red"'),
    )
    settings = CollectionSettings(exploration=Exploration(1.0, 1000), rules=rules)
    live.catalogue.configure("default", settings)
    for n in range(20):
        found = live.ask(QueryRequest(history=[Interaction(f"item-{3 * n:04d}", PURCHASE)]), k=8)
        listed = ids(found)
        assert len(set(listed)) == len(listed) == 8 and any(item.explored for item in found.items)
        documents = dict(live.catalogue.reads.documents(live.collection, listed))
        themes = [documents[i].attributes.get("theme", i) for i in listed]
        assert max(map(themes.count, themes)) <= 3
        assert sum(documents[i].attributes.get("colour") == "red" for i in listed) >= 2
        assert listed[1] == "item-0001" and (listed[4] == "item-0030" or n == 10)
    live.close()


def test_an_explanation_names_the_rule(shop: Live) -> None:
    scores = {item.item_id: item.score for item in lists(shop, k=COUNT).items}
    found = lists(shop, pin((2, "i50")), block("i00", filter="price = 0"), k=5)
    there, gone = shop.explain(ASK, "i50", "i00")
    assert there.error is None and abs(there.residual) < 1e-4
    assert gone.error is not None and "rule 'recall' blocks 'i00'" in gone.error.message
    [again] = shop.explain(ASK, "i00", disabled_rules=["recall"])
    assert again.error is None and again.score == pytest.approx(scores["i00"], abs=1e-5)
    lists(shop)  # the rules of the list are known, whatever there is now
    explained = shop.use_cases.explainer.explain_result(
        "", found.recommendation_id, ["i50", "i00", "i02"], ExplainOptions(), CallContext()
    )
    pinned, blocked, unlisted = list(explained.explanations)
    assert pinned.rules == ("pins",) and abs(pinned.residual) < 1e-4
    assert pinned.score == pytest.approx(found.items[1].score)
    assert blocked.error is not None and "rule 'recall' blocks 'i00'" in blocked.error.message
    assert unlisted.error is None or "not in the recommendation" in unlisted.error.message


def test_rules_are_stored(repository: ModelRepository, tiny: Tiny, tmp_path: Path) -> None:
    rules = (
        pin((1, "a"), start=1.5, end=2.5, surfaces=("home",)),
        block("x", "y"),
        Rule("share", "CAP", attribute="brand", share=0.25),
        floor(2),
    )
    live = Live(repository, tmp_path / "data", tiny.fitted)
    live.catalogue.create("kept", "", settings=CollectionSettings(rules=rules))
    live.close()
    live = Live(repository, tmp_path / "data", tiny.fitted)
    assert live.catalogue.collection("kept").record.settings.rules == rules
    live.close()
