"""Dislikes, coverage, two words and probabilities, beside what their figures are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import itemlens
from itemlens import UserSide
from itemlens_bench.quality.ask import Asking
from itemlens_bench.quality.behaviour import calibration, coverage, rejected, two_words
from itemlens_bench.quality.behaviour.films import Films
from itemlens_bench.quality.behaviour.split import Split, events
from itemlens_bench.quality.rows import ReportRow
from support.made_up_baskets import ITEMS, USERS

COLLECTION, SEED = "made_up", 7


@pytest.fixture(scope="module")
def films(data: Split) -> Films:
    """All rated what they had with 2; later they like the next of the circle."""
    users, items = np.arange(USERS), (np.arange(USERS) + 18) % ITEMS
    known = events(data.events.user, data.events.item, data.events.time, value=np.full(len(data.events), 2.0))
    later = events(users, items, np.full(USERS, 1e9), value=np.full(USERS, 5.0))
    return Films(replace(data, events=known), later)


def listed(client: itemlens.Client, k: int, side: UserSide) -> list[str]:
    return [item.item_id for item in client.recommend(side, k=k, collection=COLLECTION)]


def by_what(rows: list[ReportRow]) -> dict[str, ReportRow]:
    return {row.what: row for row in rows}


class TestDislikes:
    def test_the_share_that_stays_is_that_of_the_lists(
        self, client: itemlens.Client, asking: Asking, films: Films
    ) -> None:
        rows = list(rejected.measure(asking, COLLECTION, SEED, films=films))
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
        assert len(rows) == 7 and all(row.interval is not None for row in rows)

    def test_the_nearest_are_the_twenty_with_the_largest_likeness_but_the_item(self) -> None:
        likeness = np.arange(30, dtype=np.float32)
        assert rejected._nearest(likeness, 29).tolist() == list(range(28, 8, -1))

    def test_a_change_is_that_of_the_sum_over_users(self) -> None:
        row = rejected._change("x", [4, 0, 6], [1, 0, 4], SEED, most=-0.5)
        assert row.figure == pytest.approx(-0.5) and row.holds
        assert row.interval is not None and row.interval[0] <= -0.5 <= row.interval[1]


def test_coverage_counts_the_items_of_all_lists(
    client: itemlens.Client, asking: Asking, films: Films
) -> None:
    rows = list(coverage.measure(asking, COLLECTION, SEED, films=films))
    lists = [listed(client, 20, UserSide(user_id=user)) for user in films.split.users]
    assert rows[0].figure == pytest.approx(len({i for own in lists for i in own}) / ITEMS)
    assert {text.rpartition(" ")[0] for text in rows[0].yardstick.split("; ")} == {"popularity", "EASE"}


def test_items_without_events_are_counted_against_their_share_of_later_events(
    client: itemlens.Client, asking: Asking, films: Films
) -> None:
    split = films.split
    kept = split.events[split.events.item != 18]
    without = Films(replace(split, events=kept), films.later)
    row = list(coverage.measure(asking, COLLECTION, SEED, films=without))[1]
    lists = [listed(client, 20, UserSide(user_id=user)) for user in split.users]
    share = np.mean([own.count("18") / len(own) for own in lists])
    assert row.figure == pytest.approx(share / np.mean(films.later.item == 18))


def test_two_words_and_a_user_stand_beside_either_alone(
    client: itemlens.Client, asking: Asking, data: Split
) -> None:
    rows = by_what(list(two_words.measure(asking, COLLECTION, SEED, split=data)))
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

    def test_that_do_not_tell_items_apart_are_wrong_by_the_differences(self) -> None:
        right = np.repeat([0.0, 1.0], 500)
        assert calibration.error(np.full(1000, 0.5), right, by=right) == pytest.approx(1.0)
