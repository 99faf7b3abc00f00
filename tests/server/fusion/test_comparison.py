"""Comparison of systems on the same questions: what is collected, and verdicts."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.comparison import Answers, Collected


def answers(**measures: dict[str, list[float]]) -> Answers:
    made = {s: {m: np.asarray(v, float) for m, v in own.items()} for s, own in measures.items()}
    count = len(next(iter(next(iter(measures.values())).values())))
    return Answers("next", made, np.arange(count))


class TestVerdict:
    def test_clearly_more_hits_are_better_and_clearly_fewer_worse(self) -> None:
        some = answers(a={"R@20": [1.0] * 30}, b={"R@20": [0.0] * 25 + [1.0] * 5})
        assert (some.verdict("a", "b"), some.verdict("b", "a")) == ("better", "worse")

    def test_a_better_likelihood_helps_only_if_lists_are_not_worse(self) -> None:
        same = answers(a={"R@20": [1.0] * 30, "nll": [1.0] * 30}, b={"R@20": [1.0] * 30, "nll": [2.0] * 30})
        assert same.verdict("a", "b") == "better"
        less = [0.0] * 3 + [1.0] * 27  # 1.8 standard errors
        fewer = answers(a={"R@20": less, "nll": [1.0] * 30}, b={"R@20": [1.0] * 30, "nll": [2.0] * 30})
        assert fewer.verdict("a", "b") == "equal"

    def test_what_is_worse_for_one_kind_of_list_is_worse(self) -> None:
        some = answers(
            a={"R@20": [1.0] * 30, "explore R@20": [0.0] * 30},
            b={"R@20": [0.0] * 30, "explore R@20": [1.0] * 30},
        )
        assert some.verdict("a", "b") == "worse"

    def test_no_difference_is_equal(self) -> None:
        some = answers(a={"R@20": [1.0, 0.0] * 15}, b={"R@20": [0.0, 1.0] * 15})
        assert some.verdict("a", "b") == "equal"


def test_explore_leaves_out_what_the_user_had() -> None:
    collected = Collected("next", 1)
    scores = {"a": np.asarray([3.0, 2.0, 1.0], np.float32)}
    had = np.asarray([True, False, False])
    collected.add(0, scores, np.asarray([1]), had, ["a"])
    collected.add(1, scores, np.asarray([0]), had)
    found = collected.answers()
    assert found.measures["a"]["R@1"].tolist() == [0.0, 1.0]
    assert found.measures["a"]["explore R@1"][0] == 1.0 and np.isnan(found.measures["a"]["explore R@1"][1])
    assert np.isfinite(found.measures["a"]["nll"][0]) and np.isnan(found.measures["a"]["nll"][1])
    assert found.count("a", "explore R@1") == 1
