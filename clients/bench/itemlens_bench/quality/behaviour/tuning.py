"""Chooses a yardstick's parameters on the questions of `Split.earlier`, never on those it is measured with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from ..rows import Floats
from .metrics import Places, Scores, places
from .split import Split

Figure = Callable[[Places], Floats]
"""What is to be large, such as `lambda places: places.recall(20)`."""


class Yardstick(Protocol):
    """A method with its parameters."""

    def fit(self, split: Split) -> Scores:
        """Learn from `split.events`."""


Y = TypeVar("Y", bound=Yardstick)


def best(options: Iterable[tuple[Y, Scores]], split: Split, figure: Figure) -> Y:
    """The option with the largest mean figure on the questions of `split`; the first of equal ones.

    The options are fitted on `split.events`. They may come one by one, so that those that share work do it once.
    """
    return best_with_value(options, split, figure)[1]


def best_with_value(options: Iterable[tuple[Y, Scores]], split: Split, figure: Figure) -> tuple[float, Y]:
    """`best`, after its mean figure."""
    chosen: tuple[float, Y] | None = None
    for option, scores in options:
        value = float(figure(places(scores, split)).mean())
        if chosen is None or value > chosen[0]:
            chosen = value, option
    if chosen is None:
        raise ValueError("there are no options to choose from")
    return chosen
