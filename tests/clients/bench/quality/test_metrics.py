"""The arithmetic of the figures, on cases that can be checked by hand."""

from __future__ import annotations

import io
import math
import random

import numpy as np
import pytest
from PIL import Image

from itemlens import Explanation, Part, PartKind, Recommendation, Recommendations
from itemlens_bench.quality import ask, deletion, histories, lists, queries, rows, sums


def listed(*scores: tuple[str, float], interest: int = 0) -> list[Recommendation]:
    return [Recommendation(i, n + 1, s, interest, (), "") for n, (i, s) in enumerate(scores)]


def answer(items: list[Recommendation]) -> Recommendations:
    return Recommendations("", "", tuple(items), (), len(items), ())


@pytest.mark.parametrize(
    ("target", "k", "expected"),
    [
        ("a", 1, 1.0),  # alone at the top
        ("b", 1, 0.0),
        ("b", 2, 1 / 3),  # one place for three tied items
        ("d", 3, 2 / 3),
        ("d", 4, 1.0),
        ("d", 9, 1.0),
        ("elsewhere", 9, 0.0),
    ],
)
def test_ties_count_by_expectation(target: str, k: int, expected: float) -> None:
    ranked = listed(("a", 0.9), ("b", 0.5), ("c", 0.5), ("d", 0.5), ("e", 0.1))
    assert ask.hit(ranked, target, k) == pytest.approx(expected)


def test_the_cosine_yardstick_counts_as_the_served_list_does() -> None:
    items = np.asarray([[1, 0], [0, 1], [0, 1], [0, -1]], np.float32)
    asked = np.asarray([[1, 0], [0, 1], [0, 1]], np.float32)
    assert ask.similar(asked, items, [0, 1, 3], k=1).tolist() == [1.0, 0.5, 0.0]


def test_the_interval_is_that_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(1.0, 2.0, 400)
    low, high = rows.bootstrap(values, seed=1)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert rows.bootstrap(values, seed=1) == (low, high)
    assert rows.bootstrap(np.ones(50), seed=1) == (1.0, 1.0)


def test_groups_are_drawn_whole() -> None:
    # Two users always hit and two never do. Resampled by event, the interval would be far too narrow.
    values = np.repeat([1.0, 1.0, 0.0, 0.0], 100)
    users = [user for user in "abcd" for _ in range(100)]
    low, high = rows.bootstrap(values, seed=1, groups=users)
    assert (low, high) == (0.0, 1.0)
    alone = rows.bootstrap(values, seed=1)
    assert alone[1] - alone[0] < 0.11


class TestRatio:
    def test_it_is_of_sums_and_queries_are_drawn_with_both(self) -> None:
        bottom = np.random.default_rng(0).integers(0, 5, 50).astype(np.float64)
        row = rows.ratio("r", 2 * bottom, bottom, seed=1, least=1.0)
        assert row.figure == 2.0 and row.interval == (2.0, 2.0) and row.queries == 50 and row.holds

    def test_its_interval_is_that_of_a_mean_over_ones(self) -> None:
        values = np.random.default_rng(0).normal(1.0, 2.0, 400)
        assert rows.ratio("r", values, np.ones(400), seed=1).interval == rows.bootstrap(values, seed=1)

    def test_resamples_that_drew_nothing_below_are_left_out(self) -> None:
        row = rows.ratio("r", [0.0, 1.0], [0.0, 2.0], seed=1)
        assert row.figure == 0.5 and row.interval == (0.5, 0.5)

    def test_of_nothing_is_no_number(self) -> None:
        row = rows.ratio("r", [0.0, 0.0], [0.0, 0.0], seed=1, most=-0.2)
        assert math.isnan(row.figure) and row.interval is None and not row.holds


class TestAFigureOutsideItsBounds:
    @pytest.mark.parametrize(
        ("interval", "held_to"),
        [((-0.03, 0.01), "≥ 0.000; the interval reaches it"), ((-0.03, -0.01), "≥ 0.000"), (None, "≥ 0.000")],
    )
    def test_says_whether_its_interval_reaches_them(
        self, interval: tuple[float, float] | None, held_to: str
    ) -> None:
        row = rows.ReportRow("the same minus raw", -0.02, 9, interval, least=0.0)
        assert not row.holds
        report = rows.Report("fashion", 7, "some processor", "sp-1", (row,))
        assert list(report.table().columns[3].cells) == [held_to]
        assert report.plain()["rows"][0]["reached"] == held_to.endswith("reaches it")

    def test_one_within_reaches_nothing(self) -> None:
        assert not rows.ReportRow("r", 0.4, 9, (0.2, 0.6), most=0.5).reached


def test_a_row_is_held_to_its_bounds() -> None:
    assert rows.ReportRow("r", 0.5, 1, least=0.35, most=0.65).holds
    assert not rows.ReportRow("r", 0.7, 1, least=0.35, most=0.65).holds
    assert not rows.ReportRow("r", 1e-9, 1, most=0.0).holds
    assert rows.ReportRow("only reported", 0.0, 1).holds


