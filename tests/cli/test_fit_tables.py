"""The report of a fit in a terminal, narrow as it may be."""

from __future__ import annotations

import io

from rich.console import Console

from itemlens_cli.fit_tables import tables
from itemlens_server.services.fitting import Figure, FitReport, Step, Verdict, WeightLine

REPORT = FitReport(
    (Step("image predicted from text", "left out", "too few items have both", "0 items"),),
    (
        Figure("search:image+text", "fitted", "R@10", 0.9, None, None, None, 1288),
        Figure("search:image+text", "best blend of raw cosines", "R@10", 0.85, 0.05, -0.01, 0.11, 1288),
        Figure("next", "fitted", "nll", 3.3, None, None, None, 126),
        Figure("next", "without channel image", "nll", 3.4, 0.1, 0.05, 0.15, 126),
    ),
    (
        WeightLine("next", "POPULARITY.all", "NEW", "identity", 0.021, 0.478),
        WeightLine("next", "POPULARITY.recent", "NEW HAD COLD", "log(1 + S / 0.03)", 0.246, 0.457),
        WeightLine("search:image+text", "CHANNEL.image", "", "identity", 47.85, 2.633),
    ),
    (Verdict("next", "better", "equal", True), Verdict("search:image+text", "worse", "equal", False)),
)


def printed(report: FitReport = REPORT, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    for table in tables("shop", report):
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_names_and_numbers_are_whole_in_80_columns() -> None:
    text = printed()
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    for name in ("best blend of raw cosines", "POPULARITY.recent", "image predicted from text"):
        assert name in text
    assert "+0.0500 (-0.0100 to +0.1100)" in text and "47.850" in text


def test_each_question_has_its_figures_and_weights_apart() -> None:
    lines = [line.strip() for line in printed(width=120).splitlines()]
    titles = ["fit of shop", "search:image+text, R@10, 1,288 questions",
              "next, nll (mean -ln P, less is better), 126 questions", "weights of next",
              "weights of search:image+text", "choices"]  # fmt: skip
    assert [line for line in lines if line in titles] == titles


def test_it_says_which_weights_are_taken() -> None:
    lines = [line.split() for line in printed().splitlines()]
    assert ["next", "better", "equal", "fitted"] in lines
    assert ["search:image+text", "worse", "equal", "defaults"] in lines


def test_an_empty_report_has_tables_too() -> None:
    assert "fit of shop" in printed(FitReport((), (), (), ()))
