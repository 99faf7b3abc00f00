"""The fit of a collection: it learns from items and events, says what that brings, and takes only what is better."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.head_runner import HeadRunner
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.errors import FailedPrecondition
from itemlens_server.fusion.default_weights import ONLY_POPULARITY, default_prior
from itemlens_server.fusion.head import Head
from itemlens_server.fusion.weights import ANYONE, DISLIKE, NEXT, SIMILAR, QuestionWeights, TableRules
from itemlens_server.services import EventRecord, ItemInput
from itemlens_server.services.fitting import FitReport, fit
from itemlens_server.services.fitting import fitting as fitting_module
from itemlens_server.services.fitting.behaviour import BehaviourFit
from itemlens_server.services.fitting.report import DEFAULTS, NEW, NOW, Verdict
from itemlens_server.storage.store import Store
from support import spaces
from support.live import Live, contents
from support.spaces import Tiny

ITEMS, USERS, FEW_USERS, EVENTS, DAY = 180, 90, 30, 20, 86400.0
PURCHASE, VIEW = 5, 2


def with_items(repository: ModelRepository, data: Path, space: str, count: int = ITEMS) -> Live:
    """The sample catalogue; the theme is an attribute."""
    live = Live(repository, data, space)
    items = [
        ItemInput(i.item_id, contents(i.text, i.pictures), {"theme": i.theme}, ())
        for i in spaces.sample_items(count)
    ]
    if items:
        live.catalogue.upsert("", items, False, CallContext())
    return live


def record(
    live: Live, users: int = USERS, kind: int = PURCHASE, days: float = 3.0, baskets: bool = False
) -> None:
    """Users mostly take items of one theme, one each 3 days, or in baskets of two."""
    rng = random.Random(1)
    sample = spaces.sample_items(ITEMS)
    themes = sorted({item.theme for item in sample})
    events = []
    for user in range(users):
        for n in range(EVENTS):
            theme = themes[user % len(themes)] if rng.random() < 0.9 else rng.choice(themes)
            item = rng.choice([i.item_id for i in sample if i.theme == theme])
            time = DAY * days * (n // 2 if baskets else n) + (0 if baskets else rng.random())
            events.append(EventRecord(f"{user}-{n}", f"u{user}", item, kind, time + user))
    live.catalogue.record("", events)


def fitted(live: Live, progress: Callable[[str], None] = lambda _: None) -> tuple[Head, FitReport]:
    # Opened as by the command, at the same time as the server.
    reader = Store.read_only(live.data)
    collection = live.collection
    return fit(
        collection.space, reader, collection.record.id, live.encoder, live.settings.type_weights(), progress
    )


@pytest.fixture(scope="module")
def shop(repository: ModelRepository, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = with_items(repository, tmp_path_factory.mktemp("shop"), tiny.plain)
    record(live)
    yield live
    live.close()


@pytest.fixture(scope="module")
def done(shop: Live) -> tuple[Head, FitReport]:
    return fitted(shop)


class TestAShopWithEvents:
    def test_every_question_has_weights(self, done: tuple[Head, FitReport]) -> None:
        head, _ = done
        assert {NEXT, ANYONE, SIMILAR, DISLIKE} <= set(head.questions)
        assert {"search:text", "search:image", "search:image+text"} <= set(head.questions)
        assert head.fitted and head.table_rules is not None

    def test_next_is_better_than_not_fitted_and_taken(self, done: tuple[Head, FitReport]) -> None:
        head, report = done
        [verdict] = [v for v in report.verdicts if v.question == NEXT]
        assert (verdict.than_defaults, verdict.than_now, verdict.taken) == ("better", "better", True)
        assert report.better
        assert head.questions[NEXT].choices > 0

    def test_what_users_share_with_items_is_found(self, done: tuple[Head, FitReport]) -> None:
        # Nothing but the theme tells what a user takes.
        head, _ = done
        attribute = head.questions[NEXT].column("ATTRIBUTE")
        behaviour = head.questions[NEXT].column("BEHAVIOUR")
        assert attribute.new > 0 or behaviour.new > 0

    def test_it_is_compared_with_all_yardsticks(self, done: tuple[Head, FitReport]) -> None:
        _, report = done
        systems = {f.system for f in report.figures if f.question == NEXT and f.measure == "R@20"}
        assert {NEW, NOW, DEFAULTS, "popularity", "own frequency", "EASE alone"} <= systems
        assert {"raw cosine: text", "raw cosine: image"} <= systems
        assert {
            "without BEHAVIOUR",
            "without REPEAT",
            "without POPULARITY",
            "without channel text",
        } <= systems
        assert any(system.startswith("raw cosines: ") for system in systems)
        for figure in report.figures:
            assert (figure.difference is None) == (figure.system == NEW)
            if figure.difference is not None:
                assert figure.low is not None and figure.high is not None
                assert figure.low <= figure.difference <= figure.high

    def test_the_same_lists_without_what_was_had_are_measured_too(self, done: tuple[Head, FitReport]) -> None:
        _, report = done
        assert {"R@20", "explore R@20", "nll"} == {f.measure for f in report.figures if f.question == NEXT}

    def test_weights_have_standard_errors(self, done: tuple[Head, FitReport]) -> None:
        _, report = done
        assert any(w.standard_error > 0 for w in report.weights if w.question == NEXT)
        assert np.isfinite([[w.weight, w.standard_error] for w in report.weights]).all()

    def test_the_same_data_give_the_same_head(
        self, shop: Live, done: tuple[Head, FitReport], tmp_path: Path
    ) -> None:
        again, report = fitted(shop)
        assert report == done[1]
        done[0].save(tmp_path / "one.npz")
        again.save(tmp_path / "two.npz")
        assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()

    def test_the_report_is_json(self, done: tuple[Head, FitReport]) -> None:
        import json

        value = json.loads(json.dumps(done[1].to_json()))
        assert value["better"] is True
        assert value["verdicts"] == [asdict(v) for v in done[1].verdicts]


def test_a_catalogue_without_events_has_defaults_for_users_and_fitted_searches(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path
) -> None:
    live = with_items(repository, tmp_path, tiny.plain)
    try:
        head, report = fitted(live)
        assert {NEXT, SIMILAR, DISLIKE} <= set(head.questions)
        assert (
            head.table_rules == ONLY_POPULARITY and head.questions[ANYONE].columns == default_prior().columns
        )
        assert head.questions[NEXT].choices == 0 and head.questions[NEXT].of("text").weight > 0
        assert [v.question for v in report.verdicts if v.taken]
        assert ("next", "defaults") in [(s.what, s.chosen) for s in report.steps]
    finally:
        live.close()


def test_pairs_of_one_basket_teach_similar(repository: ModelRepository, tiny: Tiny, tmp_path: Path) -> None:
    live = with_items(repository, tmp_path, tiny.plain)
    try:
        record(live, FEW_USERS, baskets=True)
        head, report = fitted(live)
        assert SIMILAR in [v.question for v in report.verdicts]
        similar = head.questions[SIMILAR]
        assert not any(name.startswith("REPEAT") for name in similar.columns)
        for weights in similar.columns.values():
            assert weights.had == weights.new
    finally:
        live.close()


def test_where_similar_alone_is_taken_the_trend_is_that_of_the_default_prior(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_similar(*_: object) -> BehaviourFit:
        rules = TableRules(regularisation=50.0, recent_days=28.0, trend_days=3.0)
        verdicts = [Verdict(q, "better", "better", taken=q == SIMILAR) for q in (NEXT, SIMILAR)]
        return BehaviourFit({SIMILAR: QuestionWeights()}, rules, verdicts=verdicts)

    monkeypatch.setattr(fitting_module, "fit_behaviour", only_similar)
    live = with_items(repository, tmp_path, tiny.plain, 20)
    try:
        head, _ = fitted(live)
        assert head.questions[ANYONE].columns == default_prior().columns
        trend_days = ONLY_POPULARITY.trend_days
        assert head.table_rules == TableRules(regularisation=50.0, recent_days=28.0, trend_days=trend_days)
    finally:
        live.close()


def test_a_fit_that_brings_nothing_is_not_better(
    repository: ModelRepository, tiny: Tiny, shop: Live, done: tuple[Head, FitReport]
) -> None:
    # The new head serves already: the same data cannot bring more.
    runner = HeadRunner(done[0], None)
    space = replace(shop.collection.space, head_runner=runner)
    reader = Store.read_only(shop.data)
    _, report = fit(space, reader, shop.collection.record.id, shop.encoder, shop.settings.type_weights())
    runner.close()
    assert not report.better
    assert {v.than_now for v in report.verdicts} <= {"equal"}


class TestPoorData:
    """No data make the fit fail; what cannot be learnt has its default."""

    @pytest.mark.parametrize("count", [1, 2, 9])
    def test_few_items(self, repository: ModelRepository, tiny: Tiny, tmp_path: Path, count: int) -> None:
        live = with_items(repository, tmp_path, tiny.plain, count)
        try:
            live.record(*((f"u{n}", "item-0000", PURCHASE) for n in range(60)))
            _finite(fitted(live)[0])
        finally:
            live.close()

    def test_no_item(self, repository: ModelRepository, tiny: Tiny, tmp_path: Path) -> None:
        live = with_items(repository, tmp_path, tiny.plain, 1)
        live.catalogue.delete_items(live.collection, ["item-0000"])
        try:
            with pytest.raises(FailedPrecondition, match="index items first"):
                fitted(live)
        finally:
            live.close()

    def test_equal_items_of_one_channel_without_attributes(
        self, repository: ModelRepository, tiny: Tiny, tmp_path: Path
    ) -> None:
        live = Live(repository, tmp_path, tiny.plain)
        try:
            for n in range(60):
                live.put(f"item-{n:04d}", "red shoe")
            record(live, FEW_USERS)
            _finite(fitted(live)[0])
        finally:
            live.close()

    @pytest.mark.parametrize(
        "events",
        [
            {"users": 1},
            {"users": FEW_USERS, "kind": VIEW},
            {"users": FEW_USERS, "days": 0.0},
            {"users": 2, "days": 0.001},
        ],
        ids=["one user", "views only", "one day", "two users in minutes"],
    )
    def test_events_of_one_kind(
        self, repository: ModelRepository, tiny: Tiny, tmp_path: Path, events: dict[str, Any]
    ) -> None:
        live = with_items(repository, tmp_path, tiny.plain, 120)
        try:
            record(live, **events)
            _finite(fitted(live)[0])
        finally:
            live.close()

    def test_data_that_separate_give_bounded_weights(
        self, repository: ModelRepository, tiny: Tiny, tmp_path: Path
    ) -> None:
        # Every user takes the same item again and again.
        live = with_items(repository, tmp_path, tiny.plain, 120)
        try:
            live.record(*((f"u{n % 30}", f"item-{n % 30:04d}", PURCHASE) for n in range(600)))
            head, _ = fitted(live)
            _finite(head)
            assert all(abs(w) < 100 for c in head.questions[NEXT].columns.values() for w in c.by_state)
        finally:
            live.close()


def _finite(head: Head) -> None:
    for weights in head.questions.values():
        numbers = [w.by_state for w in weights.columns.values()]
        numbers += [
            np.asarray([c.weight, c.threshold, c.imputed_threshold]) for c in weights.channels.values()
        ]
        assert all(np.isfinite(own).all() for own in numbers)


def test_items_that_change_meanwhile_are_not_asked_for(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path
) -> None:
    live = with_items(repository, tmp_path, tiny.plain)
    changed = [item for item in spaces.sample_items(ITEMS) if item.pictures]

    def write(step: str) -> None:
        # Between reading the vectors and reading the items of the questions.
        if step.startswith("encoding"):
            for item in changed[0::3]:
                live.put(item.item_id, "bond", [spaces.picture("fund", "black")])
            live.catalogue.delete_items(live.collection, [item.item_id for item in changed[1::3]])

    def asked(report: FitReport) -> int:
        return max(f.questions for f in report.figures if f.question == "search:image+text")

    try:
        undisturbed = asked(fitted(live)[1])
        assert 0 < asked(fitted(live, write)[1]) < 0.6 * undisturbed
    finally:
        live.close()
