"""Questions of users whom nobody knows."""

from __future__ import annotations

from itemlens_bench.quality.behaviour.unknown_users import of_unknown
from support.made_up_baskets import ask, split


def test_nothing_is_left_out_of_their_lists_nor_one_step_before() -> None:
    known = split([[[0], [1], [2]]] * 4, 4, [ask(0, 3, without_had=True)])
    unknown = of_unknown(known)
    assert [question.without_had for question in unknown.questions] == [False]
    assert unknown.questions[0].answers.tolist() == [3] and unknown.events is known.events
    assert unknown.earlier.questions and not any(q.without_had for q in unknown.earlier.questions)
