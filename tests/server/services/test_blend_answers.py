"""Users and searches for what they then took, asked apart and together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from itemlens_server.fusion.choices import Choice
from itemlens_server.fusion.comparison import Answers
from itemlens_server.fusion.head import Array, Head, HeadChannel, unit
from itemlens_server.fusion.rows import Rows
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.weights import NEXT, ChannelWeights, ColumnWeights, QuestionWeights
from itemlens_server.services.fitting.blend_answers import FEWEST, TOGETHER, Searches, compare
from support import choosing

WIDTH = 6
NEW = "fitted"


def collection(search_weight: float) -> tuple[Snapshot, list[Choice], dict[str, Array]]:
    """Users who choose from their group, items with random directions, and the weights of both questions."""
    known, choices, _ = choosing.asked(choosing.log())
    rng, ids = np.random.default_rng(0), known.view.item_ids
    e = unit(rng.normal(size=(len(ids), WIDTH)).astype(np.float32))
    head = Head(
        (HeadChannel("text", np.zeros(WIDTH, np.float32)),),
        {
            NEXT: QuestionWeights({"text": ChannelWeights(0.0)}, {"BEHAVIOUR": ColumnWeights(30.0, 30.0)}),
            "search:text": QuestionWeights({"text": ChannelWeights(search_weight, 0.0)}),
        },
        fitted=True,
    )
    rows = Rows(head.dimension)
    flags = np.tile(np.asarray([1, 0], np.float32), (len(ids), 1))
    rows.append(np.arange(1, len(ids) + 1), list(ids), np.concatenate([e, flags], axis=1))
    return replace(known, head=head, view=rows.view()), choices, dict(zip(ids, e, strict=True))


def answers(search_weight: float) -> Answers:
    snapshot, choices, e = collection(search_weight)
    rng = np.random.default_rng(1)

    def words(item_ids: Sequence[str]) -> list[Array | None]:
        return [e[i] + rng.normal(size=WIDTH).astype(np.float32) * 0.4 for i in item_ids]

    found = compare(snapshot, choices, Searches("text", words))
    assert found is not None
    return found


def test_both_find_more_than_either_alone() -> None:
    found = answers(5.0)
    assert set(found.measures) == {NEW, "user alone", "search alone", TOGETHER}
    recall = {system: found.mean(system, "R@20") or 0.0 for system in found.measures}
    assert recall[NEW] > max(recall["user alone"], recall["search alone"]) > 0.2


def test_factors_that_are_fitted_together_say_what_weights_that_are_not_of_one_scale_lose() -> None:
    right, wrong = answers(5.0), answers(50.0)
    losses = [(a.mean(NEW, "nll") or 0.0) - (a.mean(TOGETHER, "nll") or 0.0) for a in (right, wrong)]
    assert losses[1] > losses[0] + 0.5
    assert wrong.mean(TOGETHER, "nll") == pytest.approx(right.mean(TOGETHER, "nll"), abs=0.1)


def test_too_few_searches_say_nothing() -> None:
    snapshot, choices, e = collection(5.0)

    def few(item_ids: Sequence[str]) -> list[Array | None]:
        return [e[i] if n < FEWEST - 1 else None for n, i in enumerate(item_ids)]

    assert compare(snapshot, choices, Searches("text", few)) is None
