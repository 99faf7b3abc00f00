"""Boosts of lists: which ones, what they do to a list and its explanation, and what is warned of."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from itemlens_server.attributes.shapes import AnyShape, ByItem, ByValue, HalfLife, Linear, Steps
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.errors import FailedPrecondition, InvalidArgument
from itemlens_server.fusion.caps import Cap
from itemlens_server.fusion.history import CLICK, Interaction
from itemlens_server.services import (
    Attribute,
    Boost,
    BoostChoice,
    CollectionSettings,
    ExplainOptions,
    ItemInput,
    QueryRequest,
    RecommendResult,
)
from support.live import Live, contents
from support.spaces import Tiny

RED = QueryRequest(content=contents("red shoe"))
HISTORY = QueryRequest(
    history=[Interaction("i01", CLICK), Interaction("i05", CLICK), Interaction("i02", CLICK)]
)
NOBODY = QueryRequest(user_id="nobody")
COLOURS = ("red", "green", "blue")
THINGS = ("shoe", "kettle", "tour")
NEW_SHAPE = HalfLife(2, 10)
NEW = Boost("new", "age", NEW_SHAPE)
BLUE = Boost("blue", "colour", ByValue({"blue": 1.5}))
SOME = Boost("some", shape=ByItem({"i03": 1.0, "i04": -1.0, "unknown": 20.0}))


@pytest.fixture(scope="module")
def shop(repository: ModelRepository, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """60 items of three colours, with an age in days; every tenth has none. For reading only."""
    live = Live(repository, tmp_path_factory.mktemp("boosts") / "data", tiny.fitted)
    fill(live)
    yield live
    live.close()


def fill(live: Live) -> None:
    items = [
        ItemInput(
            f"i{n:02}", contents(f"{COLOURS[n % 3]} {THINGS[n % 7 % 3]} {n}"),
            {"colour": COLOURS[n % 3], **({"age": n} if n % 10 else {})}, (),
        )
        for n in range(60)
    ]  # fmt: skip
    outcomes, _, _ = live.catalogue.upsert("", items, False, CallContext())
    assert all(o.error is None for o in outcomes)


def boosting(*boosts: Boost, without: Sequence[str] = ()) -> BoostChoice:
    return BoostChoice(boosts, without)


def scores(result: RecommendResult) -> dict[str, float]:
    return {item.item_id: item.score for item in result.items}


def ids(result: RecommendResult) -> list[str]:
    return [item.item_id for item in result.items]


def warned(result: RecommendResult) -> list[str]:
    return [warning.reason for warning in result.warnings]


@pytest.mark.parametrize("request_", [RED, HISTORY, NOBODY])
def test_a_score_changes_by_the_parts_of_its_boosts_up_to_z(shop: Live, request_: QueryRequest) -> None:
    plain = shop.ask(request_, k=60)
    boosted = shop.ask(request_, k=60, boosts=boosting(NEW, BLUE, SOME), with_parts=True)
    before = {(i.item_id, i.interest): i.score for i in plain.items}
    shifts: dict[int, list[float]] = {}
    for item in boosted.items:
        own = {p.name: p.value for p in item.parts if p.kind == "BOOST"}
        n = int(item.item_id[1:])
        expected = {
            "new": 2 * 2 ** (-n / 10) if n % 10 else 0, "blue": 1.5 * (n % 3 == 2), "some": {3: 1, 4: -1}.get(n, 0)
        }  # fmt: skip
        assert own == pytest.approx({name: value for name, value in expected.items() if value})
        assert sum(p.value for p in item.parts) == pytest.approx(item.score, abs=1e-4)
        if (item.item_id, item.interest) in before:
            shifts.setdefault(item.interest, []).append(
                item.score - before[item.item_id, item.interest] - sum(own.values())
            )
    assert shifts and all(np.ptp(own) < 1e-4 for own in shifts.values())
    assert [i.item_ids for i in boosted.interests] == [i.item_ids for i in plain.interests]


@pytest.mark.parametrize("request_", [RED, HISTORY, NOBODY])
def test_a_boost_of_zero_changes_nothing(shop: Live, request_: QueryRequest) -> None:
    nothing = boosting(Boost("zero", "age", Linear(0.0)), Boost("none", shape=ByItem({"unknown": 3.0})))
    plain, boosted = (shop.ask(request_, k=20, boosts=choice) for choice in (BoostChoice(), nothing))
    assert (
        scores(plain) == scores(boosted) and ids(plain) == ids(boosted) and boosted.warnings == plain.warnings
    )


def test_a_list_of_the_prior_is_led_by_what_is_boosted(shop: Live) -> None:
    found = shop.ask(NOBODY, k=5, boosts=boosting(Boost("some", shape=ByItem({"i33": 3.0}))))
    assert ids(found)[0] == "i33" and not found.says_wanted


def test_caps_hold_under_boosts(shop: Live) -> None:
    found = shop.ask(RED, k=6, boosts=boosting(Boost("blue", "colour", ByValue({"blue": 9}))),
                     caps=[Cap("colour", 2, "caps[0]")])  # fmt: skip
    assert sorted(int(i[1:]) % 3 for i in ids(found)) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("request_", [RED, HISTORY, NOBODY])
def test_explain_by_user_and_by_id_tell_the_same_boosts(shop: Live, request_: QueryRequest) -> None:
    choice = boosting(NEW, BLUE)
    listed = shop.ask(request_, k=60, boosts=choice, with_parts=True)
    explainer, call = shop.use_cases.explainer, CallContext()
    for asked in (
        explainer.explain_query("", request_, ids(listed), ExplainOptions(boosts=choice), call),
        explainer.explain_result("", listed.recommendation_id, ids(listed), ExplainOptions(), call),
    ):
        for item, why in zip(listed.items, asked.explanations, strict=True):
            assert why.error is None and abs(why.residual) < 1e-4
            boosts = {p.name: p.value for p in item.parts if p.kind == "BOOST"}
            for parts in (why.by_channel, why.by_source, why.by_place):
                assert {p.name: p.value for p in parts if p.kind == "BOOST"} == pytest.approx(
                    boosts, abs=1e-6
                )


def test_a_remembered_list_keeps_its_boosts_when_attributes_change(live: Live) -> None:
    fill(live)
    listed = live.ask(RED, k=5, boosts=boosting(Boost("old", "age", Linear(0.1))), with_parts=True)
    live.put("i59", merge=True, attributes={"age": 1})
    whys = live.use_cases.explainer.explain_result(
        "", listed.recommendation_id, ids(listed), ExplainOptions(), CallContext()
    )
    for item, why in zip(listed.items, whys.explanations, strict=True):
        assert why.error is None and abs(why.residual) < 1e-4 and why.score == item.score


@pytest.mark.parametrize(
    ("language", "said"), [("en", "it is preferred here: “new season”"), ("zh", "“new season”")]
)
def test_a_reason_names_the_boost(shop: Live, language: str, said: str) -> None:
    boost = Boost("new season", shape=ByItem({"i33": 9.0}))
    [first, *_] = shop.ask(NOBODY, k=3, boosts=boosting(boost), with_reasons=True, language=language).items
    assert first.item_id == "i33" and said in first.reason


def test_there_are_no_probabilities_with_boosts(shop: Live) -> None:
    with pytest.raises(FailedPrecondition, match="without weights and boosts"):
        shop.ask(HISTORY, with_probabilities=True, boosts=boosting(NEW))


class TestWarnings:
    def test_of_a_boost_that_outweighs_all_else(self, shop: Live) -> None:
        strong = shop.ask(RED, boosts=boosting(Boost("strong", "age", Linear(1.0)), NEW))
        [warning] = [w for w in strong.warnings if w.reason == "BOOST_OUTWEIGHS"]
        assert "'strong' outweighs all else" in warning.message and warning.field == "boosts"
        assert warned(shop.ask(RED, boosts=boosting(Boost("weak", "age", Linear(0.001))))) == []

    def test_of_explanations_too(self, shop: Live) -> None:
        options = ExplainOptions(boosts=boosting(Boost("strong", "age", Linear(1.0))))
        found = shop.use_cases.explainer.explain_query("", RED, ["i01"], options, CallContext())
        assert [w.reason for w in found.warnings] == ["BOOST_OUTWEIGHS"]


class TestWrongChoices:
    @pytest.mark.parametrize(
        ("choice", "field", "message"),
        [
            (boosting(Boost("b", "aeg", Linear(1))), "boosts[0].attribute", "did you mean 'age'?"),
            (boosting(NEW, Boost("b", "colour", Linear(1))), "boosts[1].linear", "values fits it"),
            (boosting(NEW, NEW), "boosts[1].name", "'new' occurs twice"),
            (boosting(Boost("spring")), "boosts[0].name", "'spring' is no boost of the collection's settings"),
            (boosting(without=["spring"]), "without_boosts[0]", "'spring' is no boost of the collection's settings"),
            (boosting(Boost("b", "age", Linear(float("nan")))), "boosts[0].linear.slope", "out of range"),
            (boosting(Boost("b", "age", Linear(1), by_default=True)), "boosts[0].by_default", "only boosts"),
            (boosting(*(Boost(f"b{n}", "age", Linear(1)) for n in range(11))), "boosts", "the limit is 10"),
        ],
    )  # fmt: skip
    def test_are_refused_with_their_field(
        self, shop: Live, choice: BoostChoice, field: str, message: str
    ) -> None:
        for ask in (lambda: shop.ask(RED, boosts=choice), lambda: shop.explain(RED, "i01", boosts=choice)):
            with pytest.raises(InvalidArgument) as raised:
                ask()
            assert raised.value.field == field and message in raised.value.message


def configure(live: Live, *boosts: Boost) -> None:
    live.catalogue.configure("default", CollectionSettings(boosts=boosts), ["boosts"])


def boost_of(name: str, shape: AnyShape = NEW_SHAPE, attribute: str = "age", **options: Any) -> Boost:
    return Boost(name, attribute, shape, **options)


class TestSettings:
    def names(self, live: Live, *boosts: Boost, without: Sequence[str] = ()) -> Mapping[str, float]:
        """The boosts of the item i11 in a list."""
        found = live.ask(RED, k=60, boosts=boosting(*boosts, without=without), with_parts=True)
        [item] = [item for item in found.items if item.item_id == "i11"]
        return {p.name: round(p.value, 3) for p in item.parts if p.kind == "BOOST"}

    def test_a_boost_is_on_by_default_or_by_its_name(self, live: Live) -> None:
        fill(live)
        configure(
            live,
            boost_of("always", Linear(1), by_default=True, most_nats=1.0),
            boost_of("named", Linear(0.1)),
        )
        assert self.names(live) == {"always": 1}
        assert self.names(live, Boost("named")) == {"always": 1, "named": 1.1}
        assert self.names(live, Boost("named"), without=["always"]) == {"named": 1.1}
        assert self.names(live, boost_of("always", Linear(0.2))) == {"always": 2.2}
        [why] = live.explain(RED, "i11", boosts=boosting(without=["always"]))
        assert not [p for p in why.by_source if p.kind == "BOOST"]

    def test_one_that_does_not_fit_the_attributes_adds_nothing_and_is_warned_of(self, live: Live) -> None:
        live.catalogue.create("default", "")
        configure(live, boost_of("always", by_default=True), boost_of("named"))
        live.put("a", "red shoe", attributes={"age": "old"})
        for choice in (BoostChoice(), boosting(Boost("named"))):
            found = live.ask(RED, boosts=choice)
            assert ids(found) == ["a"] and set(warned(found)) == {"BOOST_IGNORED"}

    @pytest.mark.parametrize(
        ("boosts", "field", "message"),
        [
            ([boost_of("b"), boost_of("b")], "settings.boosts[1].name", "occurs twice"),
            ([Boost("b")], "settings.boosts[0].shape", "a shape is required"),
            ([SOME], "settings.boosts[0].items", "nats of items are given in requests"),
            (
                [boost_of("b", Steps(((1, 1), (0, 1))))],
                "settings.boosts[0].steps.steps[1].start",
                "ascending",
            ),
            ([boost_of("b", attribute="colour")], "settings.boosts[0].half_life", "values fits it"),
            ([boost_of(f"b{n}") for n in range(51)], "settings.boosts", "the limit is 50"),
            ([boost_of(f"b{n}", by_default=True) for n in range(11)], "settings.boosts", "at most 10"),
        ],
    )
    def test_wrong_ones_are_refused(self, shop: Live, boosts: list[Boost], field: str, message: str) -> None:
        with pytest.raises(InvalidArgument) as raised:
            configure(shop, *boosts)
        assert raised.value.field == field and message in raised.value.message

    def test_they_are_checked_against_the_types_of_the_same_call(self, live: Live) -> None:
        def change(only: Sequence[str], **settings: Any) -> None:
            live.catalogue.configure("default", CollectionSettings(**settings), only)

        both, age = ("attributes", "boosts"), boost_of("b", attribute="released")
        live.put("a", "red shoe", attributes={"released": "2026-01-01"})
        with pytest.raises(InvalidArgument, match="values fits it"):
            change(["boosts"], boosts=(age,))
        change(both, boosts=(age,), attributes=(Attribute("released", "TIME"),))
        with pytest.raises(
            InvalidArgument, match=r"boost 'b' would no longer fit: .* values fits it"
        ) as raised:
            change(["attributes"], attributes=())
        assert raised.value.field == "settings.attributes"
        with pytest.raises(InvalidArgument, match="values fits it") as raised:
            change(both, boosts=(boost_of("new", attribute="released"),), attributes=())
        assert raised.value.field == "settings.boosts[0].half_life"
        change(both, boosts=(boost_of("b", ByValue({"2026-01-01": 1.0}), "released"),), attributes=())
        assert live.collection.attribute_types == {"released": "STRING"}

    def test_one_that_fits_no_more_does_not_keep_other_settings_out(self, live: Live) -> None:
        live.catalogue.create("default", "")
        configure(live, old := boost_of("old"))
        live.put("a", "red shoe", attributes={"age": "old", "size": 1})
        configure(live, old, boost_of("new", attribute="size"))
        with pytest.raises(InvalidArgument, match="values fits it"):
            configure(live, old, boost_of("new"))

    def test_lists_are_of_one_state_of_the_settings_while_these_change(self, live: Live) -> None:
        fill(live)
        done = threading.Event()

        def change() -> None:
            n = 0
            while not done.is_set():
                n += 1
                configure(
                    live, *(boost_of(name, Linear(0.1 * (n % 3)), by_default=True) for name in "ab"[: n % 3])
                )

        changing = threading.Thread(target=change)
        changing.start()
        try:
            for _ in range(30):
                for item in live.ask(RED, with_parts=True).items:
                    assert sum(p.value for p in item.parts) == pytest.approx(item.score, abs=1e-4)
                    assert len({p.value for p in item.parts if p.kind == "BOOST"}) <= 1
        finally:
            done.set()
            changing.join()


OF_EACH = 900


@pytest.fixture(scope="module")
def large(
    repository: ModelRepository, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Many red shoes, and as many blue boats; graphs that give few candidates."""
    data = tmp_path_factory.mktemp("large") / "data"
    live = Live(repository, data, tiny.fitted, candidates_per_channel=8)
    items = [ItemInput(f"i{n}", contents(f"red shoe {n}"), {"price": n}, ()) for n in range(OF_EACH)]
    items += [ItemInput(f"b{n}", contents(f"blue boat {n}"), {"price": n}, ()) for n in range(OF_EACH)]
    for start in range(0, len(items), 200):
        live.catalogue.upsert("", items[start : start + 200], False, CallContext())
    assert live.collection.maintain(live.store)
    yield live
    live.close()


@pytest.mark.parametrize("dear", [40, 400])
@pytest.mark.parametrize("nats", [0.5, 2.0, 8.0])
def test_what_only_the_sum_of_boost_and_words_finds_is_found(large: Live, dear: int, nats: float) -> None:
    """The boosted items are more than the boost gives as candidates, and the best of them are not nearest in words."""
    choice = boosting(Boost("dear", "price", Steps(((OF_EACH - dear, nats),))))
    for words in ("red shoe", "blue boat", "red boat"):
        query = QueryRequest(content=contents(words))
        exact = large.ask(query, k=8, boosts=choice, exact=True)
        assert scores(large.ask(query, k=8, boosts=choice)) == pytest.approx(scores(exact), abs=1e-3)
