"""Users who take items of one group, baskets of two at a time: a log of events, and what a fit sees of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from itemlens_server.fusion.choices import Choice, HeldOut
from itemlens_server.fusion.event_log import SECONDS_PER_DAY, EventLog
from itemlens_server.fusion.head import Head
from itemlens_server.fusion.rows import Rows
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.weights import TableRules

ITEMS, GROUPS, USERS, BASKETS = 120, 6, 150, 8


def log(loyalty: float = 0.95, seed: int = 0) -> EventLog:
    """A basket of two items of the user's group each three days; item n belongs to group n % 6."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(USERS):
        for basket in range(BASKETS):
            group = user % GROUPS if rng.random() < loyalty else int(rng.integers(GROUPS))
            time = SECONDS_PER_DAY * (3 * basket + user % 3)
            for item in rng.choice(ITEMS // GROUPS, 2, replace=False) * GROUPS + group:
                rows.append((f"u{user:03d}", f"i{item:03d}", 5, time))
    return EventLog.of(rows, {5: 1.0})


def asked(events: EventLog) -> tuple[Snapshot, list[Choice], HeldOut]:
    """The collection with tables of the earlier events, and the choices after them."""
    held = HeldOut.of(events)
    tables = Tables.fit(events.take(held.earlier), TableRules(30.0))
    rows, ids = Rows(0), list(events.item_ids)
    rows.append(np.arange(1, len(ids) + 1), ids, np.zeros((len(ids), 0), np.float32))
    known = np.asarray([tables.rows.get(item_id, -1) for item_id in ids], np.int64)
    return Snapshot("", Head(()), rows.view(), tables, known), list(held.choices()), held


def shuffled(choices: list[Choice], seed: int = 0) -> list[Choice]:
    """The same choices, each answered by another one's items: nothing explains them."""
    order = np.random.default_rng(seed).permutation(len(choices))
    return [replace(c, chosen=choices[n].chosen) for c, n in zip(choices, order.tolist(), strict=True)]
