"""Answers in the terminal: a table of what was found, and why, with the words that carried the score."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from itemlens_demo.answers import (
    BASELINE,
    Answer,
    Found,
    digits_of,
    figure,
    intensity,
    rounded,
    spoken_shares,
)

MARKED = 0.4
"""Without colours words are marked from this intensity on."""
_PALE, _FULL = (255, 243, 205), (255, 168, 0)


def table(answer: Answer) -> Table:
    """Items with score and reason."""
    made = Table("", "item", "score", "why", box=None, pad_edge=False, header_style="dim")
    for column in made.columns:
        column.overflow = "fold"  # Chinese has no spaces to break at
    made.columns[2].justify = "right"
    for found in answer.found:
        what = Text.assemble((found.title, "bold"), (f"\n{found.item.item_id}", "dim"))
        why = Text.assemble((spoken_shares(found.terms), "cyan"), f"\n{found.sentence}")
        made.add_row(str(found.recommendation.position), what, f"{found.score}", why)
    return made


def explained(answer: Answer, *, marks: bool, most: int | None = None) -> RenderableType:
    """Each item with its score as a sum, its words highlighted, and the reason.

    `marks`: set strong words between «», for output without colours.
    """
    return Group(*(_explained(found, answer.scale, marks) for found in answer.found[:most]))


def _explained(found: Found, scale: float, marks: bool) -> RenderableType:
    title, texts = found.texts(scale)
    shown = highlighted(title, marks=marks)
    shown.stylize_before("bold")
    head = Text.assemble(
        (f"{found.recommendation.position}  ", "dim"),
        shown,
        (f"   {found.score}", "bold green"),
        (f"   {spoken_shares(found.terms)}", "cyan"),
    )
    below: list[RenderableType] = [Text(spoken_sum(found.terms), "dim")]
    if found.explanation:
        below += [highlighted(text, marks=marks) for text in texts]
    if found.sentence:
        below.append(Text(found.sentence, "italic"))
    return Group(head, Padding(Group(*below), (0, 0, 1, 3)))


def spoken_sum(terms: dict[str, float]) -> str:
    """The score as a sum: "words +0.317  picture +0.473  baseline −0.250  =  0.540"."""
    digits = digits_of(terms)
    figures = rounded(terms, digits)
    parts = [f"{name} {figure(value, digits, '+')}" for name, value in figures.items()]
    return "  ".join([*parts, f"=  {figure(sum(figures.values()), digits)}"])


def highlighted(of: Iterable[tuple[str, float]], *, marks: bool = False) -> Text:
    """A text whose pieces are highlighted by their strength."""
    made = Text()
    for full, together in groupby(of, lambda one: _shown(one[0], one[1], marks)):
        text = "".join(piece for piece, _ in together)
        if marks and full:
            made.append(f"«{text}»")
        else:
            made.append(text, colour(full) if full else None)
    return made


def _shown(piece: str, strength: float, marks: bool) -> float:
    """How full a piece is highlighted; with marks it is all or nothing. What speaks against the item is not shown."""
    full = intensity(piece, strength)
    return float(full > MARKED) if marks else max(full, 0.0)


def colour(intensity: float) -> Style:
    """Black on pale yellow to orange."""
    mixed = [round(pale + (full - pale) * intensity) for pale, full in zip(_PALE, _FULL, strict=True)]
    return Style(color="black", bgcolor=f"rgb({','.join(map(str, mixed))})", bold=intensity > 0.6)


def legend(console: Console) -> Text:
    """What the highlighting means, on one line."""
    if console.color_system is None:
        return Text(f"«words» that carried the score; {BASELINE}: what any item starts from")
    scale = (("words that carried the score: ", 0.0), (" little ", 0.35), (" some ", 0.65), (" much ", 1.0))
    return highlighted(scale).append(f"   {BASELINE}: what any item starts from", "dim")
