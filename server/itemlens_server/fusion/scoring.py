"""The score of a query: the log-odds alpha, the sum of the terms' evidence, and the log-probability made of it.

    P(i) = sum over interests m of pi_m exp(alpha_m,i) / Z_m,      score_i = ln pi_m + alpha_m,i - ln Z_m

of the interest m that an item is listed for. Z_m is a sum over the items that may be in the list.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from itemlens_server.errors import InvalidArgument, NotFound
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import ChannelSum, Part, PlacedInput
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.sources import Interest
from itemlens_server.fusion.terms import TERMS, Channels, Term
from itemlens_server.fusion.weights import States

NORMALISATION = "NORMALISATION"
# Size of the sample that stands for the items that were not scored.
UNSCORED_SAMPLE = 4096


@dataclass(frozen=True)
class Scorer:
    """The terms that apply to a query, bound to it.

    shifts: ln pi_m - ln Z_m of each interest; 0 until `normalised`
    """

    asking: Asking
    terms: tuple[Term, ...]
    shifts: tuple[float, ...]
    # The last positions that were scored, and what all interests have in common for them.
    _common: list[tuple[Ints, Array]] = field(default_factory=list, compare=False, repr=False)

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot of the query."""
        return self.asking.snapshot

    @property
    def interests(self) -> tuple[Interest, ...]:
        """The interests of the query."""
        return self.asking.interests

    @cached_property
    def says_wanted(self) -> bool:
        """Whether anything is known of what the user wants; else the prior is the answer."""
        return any(term.says_wanted for term in self.terms)

    @cached_property
    def states(self) -> States:
        """What each item is to the user, int8 [positions]."""
        return self.asking.states()

    def scores(self, interest: int, positions: Ints) -> Array:
        """Return the scores of the items at `positions` for the interest number `interest`, float32 [positions]."""
        states = self.states[positions]
        total = self._common_evidence(positions) + np.float32(self.shifts[interest])
        for term in self.terms:
            if term.by_interest:
                total = total + term.evidence(interest, positions, states)
        return total

    def _common_evidence(self, positions: Ints) -> Array:
        """Return the sum of the terms that are the same for every interest. Interests are often scored over the same
        array of positions, one after the other."""
        if not self._common or self._common[0][0] is not positions:
            total, states = np.zeros(len(positions), np.float32), self.states[positions]
            for term in self.terms:
                if not term.by_interest:
                    total = total + term.evidence(0, positions, states)
            self._common[:] = [(positions, total)]
        return self._common[0][1]

    def normalised(self, sums: Sequence[float]) -> Scorer:
        """Return the same with scores that are log-probabilities. sums: ln Z of each interest, nats."""
        shifts = tuple(
            math.log(i.weight) - total + shift
            for i, total, shift in zip(self.interests, sums, self.shifts, strict=True)
        )
        return replace(self, shifts=shifts)

    def by_channel(self, interest: int, position: int) -> list[Part]:
        """Return the parts of the score of the item at `position` by channel. They add up to the score."""
        state = int(self.states[position])
        return self._with_shift(
            interest, [part for term in self.terms for part in term.by_channel(interest, position, state)]
        )

    def of_channels(self, interest: int, position: int) -> list[Part]:
        """Return the parts of the channels alone, by channel."""
        state = int(self.states[position])
        found = (t.by_channel(interest, position, state) for t in self.terms if isinstance(t, Channels))
        return [part for parts in found for part in parts]

    def by_source(self, interest: int, position: int) -> list[Part]:
        """Return the parts of the score by source of the query."""
        state = int(self.states[position])
        return self._with_shift(
            interest, [part for term in self.terms for part in term.by_source(interest, position, state)]
        )

    def by_place(
        self, interest: int, position: int, inputs: Sequence[PlacedInput]
    ) -> tuple[list[Part], list[ChannelSum]]:
        """Return the parts by place in the item's content, `inputs`, and the complete sums whose margins they are."""
        parts, sums, state = [], [], int(self.states[position])
        for term in self.terms:
            own_parts, own_sums = term.by_place(interest, position, state, inputs)
            parts += own_parts
            sums += own_sums
        return self._with_shift(interest, parts), sums

    @property
    def disliked(self) -> frozenset[str]:
        """The ids of the disliked items, which are no reasons."""
        return frozenset(self.snapshot.view.item_ids[p] for p in self.asking.disliked.tolist())

    def _with_shift(self, interest: int, parts: list[Part]) -> list[Part]:
        shift = self.shifts[interest]
        return [*parts, Part(NORMALISATION, shift)] if shift else parts


def bind(asking: Asking) -> Scorer:
    """Return the scorer of a query. A user of whom nothing is known is answered by the prior.

    Raises:
        InvalidArgument: all that is asked has weight 0, or the query is empty and asks for no user.
        NotFound: the query asks for no user, and none of its items is in the collection.
    """
    scorer = bound(asking)
    # What is asked is known, even if none of its channels has a weight: then the prior is the answer.
    known = any(interest.sources for interest in asking.interests)
    if not known and not any(term.asked for term in scorer.terms):
        given = asking.given
        if given and not any(map(asking.query.weight, given)):
            raise InvalidArgument(
                f"`source_weights` leaves out all that `user` has ({', '.join(given)}); give one of them a weight",
                "user.source_weights",
            )
        if asking.query.of_user:
            return scorer
        if asking.seen:
            raise NotFound(
                "none of the items of `user` is in the collection; record events or give a query",
                "item", next(iter(asking.seen)), "user",
            )  # fmt: skip
        raise InvalidArgument(
            "`user` is empty: give history, user_id, query, liked_item_ids or query_vector", "user"
        )
    return scorer


def bound(asking: Asking) -> Scorer:
    """Return the scorer of a query that is known to ask for something."""
    terms = tuple(term for cls in TERMS for term in cls.bind(asking))
    return Scorer(asking, terms, (0.0,) * len(asking.interests))


def log_sum(alpha: Array) -> float:
    """Return ln sum_i exp(alpha_i), nats; alpha float32 [n]. 0 if there are none."""
    if not len(alpha):
        return 0.0
    largest = float(alpha.max())
    terms = np.exp(alpha.astype(np.float64) - largest)
    return largest + math.log(float(terms.sum()))


def sample_of(positions: Ints) -> Ints:
    """Return a sample of at most `UNSCORED_SAMPLE` of the positions: every n-th, so that items of every age are there.
    It is the same for every question over the same rows."""
    if len(positions) <= UNSCORED_SAMPLE:
        return positions
    return positions[np.linspace(0, len(positions) - 1, UNSCORED_SAMPLE).astype(np.int64)]
