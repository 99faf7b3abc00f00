"""Histories of three items of one type, with lists that can be checked by hand."""

from __future__ import annotations

import numpy as np

from itemlens_bench.quality.histories import History
from itemlens_bench.quality.one_type import nearest, type_shares
from itemlens_bench.quality.searches import RawVectors

RAW = RawVectors(
    ["shoe-1", "shoe-2", "shoe-3", "shirt-1"],
    np.asarray([[1, 0], [1, 0], [1, 0], [0.6, 0.8]], np.float32),
    np.asarray([[0, 1], [0, 1], [1, 0], [0, 1]], np.float32),
)
HISTORIES = [History(("shoe-1", "shoe-2"), ("shoe",))]


def test_the_raw_mean_leaves_out_the_history_and_weighs_pictures() -> None:
    # By words shoe 3 is nearest; the shirt's picture is that of shoes 1 and 2.
    assert nearest(HISTORIES, RAW, 0.1) == [["shoe-3", "shirt-1", "shoe-1", "shoe-2"]]
    assert nearest(HISTORIES, RAW, 4.0)[0][:2] == ["shirt-1", "shoe-3"]


def test_the_share_of_a_list_that_is_of_the_type() -> None:
    category = {item_id: item_id.split("-")[0] for item_id in RAW.item_ids}
    assert type_shares(HISTORIES, [["shoe-3", "shirt-1"]], category).tolist() == [0.5]