def test_a_report_as_table_and_as_data() -> None:
    row = rows.mean("hits", np.asarray([1.0, 0.0, 1.0]), 7, least=0.9, yardstick="raw 0.5")
    report = rows.Report("grocery", 7, "some processor", "sp-1", (row,))
    assert report.table().row_count == 1
    plain = report.plain()
    assert plain["seed"] == 7 and plain["processor"] == "some processor"
    assert plain["rows"][0]["holds"] is False and plain["rows"][0]["queries"] == 3


def test_recall_takes_either_of_two_equal_items_and_keeps_interests_apart() -> None:
    exact = answer([*listed(("a", 0.9), ("b", 0.5)), *listed(("x", 0.2), interest=1)])
    same_score = answer([*listed(("a", 0.9), ("c", 0.5)), *listed(("x", 0.2), interest=1)])
    worse = answer([*listed(("a", 0.9), ("c", 0.4)), *listed(("y", 0.1), interest=1)])
    assert lists.recall(same_score, exact) == 1.0
    # 0.4 is enough for the second interest but not for the item's own.
    assert lists.recall(worse, exact) == pytest.approx(1 / 3)


def test_recall_knows_that_scores_over_a_sample_are_off_by_a_constant() -> None:
    exact = answer([*listed(("a", -1.0), ("b", -2.0), ("c", -3.0))])
    shifted = answer([*listed(("a", -1.1), ("b", -2.1), ("c", -3.1))])
    worse = answer([*listed(("a", -0.9), ("b", -1.9), ("d", -3.5))])
    assert lists.recall(shifted, exact) == 1.0
    assert lists.recall(worse, exact) == pytest.approx(2 / 3)


def test_words_are_cut_out() -> None:
    text = "Red, crisp apple"
    assert deletion.without(text, [(0, 3)]) == ", crisp apple"
    assert deletion.without(text, [(5, 10), (11, 16)]) == "Red,"
    assert deletion.without("one", [(0, 3)]) == "."


def test_cells_are_filled_with_the_mean_colour() -> None:
    pixels = np.zeros((14, 14, 3), np.uint8)
    pixels[:2, :2] = 245
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    filled = np.asarray(Image.open(io.BytesIO(deletion.fill(out.getvalue(), [(0, 0), (6, 6)], (7, 7)))))
    assert (filled[:2, :2] == 5).all() and (filled[12:, 12:] == 5).all()  # 4 of 196 pixels at 245
    assert (filled[2:12] == 0).all()


def test_the_residual_of_an_explanation_is_that_of_its_worst_sum() -> None:
    def part(kind: PartKind, value: float) -> Part:
        return Part(kind, "text", value)

    explained = Explanation(
        "a",
        0.5,
        0.0,
        by_channel=(part(PartKind.CHANNEL, 0.7), part(PartKind.BASELINE, -0.2)),
        by_source=(part(PartKind.QUERY, 0.7), part(PartKind.BASELINE, -0.21)),
        by_place=(part(PartKind.TOKEN, 0.7), part(PartKind.BASELINE, -0.2)),
        sums=(),
        sentence="",
        heat_maps=(),
        error=None,
    )
    assert sums.off(explained, 0.5) == pytest.approx(0.01)
    assert sums.off(explained, 0.53) == pytest.approx(0.03)


def test_two_words_keep_their_order() -> None:
    rng = random.Random(1)
    for _ in range(20):
        first, second = queries.two_words(rng, "a b c d").split()
        assert first < second


def test_a_spoilt_picture_is_a_darker_part_of_it() -> None:
    out = io.BytesIO()
    Image.new("RGB", (60, 80), (200, 100, 50)).save(out, "PNG")
    spoilt = Image.open(io.BytesIO(queries.spoilt(random.Random(1), out.getvalue())))
    assert 0.64 < spoilt.width / 60 < 0.87 and 0.64 < spoilt.height / 80 < 0.87
    assert np.asarray(spoilt)[..., 0].max() <= 181


def test_an_item_is_always_in_the_same_half() -> None:
    drawn = [queries.draw(str(n)) for n in range(2000)]
    assert drawn[:3] == [queries.draw(str(n)) for n in range(3)]
    assert 0.45 < np.mean([d < 0.5 for d in drawn]) < 0.55


def test_histories_are_of_their_categories() -> None:
    from itemlens import Item

    items = [Item(f"{c}-{n}", text="x", attributes={"article_type": c}) for c in "abcdef" for n in range(60)]
    drawn = histories.draw_histories(
        [*items, Item("rare", attributes={"article_type": "z"})], seed=1, count=5
    )
    assert {kind: len(some[0].item_ids) for kind, some in drawn.items()} == {
        "1 item": 1,
        "10 of one category": 10,
        "30 of one": 30,
        "30 of five": 30,
    }
    for history in drawn["30 of five"]:
        counts = [sum(i.startswith(c) for i in history.item_ids) for c in history.categories]
        assert counts == [6] * 5
