"""The page of a fit's report: tables, and bars with their intervals, without scripts."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from itemlens_cli.fit_page import page
from itemlens_server.services.fitting import Figure, FitReport, Step, Verdict, WeightLine


def report(low: float = 0.01) -> FitReport:
    return FitReport(
        (Step("decay of BEHAVIOUR", "0.9"),),
        (
            Figure("next", "fitted", "R@20", 0.3, None, None, None, 200),
            Figure("next", "without <REPEAT>", "R@20", 0.25, 0.05, low, 0.09, 200),
            Figure("next", "popularity", "R@20", 0.31, -0.01, -0.02, 0.0, 200),
        ),
        (WeightLine("next", "BEHAVIOUR", "NEW", "log(1 + S / 0.03)", 1.5, 0.2),),
        (Verdict("next", "better", "better", True),),
    )


def test_each_system_has_a_bar_and_a_line_over_its_interval() -> None:
    made = page("shop", report())
    svg = made[made.index("<svg") : made.index("</svg>") + 6]
    drawn = ElementTree.fromstring(svg)
    assert [text.text for text in drawn.iter("text")] == ["without <REPEAT>", "popularity"]
    better, worse = drawn.iter("rect")
    assert float(better.attrib["width"]) == pytest.approx(5 * float(worse.attrib["width"]), rel=0.02)
    assert better.attrib["fill"] != worse.attrib["fill"]
    assert len(list(drawn.iter("line"))) == 3  # two intervals and the zero


def test_it_says_what_came_out_and_has_no_script() -> None:
    made = page("<shop>", report())
    assert "&lt;shop&gt;" in made and "<shop>" not in made
    assert "better than" in made and "0.0500 (+0.0100 to +0.0900)" in made and "1.500" in made
    assert "<script" not in made


def test_an_empty_report_is_a_page_too() -> None:
    assert "</html>" in page("shop", FitReport((), (), (), ()))
