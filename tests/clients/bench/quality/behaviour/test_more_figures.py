"""Dislikes, coverage, two words and probabilities, beside what their figures are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

import itemlens
from itemlens import UserSide
from itemlens_bench.quality.ask import Asking
from itemlens_bench.quality.behaviour import (
    beyond,
    calibration,
    coverage,
    rejected,
    served,
    thin_histories,
    two_words,
)
from itemlens_bench.quality.behaviour.ease_lists import Ease
from itemlens_bench.quality.behaviour.films import Films
from itemlens_bench.quality.behaviour.metrics import Scores
from itemlens_bench.quality.behaviour.served import Prepared
from itemlens_bench.quality.behaviour.split import Split, events
from itemlens_bench.quality.rows import ReportRow
from support.made_up_baskets import ITEMS, USERS

COLLECTION, SEED = "made_up", 7
STEPS, LOW_STEP = (18, 1, 4, 7, 10, 21), 21
"""What users rate later: the items that are so many after the first that they had."""


@pytest.fixture(scope="module")
def films(data: Split) -> Films:
    """All rated what they had with 2; later they like some others, the next of the circle among them, and one not."""
    users, steps = np.repeat(np.arange(USERS), len(STEPS)), np.tile(STEPS, USERS)
    known = events(data.events.user, data.events.item, data.events.time, value=np.full(len(data.events), 2.0))
    values = np.where(steps == LOW_STEP, 2.0, 5.0)
    later = events(users, (users + steps) % ITEMS, np.full(len(users), 1e9), value=values)
    return Films(replace(data, events=known), later)


@dataclass(frozen=True)
class LastItems:
    """A yardstick that likes items by their number."""

    def fit(self, split: Split) -> Scores:
        return lambda questions: np.tile(np.arange(len(split.items), dtype=np.float64), (len(questions), 1))


class LastAlike(Ease):
    """EASE to which items are alike by the number of the other one."""

    def table(self, split: Split) -> NDArray[np.float32]:
        return np.tile(np.arange(len(split.items), dtype=np.float32), (len(split.items), 1))


@pytest.fixture(scope="module")
def there(asking: Asking, client: itemlens.Client) -> Prepared:
    return Prepared(asking, COLLECTION, SEED, {"the last": LastItems(), "EASE": LastAlike()})


def listed(client: itemlens.Client, k: int, side: UserSide) -> list[str]:
    return [item.item_id for item in client.recommend(side, k=k, collection=COLLECTION)]


def by_what(rows: list[ReportRow]) -> dict[str, ReportRow]:
    return {row.what: row for row in rows}


class TestDislikes:
    def test_the_share_that_stays_is_that_of_the_lists(
        self, client: itemlens.Client, there: Prepared, films: Films
    ) -> None:
        rows = list(rejected.measure(there, films=films))
        rng, split = np.random.default_rng(SEED), films.split
        kept = []
        for user in range(USERS):
            unrated = np.setdiff1d(np.arange(ITEMS), split.events.of(user).item)
            disliked = split.items[int(rng.choice(unrated))]
            name = split.users[user]
            before = listed(client, 100, UserSide(user_id=name))[:10]
            after = listed(client, 100, UserSide(user_id=name, disliked=[disliked]))[:10]
            kept.append(len({*before} & {*after}) / 10)
        assert rows[0].figure == pytest.approx(np.mean(kept))
        assert rows[0].queries == USERS and rows[0].least == 0.7
        assert len(rows) == 10 and all(row.interval is not None for row in rows)

    def test_likeness_by_ease_is_that_of_the_tuned_one(
        self, client: itemlens.Client, there: Prepared, films: Films
    ) -> None:
        row = by_what(list(rejected.measure(there, films=films)))[
            "the disliked film's 20 nearest by EASE: change of their places among the first 100"
        ]
        rng, places = np.random.default_rng(SEED), 0
        for user in range(USERS):
            unrated = np.setdiff1d(np.arange(ITEMS), films.split.events.of(user).item)
            disliked = int(rng.choice(unrated))
            nearest = [str(n) for n in range(ITEMS - 1, -1, -1) if n != disliked][:20]
            before = listed(client, 100, UserSide(user_id=films.split.users[user]))
            places += len({*nearest} & {*before})
        assert row.yardstick.startswith(f"{places} places before,")

    def test_a_history_that_lacks_nothing_is_the_users(self, asking: Asking, films: Films) -> None:
        lists = rejected._Lists(asking, films.split, COLLECTION)
        assert lists.without({user: [] for user in range(5)}) == lists.of(range(5), {})

    def test_a_history_that_lacks_films_neither_counts_nor_lists_them(
        self, client: itemlens.Client, asking: Asking, films: Films
    ) -> None:
        known = films.split.events.of(0)
        lacking = np.unique(known.item)[:2]
        rest = served.interactions(films.split, known[~np.isin(known.item, lacking)])
        shorter = listed(client, 100, UserSide(history=rest))
        untold = {str(item) for item in lacking.tolist()}
        assert untold <= {*shorter}
        found = rejected._Lists(asking, films.split, COLLECTION).without({0: lacking.tolist()})[0]
        assert [str(item) for item in found] == [item_id for item_id in shorter if item_id not in untold]

    def test_five_dislikes_are_beside_a_history_that_lacks_them(
        self, client: itemlens.Client, there: Prepared, films: Films
    ) -> None:
        rows = by_what(list(rejected.measure(there, films=films)))
        found: dict[str, list[float]] = {"plain": [], "dislikes": [], "lacking": []}
        for user in range(USERS):
            known = films.split.events.of(user)
            names = [str(item) for item in known.item[-5:].tolist()]
            rest = known[~np.isin(known.item, known.item[-5:])]
            shorter = listed(client, 100, UserSide(history=served.interactions(films.split, rest)))
            lists = {
                "plain": listed(client, 100, UserSide(user_id=str(user))),
                "dislikes": listed(client, 100, UserSide(user_id=str(user), disliked=names)),
                "lacking": [item for item in shorter if item not in names],
            }
            for kind, own in lists.items():
                found[kind] += [str((user + step) % ITEMS) in own[:20] for step in STEPS if step != LOW_STEP]
        share = {kind: float(np.mean(own)) for kind, own in found.items()}
        row = rows["five low-rated films as dislikes: later liked films, R@20, change"]
        assert row.figure == pytest.approx(share["dislikes"] - share["plain"])
        assert row.yardstick == f"a history that lacks them {share['lacking'] - share['plain']:.3f}"
        beyond = rows["  minus a history that lacks them"].figure
        assert beyond == pytest.approx(share["dislikes"] - share["lacking"])
        assert len(set(share.values())) == 3

    def test_the_nearest_are_the_twenty_with_the_largest_likeness_but_the_item(self) -> None:
        likeness = np.arange(30, dtype=np.float32)
        assert rejected._nearest(likeness, 29).tolist() == list(range(28, 8, -1))

    def test_a_change_is_that_of_the_sum_over_users(self) -> None:
        row = rejected._change("x", [4, 0, 6], [1, 0, 4], SEED, most=-0.5)
        assert row.figure == pytest.approx(-0.5) and row.holds
        assert row.interval is not None and row.interval[0] <= -0.5 <= row.interval[1]


def test_coverage_counts_the_items_of_all_lists(
    client: itemlens.Client, there: Prepared, films: Films
) -> None:
    rows = list(coverage.measure(there, films=films))
    lists = [listed(client, 20, UserSide(user_id=user)) for user in films.split.users]
    assert rows[0].figure == pytest.approx(len({i for own in lists for i in own}) / ITEMS)
    assert {text.rpartition(" ")[0] for text in rows[0].yardstick.split("; ")} == {"the last", "EASE"}


def test_coverage_is_beside_that_of_the_yardsticks_as_they_were_tuned(there: Prepared, films: Films) -> None:
    row = next(coverage.measure(there, films=films))
    shown = set()
    for user in range(USERS):
        unrated = np.setdiff1d(np.arange(ITEMS), films.split.events.of(user).item)
        shown |= {*unrated[-20:].tolist()}
    assert row.yardstick.startswith(f"the last {len(shown) / ITEMS:.3f};")


def test_items_without_events_are_counted_against_their_share_of_later_events(
    client: itemlens.Client, there: Prepared, films: Films
) -> None:
    split = films.split
    kept = split.events[split.events.item != 18]
    without = Films(replace(split, events=kept), films.later)
    row = list(coverage.measure(there, films=without))[1]
    lists = [listed(client, 20, UserSide(user_id=user)) for user in split.users]
    share = np.mean([own.count("18") / len(own) for own in lists])
    assert row.figure == pytest.approx(share / np.mean(films.later.item == 18))


def test_two_words_and_a_user_stand_beside_either_alone(
    client: itemlens.Client, there: Prepared, data: Split
) -> None:
    rows = by_what(list(two_words.measure(there, split=data)))
    both = rows["a user + two words of what they took, R@20"]
    alone = [float(text.rpartition(" ")[2]) for text in both.yardstick.split("; ")]
    assert rows["  over the better one"].figure == pytest.approx(both.figure / max(alone), abs=1e-3)
    assert rows["  minus the user"].figure == pytest.approx(both.figure - alone[1], abs=1e-4)
    assert both.queries == USERS


class TestProbabilities:
    def test_that_are_right_have_no_error(self) -> None:
        right = np.tile([0.0, 1.0], 500)
        assert calibration.error(np.full(1000, 0.5), right) == pytest.approx(0.0)

    def test_that_are_twice_too_large_are_wrong_by_the_mean_share(self) -> None:
        right = np.tile([0.0, 0.0, 0.0, 1.0], 250)
        assert calibration.error(np.full(1000, 0.5), right) == pytest.approx(1.0, abs=0.05)

    def test_that_are_right_are_within_the_interval_though_chance_shows_an_error(self) -> None:
        for seed in range(20):
            rng = np.random.default_rng(seed)
            probability, owners = rng.uniform(0.0, 0.3, 2000), np.repeat(np.arange(100), 20)
            right = (rng.random(2000) < probability).astype(np.float64)
            figure = calibration.error(probability, right)
            low, high = calibration.interval(figure, calibration.noise(probability, right, owners, SEED))
            assert low == 0.0 < figure < high

    def test_that_are_clearly_wrong_are_not(self) -> None:
        rng = np.random.default_rng(SEED)
        probability, owners = rng.uniform(0.0, 0.3, 4000), np.repeat(np.arange(200), 20)
        right = (rng.random(4000) < probability / 2).astype(np.float64)
        figure = calibration.error(probability, right)
        low, high = calibration.interval(figure, calibration.noise(probability, right, owners, SEED))
        assert 0.3 < low < 1.0 < high  # twice too large: the true error is the mean share

    def test_of_lists_that_are_all_alike_move_by_nothing(self) -> None:
        probability, right = np.tile(np.linspace(0.1, 0.5, 20), 30), np.tile([0.0, 1.0], 300)
        owners = np.repeat(np.arange(30), 20)
        assert calibration.noise(probability, right, owners, SEED).max() < 1e-12

    def test_that_do_not_tell_items_apart_are_wrong_by_the_differences(self) -> None:
        right = np.repeat([0.0, 1.0], 500)
        assert calibration.error(np.full(1000, 0.5), right, by=right) == pytest.approx(1.0)


def test_thin_histories_are_the_newest_events_alone(
    there: Prepared, client: itemlens.Client, data: Split
) -> None:
    rows = list(thin_histories.measure(there, split=data))
    assert [row.what.split(",")[0] for row in rows[::2]] == [
        f"the newest {n} events alone" for n in thin_histories.EVENTS
    ]
    right = []
    for question in data.questions:
        last = data.items[data.events.of(question.user).item[-1]]
        side = UserSide(history=[itemlens.Interaction(last, "purchase")])
        reply = client.recommend(side, k=20, exclude_seen=False, collection=COLLECTION)
        found = {item.item_id for item in reply}
        right.append(np.mean([data.items[answer] in found for answer in question.answers.tolist()]))
    assert rows[0].figure == pytest.approx(np.mean(right), abs=0.05)
    assert rows[1].least == 0.0 and rows[1].figure == pytest.approx(
        rows[0].figure - float(rows[0].yardstick.split()[-1]), abs=1e-3
    )


def test_products_beyond_the_most_bought_have_their_share_of_the_right_places(
    there: Prepared, client: itemlens.Client, data: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert beyond.ratio(np.asarray([[1.0, 4.0, 2.0, 4.0], [0.0, 4.0, 2.0, 4.0]])) == 0.25
    assert beyond.most_bought(data, len(data.items)).tolist() == beyond.most_bought(data, 10**6).tolist()
    monkeypatch.setattr(beyond, "MOST_BOUGHT", 0)
    [all_beyond] = beyond.measure(there, split=data)
    assert all_beyond.figure == 1.0 and all_beyond.least == 0.7
    monkeypatch.setattr(beyond, "MOST_BOUGHT", len(data.items) // 2)
    [half] = beyond.measure(there, split=data)
    assert half.interval is not None and half.interval[0] <= half.figure <= half.interval[1]
    assert "the last" in half.yardstick
