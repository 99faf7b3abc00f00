"""Beauty, Toys and Games, LastFM: leave one out. The question is each user's last item.

The files are those of K. Zhou et al., "S3-Rec", CIKM 2020 (Amazon reviews of 2014; LastFM): one user a line, the items
oldest first, without times; `NAME_item2attributes.json` has the attributes of items. A user's last item but one is
what parameters are tuned on. The last items of other users are older than some that are known, so time leaks; the sets
are here because the published figures are.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np

from .files import needed
from .split import Split, events, last_baskets

NAMES = ("Beauty", "Toys_and_Games", "LastFM")
SOURCE = "the data is that of the repository RUCAIBox/CIKM2020-S3Rec"


def read(folder: Path, name: str) -> Split:
    """One of NAMES from its two files. The n-th item of a user has time n."""
    lines, described = needed(folder, (f"{name}.txt", f"{name}_item2attributes.json"), SOURCE)
    rows = [[int(word) for word in line.split()] for line in lines.read_text(encoding="utf-8").splitlines()]
    taken = [row[1:] for row in rows]
    sizes = [len(items) for items in taken]
    item = np.concatenate([np.asarray(items) for items in taken]) - 1  # the files count from 1
    number = np.concatenate([np.arange(size) for size in sizes])
    known, questions = last_baskets(
        events(np.repeat(np.arange(len(rows)), sizes), item, number), without_had=True
    )
    values = json.loads(described.read_text(encoding="utf-8"))
    count = int(item.max()) + 1
    return Split(
        name,
        tuple(str(n + 1) for n in range(count)),
        tuple(str(row[0]) for row in rows),
        known,
        questions,
        partial(last_baskets, without_had=True),
        timed=False,
        attributes=tuple(_attributes(values.get(str(n + 1), [])) for n in range(count)),
    )


def _attributes(values: list[int]) -> dict[str, list[str]]:
    return {"attribute": [str(value) for value in dict.fromkeys(values)]} if values else {}
