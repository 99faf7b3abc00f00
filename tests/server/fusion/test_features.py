"""Features of the choice model: bent columns, for the states they are for."""

from __future__ import annotations

import numpy as np
import pytest

from itemlens_server.fusion.choice_columns import CandidateColumns
from itemlens_server.fusion.features import (
    COLD,
    HAD,
    NEW,
    WARM,
    Feature,
    choice_sets,
    design,
    mean_of,
)
from itemlens_server.fusion.weights import State, Transform

STATES = np.asarray([0, 1, 2, 0], np.int8)  # new, had, cold, new
COLUMNS = {
    "B@0.9": np.asarray([4.0, 9.0, 16.0, 0.0], np.float32),
    "PRESENT.text": np.asarray([1.0, 0.0, 1.0, 1.0], np.float32),
}
ROOT = Transform("sqrt")


@pytest.mark.parametrize(
    ("states", "expected"),
    [(NEW, [2, 0, 0, 0]), (HAD, [0, 3, 0, 0]), (COLD, [0, 0, 4, 0]), (WARM, [2, 3, 0, 0])],
)
def test_count_for_their_states_alone(states: tuple[State, ...], expected: list[float]) -> None:
    assert Feature("B", "B@0.9", states, ROOT).values(COLUMNS, STATES).tolist() == expected


def test_theta_is_taken_off_everywhere_or_where_a_column_says_so() -> None:
    everywhere = Feature("B", "B@0.9", transform=ROOT, neutral=0.5)
    assert everywhere.values(COLUMNS, STATES).tolist() == [1.5, 2.5, 3.5, -0.5]
    present = Feature("B", "B@0.9", transform=ROOT, less="PRESENT.text", neutral=0.5)
    assert present.values(COLUMNS, STATES).tolist() == [1.5, 3.0, 3.5, -0.5]


def test_a_column_that_the_data_do_not_have_is_0() -> None:
    assert not Feature("X", "X@1", neutral=3.0).values(COLUMNS, STATES).any()


def test_are_the_columns_of_a_matrix() -> None:
    features = [Feature("B", "B@0.9", NEW), Feature("B", "B@0.9", HAD)]
    np.testing.assert_array_equal(design(features, COLUMNS, STATES), [[4, 0], [0, 9], [0, 0], [0, 0]])


def test_the_mean_over_the_catalogue_counts_a_drawn_item_for_those_that_were_not() -> None:
    log_q = np.log(np.asarray([1.0, 1.0, 0.1, 0.1])).astype(np.float32)
    data = CandidateColumns(
        COLUMNS, STATES, np.asarray([0, 4]), np.asarray([1, 0, 0, 0], np.float32), log_q, np.asarray([7])
    )
    assert mean_of(Feature("B", "B@0.9"), data) == pytest.approx((4 + 9 + 160 + 0) / 22, rel=1e-5)
    sets = choice_sets([Feature("B", "B@0.9")], data)
    assert sets.x.tolist() == [[4], [9], [16], [0]] and sets.log_q is not None
    np.testing.assert_array_equal(sets.log_q, log_q)
