"""The systems that fitted weights of behaviour are compared with: defaults, what serves now, raw cosines."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from itemlens_server.fusion.comparison import Answers
from itemlens_server.fusion.event_log import EventLog
from itemlens_server.fusion.head import Array, Head
from itemlens_server.fusion.query import CHANNEL, Query, ask_with
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.scoring import bound
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.tables import Tables
from itemlens_server.fusion.taken import Taken
from itemlens_server.fusion.terms import Channels
from itemlens_server.fusion.weights import NEXT, SIMILAR, ChannelWeights, QuestionWeights
from itemlens_server.services.fitting.reading import FitData
from itemlens_server.services.fitting.report import DEFAULTS, NOW

RATIOS = (0.0, 1.0, 2.0, 4.0)
"""Weights of a channel relative to the others that are tried for the best blend of raw cosines."""
BLEND = "raw cosines: "


class Rivals:
    """The systems beside the fitted weights that are scored from a query: defaults, what serves now, raw cosines."""

    def __init__(self, heads: dict[str, Snapshot], raw: Snapshot | None) -> None:
        self._heads, self._raw = heads, raw
        self.names = tuple(heads)

    @staticmethod
    def of(data: FitData, snapshot: Snapshot, earlier: EventLog, head: Head, now: Head) -> Rivals:
        """Bind the systems to the items and the earlier events.

        snapshot: with tables of these events. head: the defaults. now: what serves now.
        """
        tables = None
        if now.table_rules is not None:
            known = snapshot.tables
            assert known is not None
            same = known.rules == now.table_rules
            tables = known if same else Tables.fit(earlier, now.table_rules)
        heads = {
            DEFAULTS: replace(snapshot, head=head, tables=None),
            NOW: data.snapshot(now, tables),
        }
        raw = None
        if data.used:
            plain = Head.identity({name: d.vectors.shape[1] for name, d in data.used.items()})
            alike = QuestionWeights(
                {name: ChannelWeights(1.0, 0.0, 0.0) for name in data.used}, {}, {CHANNEL: 0.9}
            )
            raw = data.snapshot(replace(plain, questions={NEXT: alike, SIMILAR: alike}), None)
        return Rivals(heads, raw)

    def scores(self, query: Query, taken: Taken, eligible: Ints) -> dict[str, Array]:
        """Return the scores of all systems, float32 [eligible] each."""
        found = {name: score(snapshot, query, taken, eligible) for name, snapshot in self._heads.items()}
        return found | self._raw_cosines(query, taken, eligible)

    def _raw_cosines(self, query: Query, taken: Taken, eligible: Ints) -> dict[str, Array]:
        if self._raw is None:
            return {}
        names = self._raw.head.names
        columns = {name: np.zeros(len(eligible), np.float32) for name in names}
        for term in Channels.bind(ask_with(self._raw, query, taken)):
            found = term.columns(0, eligible)
            columns = {name: found[f"{CHANNEL}.{name}"] for name in names}
        scores = {f"raw cosine: {name}": column for name, column in columns.items()}
        for ratios in product(RATIOS, repeat=len(names)) if len(names) > 1 else ():
            if sum(map(bool, ratios)) > 1 and min(filter(None, ratios)) == 1.0:
                blend = " + ".join(f"{r:g} {name}" for r, name in zip(ratios, names, strict=True))
                parts = (np.float32(r) * columns[name] for r, name in zip(ratios, names, strict=True))
                scores[f"{BLEND}{blend}"] = np.asarray(sum(parts))
        return scores


def with_best_blend(answers: Answers, measure: str) -> Answers:
    """Return the same with the best blend of raw cosines only, chosen by these questions: in its favour."""
    blends = [system for system in answers.measures if system.startswith(BLEND)]
    best = max(blends, key=lambda system: answers.mean(system, measure) or 0.0, default="")
    kept = {n: m for n, m in answers.measures.items() if n == best or n not in blends}
    return replace(answers, measures=kept)


def score(snapshot: Snapshot, query: Query, taken: Taken, eligible: Ints) -> Array:
    """Return the scores of the items at the positions `eligible`, float32 [eligible]."""
    return bound(ask_with(snapshot, query, taken)).scores(0, eligible)
