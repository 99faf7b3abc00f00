"""Choices of users as sets of candidates with the columns of all terms, for the conditional logit.

The columns come from the terms that serve, bound to a snapshot whose tables know only the earlier events. So a fit sees
what the server will compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.fusion.choices import Choice
from itemlens_server.fusion.head import Array, Head
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.prior_columns import COLUMNS as POPULARITY_COLUMNS
from itemlens_server.fusion.prior_columns import NEWNESS
from itemlens_server.fusion.query import CHANNEL, Asking, Query, ask_with
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.sampling import draw
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.taken import Taken
from itemlens_server.fusion.terms import PAST_KINDS, TERMS, PastTerm, Term
from itemlens_server.fusion.terms.repeat import COLUMNS as REPEAT_COLUMNS
from itemlens_server.fusion.weights import ANYONE, NEXT, SIMILAR, ColumnWeights, QuestionWeights, States

DECAYS = (0.8, 1.0, 0.9, 0.6)
"""Decays that a fit tries for each term over past items."""
DECAYING = (*PAST_KINDS, CHANNEL)
"""The kinds of terms that have a decay."""
BEST_OF_TERM = 100
"""Candidates of each choice that are taken from each term."""


@dataclass(frozen=True)
class CandidateColumns:
    """Candidates of all choices, one choice after the other.

    columns: by name, float32 [rows]; those of terms over past items once for each decay, as "BEHAVIOUR@0.9"
    states:  what each candidate is to its user, int8 [rows]
    offsets: where each choice starts, and the number of rows, int64 [choices + 1]
    chosen:  1 / number of chosen items for each chosen one, float32 [rows], so that each choice weighs 1
    log_q:   ln of the probability with which a candidate was drawn, float32 [rows]; 0 for certain ones
    users:   code of each choice's user, int64 [choices]
    """

    columns: Mapping[str, Array]
    states: States
    offsets: Ints
    chosen: Array
    log_q: Array
    users: Ints

    def __len__(self) -> int:
        return len(self.users)

    def take(self, choices: Ints) -> CandidateColumns:
        """Return some of the choices, by number."""
        lengths = np.diff(self.offsets)[choices]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][choices] - offsets[:-1], lengths)
        columns = {name: values[rows] for name, values in self.columns.items()}
        return CandidateColumns(
            columns, self.states[rows], offsets, self.chosen[rows], self.log_q[rows], self.users[choices]
        )


def at(name: str, decay: float) -> str:
    """Return the name of a term's column with a decay."""
    return f"{name}@{decay:g}"


def probing(head: Head, decay: float) -> Head:
    """Return `head` with weights that make every term compute its columns, with one decay for all."""
    used = ColumnWeights(1.0, 1.0, 1.0)
    columns = dict.fromkeys([*DECAYING, *REPEAT_COLUMNS, *POPULARITY_COLUMNS, NEWNESS], used)
    weights = QuestionWeights({}, columns, dict.fromkeys(DECAYING, decay))
    return replace(head, questions={NEXT: weights, SIMILAR: weights, ANYONE: weights})


class Prober:
    """Binds all terms to the pasts of users, over one snapshot.

    decays: the decays to compute columns with, by kind of term; those of `DECAYS` for a kind that is not there.
    """

    def __init__(self, snapshot: Snapshot, decays: Mapping[str, Sequence[float]] | None = None) -> None:
        self.snapshot = snapshot
        self.eligible = np.flatnonzero(snapshot.view.alive)
        of = {kind: tuple((decays or {}).get(kind, DECAYS)) for kind in DECAYING}
        # Terms by decay, each with whether it gives candidates: the decays of a term would give nearly the same.
        self._terms: dict[float, list[tuple[type[Term], bool]]] = {}
        for cls in TERMS:
            for number, decay in enumerate(of[_kind(cls)] if cls.decays else DECAYS[:1]):
                self._terms.setdefault(decay, []).append((cls, number == 0))
        self._probes = {d: replace(snapshot, head=probing(snapshot.head, d)) for d in self._terms}

    def bind(self, past: Past) -> list[Bound]:
        """Return the terms of a user with this past, by decay."""
        bound = []
        for decay, classes in self._terms.items():
            asking = ask_with(self._probes[decay], Query(max_interests=1), Taken(past))
            terms = [(term, first) for cls, first in classes for term in cls.bind(asking)]
            bound.append(Bound(decay, asking, [t for t, _ in terms], [t for t, first in terms if first]))
        return bound


@dataclass(frozen=True)
class Bound:
    """The terms of one user with one decay, and those of them that give candidates."""

    decay: float
    asking: Asking
    terms: Sequence[Term]
    giving: Sequence[Term]


def _kind(cls: type[Term]) -> str:
    return cls.kind if issubclass(cls, PastTerm) else CHANNEL


def columns_at(bound: Sequence[Bound], positions: Ints) -> dict[str, Array]:
    """Return all columns of the items at `positions`, float32 [positions] each."""
    return {
        at(name, own.decay) if term.decays else name: values
        for own in bound
        for term in own.terms
        for name, values in term.columns(0, positions).items()
    }


def candidate_columns(prober: Prober, choices: Iterable[Choice], seed: int = 0) -> CandidateColumns:
    """Return the candidates of choices: what the user had, the best of each term, and a random sample of the rest.

    Choices of which no item is in the collection are left out.
    """
    rng = np.random.default_rng(seed)
    view = prober.snapshot.view
    alive = np.flatnonzero(view.alive)
    parts: dict[str, dict[int, Array]] = {}  # values by column and number of the choice
    states, chosen_parts, log_q, users = [], [], [], []
    sizes: list[int] = []
    for choice in choices:
        chosen = [p for i in choice.chosen if (p := view.position(i)) is not None]
        if not chosen:
            continue
        bound = prober.bind(choice.past)
        sure = np.zeros(len(view.labels), bool)
        sure[bound[0].asking.had] = True
        for term in (term for own in bound for term in own.giving):
            sure[term.candidates(BEST_OF_TERM, alive)] = True
        rows, own_log_q = draw(sure, prober.eligible, np.asarray(chosen, np.int64), rng)
        for name, values in columns_at(bound, rows).items():
            parts.setdefault(name, {})[len(sizes)] = values
        states.append(bound[0].asking.states()[rows])
        chosen_parts.append(np.isin(rows, chosen).astype(np.float32) / len(chosen))
        log_q.append(own_log_q)
        sizes.append(len(rows))
        users.append(choice.user)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    columns = {name: _joined(values, sizes) for name, values in parts.items()}
    if not sizes:
        nothing = np.zeros(0, np.float32)
        return CandidateColumns({}, np.zeros(0, np.int8), offsets, nothing, nothing, np.zeros(0, np.int64))
    return CandidateColumns(
        columns, np.concatenate(states), offsets, np.concatenate(chosen_parts), np.concatenate(log_q),
        np.asarray(users, np.int64),
    )  # fmt: skip


def _joined(values: Mapping[int, Array], sizes: Sequence[int]) -> Array:
    """Return the values of all choices; 0 for those whose past has nothing to do with the term."""
    return np.concatenate(
        [values[n] if n in values else np.zeros(size, np.float32) for n, size in enumerate(sizes)]
    )
