"""Answers in the terminal: a table of items with reasons, and explanations with highlighted words."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from itemlens import Recommendations
from itemlens_demo.answers import (
    Answer,
    ShownItem,
    digits_of,
    figure,
    intensity,
    rounded,
    spoken_shares,
)

MARKED = 0.4
"""Without colours, words are marked from this intensity on."""
_SCORE = (
    "score: ln of the probability that the item is the one chosen, a sum in nats; %: the probability that it is among "
    "what the user takes next"
)
_PALE, _FULL = (255, 243, 205), (255, 168, 0)


def table(answer: Answer) -> Table:
    """Items with score and reason."""
    table = Table("", "item", "score", "why", box=None, pad_edge=False, header_style="dim")
    for column in table.columns:
        column.overflow = "fold"  # Chinese has no spaces to break at
    table.columns[2].justify = "right"
    for shown in answer.items:
        what = Text.assemble((shown.title, "bold"), (f"\n{shown.item.item_id}", "dim"))
        why = Text.assemble((spoken_shares(shown.terms), "cyan"), f"\n{shown.sentence}")
        table.add_row(str(shown.recommendation.position), what, f"{shown.score}", why)
    return table


def facets(found: Recommendations) -> Table:
    """The counts of each facet, and the range of numbers and times."""
    table = Table("", "items", "values", box=None, pad_edge=False, header_style="dim")
    for name, facet in found.facets.items():
        values = [f"{_plain(value)} {items}" for value, items in facet.counts.items()]
        if more := facet.value_count - len(values):
            values.append(f"{more} more values")
        if facet.min is not None:
            values.append(f"from {_plain(facet.min)} to {_plain(facet.max)}")
        table.add_row(Text(name, "bold"), str(facet.items), Text(", ".join(values)))
    return table


def _plain(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{value:.15g}"


def explained(answer: Answer, *, marks: bool, most: int | None = None) -> RenderableType:
    """Each item with its score as a sum, its words highlighted, and the reason.

    `marks`: set strong words between «», for output without colours.
    """
    return Group(*(_explained(item, answer.scale, marks) for item in answer.items[:most]))


def _explained(shown: ShownItem, scale: float, marks: bool) -> RenderableType:
    title, texts = shown.texts(scale)
    heading = highlighted(title, marks=marks)
    heading.stylize_before("bold")
    head = Text.assemble(
        (f"{shown.recommendation.position}  ", "dim"),
        heading,
        (f"   {shown.score}", "bold green"),
        (f"   {spoken_shares(shown.terms)}", "cyan"),
    )
    below: list[RenderableType] = [Text(spoken_sum(shown.terms), "dim")]
    if shown.explanation:
        below += [highlighted(text, marks=marks) for text in texts]
    if shown.sentence:
        below.append(Text(shown.sentence, "italic"))
    return Group(head, Padding(Group(*below), (0, 0, 1, 3)))


def spoken_sum(terms: dict[str, float]) -> str:
    """The score as a sum: "words +0.317  picture +0.473  baseline −0.250  =  0.540"."""
    digits = digits_of(terms)
    figures = rounded(terms, digits)
    parts = [f"{name} {figure(value, digits, '+')}" for name, value in figures.items()]
    return "  ".join([*parts, f"=  {figure(sum(figures.values()), digits)}"])


def highlighted(of: Iterable[tuple[str, float]], *, marks: bool = False) -> Text:
    """A text whose pieces are highlighted by their strength."""
    text = Text()
    for full, together in groupby(of, lambda piece: _shown(piece[0], piece[1], marks)):
        joined = "".join(piece for piece, _ in together)
        if marks and full:
            text.append(f"«{joined}»")
        else:
            text.append(joined, colour(full) if full else None)
    return text


def _shown(piece: str, strength: float, marks: bool) -> float:
    """The intensity of a piece's highlight; with marks 0 or 1. Pieces that lower the score are not highlighted."""
    full = intensity(piece, strength)
    return float(full > MARKED) if marks else max(full, 0.0)


def colour(intensity: float) -> Style:
    """Black on pale yellow to orange."""
    mixed = [round(pale + (full - pale) * intensity) for pale, full in zip(_PALE, _FULL, strict=True)]
    return Style(color="black", bgcolor=f"rgb({','.join(map(str, mixed))})", bold=intensity > 0.6)


def legend(console: Console) -> Text:
    """What the highlighting means, on one line."""
    if console.color_system is None:
        return Text(f"«words» that raised the score; {_SCORE}")
    scale = (("words that raised the score: ", 0.0), (" little ", 0.35), (" some ", 0.65), (" much ", 1.0))
    return highlighted(scale).append(f"  {_SCORE}", "dim")
