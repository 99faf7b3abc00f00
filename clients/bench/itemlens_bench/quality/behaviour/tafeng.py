"""Ta-Feng: a grocer's baskets in order, without times; the question is each user's last basket.

The files are those of M. Li, S. Jullien, M. Ariannezhad, M. de Rijke, "A Next Basket Recommendation Reality Check",
TOIS 2023: `history.json` and `future.json` with a list of baskets by user, framed by [-1].
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np

from .files import needed
from .split import Split, events, last_baskets

NAME = "tafeng"
SOURCE = "the data is that of the repository liming-7/A-Next-Basket-Recommendation-Reality-Check"


def read(folder: Path) -> Split:
    """The data set from its two files. The n-th basket of a user has time n."""
    paths = needed(folder, ("history.json", "future.json"), SOURCE)
    history, future = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
    users = tuple(history)
    rows = [
        (row, item, number)
        for row, user in enumerate(users)
        for number, basket in enumerate([*history[user][1:-1], *future[user][1:-1]])
        for item in basket
    ]
    user, item, number = np.asarray(rows, np.int64).T
    known, questions = last_baskets(events(user, item, number, number), without_had=False)
    return Split(
        NAME,
        tuple(str(n) for n in range(int(item.max()) + 1)),
        users,
        known,
        questions,
        partial(last_baskets, without_had=False),
        timed=False,
    )
