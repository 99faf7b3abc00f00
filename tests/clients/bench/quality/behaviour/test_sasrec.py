"""SASRec: sequences that share a row do not see each other, and an order that can be learnt is learnt."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from itemlens_bench.quality.behaviour.metrics import places
from itemlens_bench.quality.behaviour.sasrec import IGNORED, Pairs, SASRec, Settings, score
from itemlens_bench.quality.behaviour.sasrec_lists import CHOSEN, SasRec, search
from support.made_up_baskets import ask, split

SMALL = Settings(width=16, layers=1, heads=2, dropout=0.1, learning_rate=0.01, length=6)


def test_pairs_fill_rows_and_long_sequences_are_cut_from_their_end() -> None:
    sequences = [np.asarray([1, 2, 3]), np.arange(6), np.asarray([7, 8])]
    rows = Pairs(sequences, 9, Settings(length=4)).rows(np.arange(4))
    # 1 2 | the last four pairs of 0 .. 5 do not fit beside it | the first pair of them | 7
    assert rows.item.tolist() == [[1, 2, 9, 9], [1, 2, 3, 4], [0, 7, 9, 9]]
    assert rows.target.tolist() == [[2, 3, IGNORED, IGNORED], [2, 3, 4, 5], [1, 8, IGNORED, IGNORED]]
    assert rows.position.tolist() == [[1, 0, 0, 0], [3, 2, 1, 0], [0, 0, 0, 0]]
    assert rows.sequence.tolist() == [[0, 0, -1, -1], [1, 1, 1, 1], [2, 3, -1, -1]]


@pytest.mark.parametrize("from_end", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
def test_sequences_in_one_row_give_what_they_give_alone(from_end: bool, norm_first: bool) -> None:
    settings = Settings(width=8, length=6, from_end=from_end, norm_first=norm_first)
    torch.manual_seed(0)
    model = SASRec(20, settings).eval()
    sequences = [np.random.default_rng(n).integers(0, 20, size) for n, size in enumerate((3, 4, 2, 6))]
    rows = Pairs(sequences, 20, settings).rows(np.arange(4))
    states = model(rows.item, rows.position, rows.sequence)
    for n, sequence in enumerate(sequences):
        alone = score(model, [sequence[:-1]])[0]
        together = model.scores(states[rows.sequence == n][-1]).detach().numpy()
        assert together == pytest.approx(alone, abs=1e-5)


def test_padding_and_other_histories_of_a_batch_change_nothing() -> None:
    model = SASRec(9, SMALL)
    histories = [np.asarray([1]), np.asarray([2, 3, 4, 5, 6, 7, 8]), np.asarray([3, 1])]
    together = score(model, histories)
    for history, row in zip(histories, together, strict=True):
        assert score(model, [history])[0] == pytest.approx(row, abs=1e-5)


def test_only_the_newest_items_count() -> None:
    model = SASRec(9, SMALL)
    long = np.asarray([8, 8, 1, 2, 3, 4, 5, 6])
    assert score(model, [long])[0] == pytest.approx(score(model, [long[-6:]])[0])


def test_it_learns_an_order() -> None:
    # Item n comes after item n - 1 in a circle of ten, whichever the first is.
    baskets = [[[(n + step) % 10] for step in range(6)] for n in range(10)] * 8
    known = split(baskets, 10, [ask(n, (n + 6) % 10, without_had=True) for n in range(10)])
    scores = SasRec(SMALL, epochs=60).fit(known)
    assert places(scores, known).recall(1).mean() == 1.0


def test_the_search_returns_settings_that_were_tried() -> None:
    baskets = [[[(n + step) % 10] for step in range(6)] for n in range(10)] * 2
    found = search(split(baskets, 10), seconds=0.3)
    assert found.epochs >= 1 and found.settings.width in (64, 128, 256)


def test_the_same_seed_gives_the_same_scores() -> None:
    known = split([[[0], [1], [2]], [[2], [1], [0]]], 3)
    first, second = (SasRec(SMALL, epochs=2).fit(known)([ask(0)]) for _ in range(2))
    assert first.tolist() == second.tolist()


def test_chosen_settings_are_complete() -> None:
    assert set(CHOSEN) == {"Beauty", "Toys_and_Games", "LastFM"}
    assert all(chosen.settings.width % chosen.settings.heads == 0 for chosen in CHOSEN.values())
