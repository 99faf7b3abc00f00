"""The terminal: exactly the words that raised the score most are highlighted."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeAlias

import pytest
from rich.console import Console
from rich.text import Text

from itemlens_demo import show
from itemlens_demo.answers import Answer

Make: TypeAlias = Callable[..., Answer]

TEXT = [("Dial", 0.8), (" in a ", 0.0), ("grinder", 0.5), (", ", 0.9), ("time", 0.1), (" it", -0.9)]


def highlighted(text: Text) -> list[str]:
    """The pieces that have a background."""
    spans = [span for span in text.spans if getattr(span.style, "bgcolor", None)]
    return [text.plain[span.start : span.end] for span in spans]


def printed(what: object, *, colours: bool) -> str:
    console = Console(file=io.StringIO(), width=100, color_system="truecolor" if colours else None)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_exactly_the_strong_words_are_highlighted() -> None:
    text = show.highlighted(TEXT)
    assert text.plain == "Dial in a grinder, time it"
    assert highlighted(text) == ["Dial", "grinder"]


def test_chinese_is_highlighted_by_character() -> None:
    text = show.highlighted([("成都", 0.0), ("慢生活", 0.9), ("四日", 0.0), ("，", 1.0), ("茶", 1.0)])
    assert highlighted(text) == ["慢生活", "茶"]


def test_stronger_words_have_a_fuller_colour() -> None:
    weak, strong = show.colour(0.2).bgcolor, show.colour(1.0).bgcolor
    assert weak and strong and weak.triplet and strong.triplet
    assert weak.triplet.blue > strong.triplet.blue
    assert show.colour(1.0).bold and not show.colour(0.2).bold


def test_without_colours_strong_words_are_marked_and_neighbours_joined() -> None:
    text = show.highlighted([("盖", 1.0), ("碗", 0.9), ("和", 0.35), ("茶", 1.0)], marks=True)
    assert text.plain == "«盖碗»和«茶»"
    assert not highlighted(text)


def test_an_item_shows_its_sum_its_shares_and_its_sentence(answer: Make) -> None:
    of = answer("[red]Barista[/red] basics", "Dial in a grinder.", {"grinder": 0.2, "Dial": 0.05})
    shown = printed(show.explained(of, marks=True), colours=False)
    # Square brackets are text here, not the terminal's markup.
    assert "[red]Barista[/red] basics" in shown
    assert "Dial in a «grinder»." in shown
    assert "words +0.150  picture +0.250  normalisation −0.500  =  −0.100" in shown
    assert "words 37%, picture 62%" in shown
    assert "Because <you> asked." in shown
    assert shown.count("Barista") == 1, "the title is not shown twice"


def test_the_table_has_title_id_score_and_reason(answer: Make) -> None:
    shown = printed(show.table(answer("Tea", "From Uji.", {"Uji": 0.2}, pictured=False)), colours=False)
    for expected in ("Tea", "an-item", "−0.400", "words 100%", "Because <you> asked."):
        assert expected in shown


@pytest.mark.parametrize("colours", [True, False])
def test_the_legend_fits_the_terminal(colours: bool) -> None:
    console = Console(file=io.StringIO(), color_system="truecolor" if colours else None)
    legend = show.legend(console)
    assert bool(highlighted(legend)) is colours
    assert "words that raised the score" in legend.plain.replace("«words»", "words")
    assert "ln of the probability" in legend.plain
