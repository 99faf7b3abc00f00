"""All yardsticks of a data set: each is tuned one step before the questions, and then asked them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import ease_lists, own_frequency, popularity, tifu_knn
from .metrics import Places, places
from .split import Split
from .tuning import Figure, Yardstick, best

EASE_ITEMS = 13_000
"""Its matrices of more items do not fit in memory: 3 GB for 12,500."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A yardstick with the parameters that were chosen, and where it put the answers."""

    name: str
    yardstick: Yardstick
    places: Places


def measure(split: Split, figure: Figure, *, most: int = 2000, seed: int = 7) -> Iterator[Measured]:
    """The yardsticks one by one. `figure` is what they are tuned for, on at most `most` questions of `split.earlier`.

    Own frequency and its sum with EASE are for lists that may repeat what was had, TIFU-KNN for baskets. EASE is left
    out where its matrix has more than `EASE_ITEMS` rows.
    """
    tuning = split.earlier.sample(most, seed)

    def measured(name: str, yardstick: Yardstick) -> Measured:
        return Measured(name, yardstick, places(yardstick.fit(split), split))

    yield measured("popularity", best(popularity.options(tuning), tuning, figure))
    ease = None
    if len(split.items) <= EASE_ITEMS:
        ease = ease_lists.tuned(tuning, figure)
        yield measured("EASE", ease)
    if not all(question.without_had for question in split.questions):
        own = best(own_frequency.options(tuning), tuning, figure)
        yield measured("own frequency", own)
        yield measured("personal top frequency", own_frequency.OwnFrequency())
        if ease is not None:
            yield measured("own frequency + EASE", best(ease_lists.sums(tuning, own, ease), tuning, figure))
    if _has_baskets(split):
        yield measured("TIFU-KNN", tifu_knn.tuned(tuning, figure))


def _has_baskets(split: Split) -> bool:
    known = split.events
    return bool((known.basket[1:] == known.basket[:-1]).any())
