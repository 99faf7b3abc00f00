"""The term of the dense channels: dot(h, u), the cosines between the query and the item, minus thresholds.

It is explained down to the words and cells of the item. Let d be the query's side of a channel, e_p = P (v_p - mu) /
n_p the item's pictures (or its text), N the length of their sum, and v_p the mean of T_p rows z_pt. Then

    dot(d, e) = sum_p sum_t  dot(P^T d, z_pt - mu) / (T_p n_p N)

so each word and cell has its own part, computed independently. An imputed block r W^T e / N' is linear in the words
that predict it and is explained in the same way, with d replaced by r W d / N'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from itemlens_server.fusion.dislikes import Dislikes
from itemlens_server.fusion.head import Array, Head, HeadChannel
from itemlens_server.fusion.parts import ChannelSum, Floats, Part, PlacedInput, labelled
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.rows import Ints, View
from itemlens_server.fusion.sources import IMPUTED, PRESENT, Source
from itemlens_server.fusion.terms.term import Term
from itemlens_server.fusion.weights import State, States

BLOCK = 256
# A row that is copied costs as much as so many that are not (644 numbers each, .5 and .2 microseconds).
ROWS_IN_PLACE = 3
CHANNEL, PAST_ITEM, QUERY, BASELINE = "CHANNEL", "PAST_ITEM", "QUERY", "BASELINE"


@dataclass(frozen=True)
class SumRows:
    """The rows of the complete sum of one channel: names ("" for the query's own content), and vectors [rows, width]
    whose dot products with the item's block are the rows' shares. They are float64, because the shares of past items
    that nearly cancel each other out are far larger than the sum."""

    names: tuple[str, ...]
    vectors: Floats


class Channels(Term):
    """All dense channels together, since u and h contain all of them, and the disliked items."""

    kinds: ClassVar[tuple[str, ...]] = (CHANNEL, PAST_ITEM, QUERY, BASELINE)
    phrases: ClassVar[Mapping[str, Mapping[str, str]]] = {
        PAST_ITEM: {"en": "you showed interest in {}", "zh": "您对{}感兴趣"},
        QUERY: {"en": "it fits what you asked for", "zh": "它符合您的查询"},
    }

    decays = True
    by_interest = True

    def __init__(self, asking: Asking) -> None:
        self._head, self._view = asking.snapshot.head, asking.snapshot.view
        self._interests = asking.interests
        self._dislikes = Dislikes.of(asking)
        self._sum_rows: dict[tuple[int, bool], dict[str, SumRows]] = {}
        # The columns of h that the query uses, such as those of one channel.
        used = np.flatnonzero(sum(np.abs(i.u) + np.abs(i.cold) for i in asking.interests))
        self._columns = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)
        # What was computed over the last array of positions, by interest.
        self._last: tuple[Ints, dict[int, Array]] = (np.zeros(0, np.int64), {})

    @classmethod
    def bind(cls, asking: Asking) -> Sequence[Self]:
        """See Term."""
        used = len(asking.disliked) or any(i.u.any() or i.cold.any() for i in asking.interests)
        return [cls(asking)] if used else []

    @property
    def asked(self) -> bool:
        """See Term."""
        return bool(self._dislikes.item_ids) or self.says_wanted

    @property
    def says_wanted(self) -> bool:
        """See Term."""
        return any(interest.sources for interest in self._interests)

    def columns(self, interest: int, positions: Ints) -> Mapping[str, Array]:
        """See Term. By channel the cosine, 0 without the channel, and whether the channel is present or imputed. The
        cosines are those of the first source."""
        h = self._view.h[positions]
        found = {}
        sources = self._interests[interest].sources
        directions = sources[0].directions(self._head, self._view) if sources else {}
        for name in self._head.names:
            q = directions.get(name)
            block = self._head.block(name)
            found[f"{CHANNEL}.{name}"] = h[:, block] @ q if q is not None else np.zeros(len(h), np.float32)
            for flag, number in ((PRESENT, block.stop), (IMPUTED, block.stop + 1)):
                found[f"{flag}.{name}"] = h[:, number] * (q is not None)
        return found

    def evidence(self, interest: int, positions: Ints, states: States) -> Array:
        """See Term."""
        return self._of_interest(interest, positions, states) + self._dislikes.evidence(
            self._view.h, positions
        )

    def _of_interest(self, interest: int, positions: Ints, states: States) -> Array:
        """Return dot(h, u) for an interest, float32 [positions]. Where all interests are scored over the same array of
        positions, one after the other, the second computes all that are left: rows of h are read once for them."""
        last, known = self._last
        if last is not positions:
            known = {interest: self._dots([interest], positions, states)[0]}
            self._last = (positions, known)
        elif interest not in known:
            left = [n for n in range(len(self._interests)) if n not in known]
            known.update(zip(left, self._dots(left, positions, states), strict=True))
        return known[interest]

    def _dots(self, interests: Sequence[int], positions: Ints, states: States) -> Array:
        """Return dot(h, u) for some interests, float32 [interests, positions]."""
        u = np.stack([self._interests[n].u for n in interests])
        of_cold = np.stack([self._interests[n].cold for n in interests])
        cold = states == State.COLD
        if not cold.any() or np.array_equal(u, of_cold):
            return self._products(u, positions)
        found = np.empty((len(interests), len(positions)), np.float32)
        found[:, ~cold] = self._products(u, positions[~cold])
        found[:, cold] = self._products(of_cold, positions[cold])
        return found

    def _products(self, u: Array, positions: Ints) -> Array:
        """Return dot(h, u) of the items at `positions`, u [interests, dimension] -> float32 [interests, positions].
        Copies of rows of h cost more than one product, so most rows are taken where they are, and few in blocks."""
        h, u = self._view.h[:, self._columns], u[:, self._columns]
        if len(u) == 1 and ROWS_IN_PLACE * len(positions) >= len(h):
            return self._head.scores(h, u)[:, positions]
        blocks = [self._head.scores(h[positions[n : n + BLOCK]], u) for n in range(0, len(positions), BLOCK)]
        return np.concatenate(blocks, axis=1) if blocks else np.zeros((len(u), 0), np.float32)

    def by_channel(self, interest: int, position: int, state: int) -> list[Part]:
        """Return w_c cos_c of each channel that is present or imputed, and the baselines."""
        h = self._view.h[position]
        parts = [
            Part(CHANNEL, float((rows.vectors @ h[self._head.block(c)]).sum()), c, imputed)
            for c, rows, imputed in self._known(interest, h, state)
        ]
        return [*parts, *self._baselines(interest, h, state)]

    def by_source(self, interest: int, position: int, state: int) -> list[Part]:
        """Return the share of each past item and of the query's own content in each channel, and the baselines."""
        h = self._view.h[position]
        parts = [
            Part(PAST_ITEM if name else QUERY, value, c, imputed, name)
            for c, rows, imputed in self._known(interest, h, state)
            for name, value in zip(rows.names, (rows.vectors @ h[self._head.block(c)]).tolist(), strict=True)
        ]
        return [*parts, *self._baselines(interest, h, state)]

    def by_place(
        self, interest: int, position: int, state: int, inputs: Sequence[PlacedInput]
    ) -> tuple[list[Part], list[ChannelSum]]:
        """See Term."""
        h = self._view.h[position]
        sums = [
            self._sum(c, rows, imputed, [i for i in inputs if imputed or i.channel == c])
            for c, rows, imputed in self._known(interest, h, state)
        ]
        return [*(p for s in sums for p in s.places), *self._baselines(interest, h, state)], sums

    def sum_rows(self, interest: int, cold: bool) -> dict[str, SumRows]:
        """Return the query's side by channel and source, with weights and norms applied, without dislikes. Rows add up
        to u's block."""
        key = (interest, cold)
        if key not in self._sum_rows:
            names: dict[str, list[str]] = {}
            vectors: dict[str, list[Floats]] = {}
            for source in self._interests[interest].sources:
                for channel, (ids, rows) in _source_rows(self._head, self._view, source, cold).items():
                    names.setdefault(channel, []).extend(ids)
                    vectors.setdefault(channel, []).append(rows)
            self._sum_rows[key] = {c: SumRows(tuple(names[c]), np.concatenate(vectors[c])) for c in names}
        return self._sum_rows[key]

    def _known(self, interest: int, h: Array, state: int) -> list[tuple[str, SumRows, bool]]:
        """Return the channels of the query that are present or imputed in the item: name, rows, imputed."""
        asked = self.sum_rows(interest, state == State.COLD)
        away = self._dislikes.active(h)
        known = []
        for name in self._head.names:
            present, imputed = bool(self._head.present(h, name)), bool(self._head.imputed(h, name))
            if not (present or imputed):
                continue
            rows = asked.get(name)
            if away:
                away_rows = -self._dislikes.u[away, self._head.block(name)].astype(np.float64)
                names = tuple(self._dislikes.item_ids[n] for n in away)
                rows = (
                    SumRows(names, away_rows)
                    if rows is None
                    else SumRows((*rows.names, *names), np.concatenate([rows.vectors, away_rows]))
                )
            if rows is not None:
                known.append((name, rows, imputed))
        return known

    def _baselines(self, interest: int, h: Array, state: int) -> list[Part]:
        """Return the baselines of the channels: u's threshold entries times the item's flags."""
        asked = self._interests[interest]
        u = (asked.cold if state == State.COLD else asked.u).astype(np.float64)
        for number in self._dislikes.active(h):
            u -= self._dislikes.u[number]
        parts = []
        for name in self._head.names:
            stop = self._head.block(name).stop
            for flag, imputed in ((stop, False), (stop + 1, True)):
                if h[flag] and u[flag]:
                    parts.append(Part(BASELINE, float(u[flag] * h[flag]), name, imputed))
        return parts

    def _sum(self, name: str, rows: SumRows, imputed: bool, inputs: Sequence[PlacedInput]) -> ChannelSum:
        """Return the complete sum of a channel, over its own inputs or over those that predict it."""
        channel, d = self._head.channel(name), rows.vectors.astype(np.float64)
        own_inputs: dict[str, list[PlacedInput]] = {}
        for given in inputs:
            if not imputed or given.channel in channel.predictors:
                own_inputs.setdefault(given.channel, []).append(given)
        scale: dict[str, Floats] = {name: d}
        if imputed:
            guess = sum(
                (
                    _mean_unit(self._head.channel(s), own) @ channel.predictors[s]
                    for s, own in own_inputs.items()
                ),
                np.zeros(channel.width),
            )
            factor = channel.imputed_scale / max(float(np.linalg.norm(guess)), 1e-12)
            scale = {s: factor * (d @ channel.predictors[s].T.astype(np.float64)) for s in own_inputs}
        parts: list[Part] = []
        values: list[Floats] = []
        for source, own in own_inputs.items():
            for number, (placed, share) in enumerate(
                zip(own, _shares(self._head.channel(source), scale[source], own), strict=True)
            ):
                parts += [
                    replace(p, channel=name, imputed=imputed, source_channel=source, picture_index=number)
                    for p in placed.places.parts
                ]
                values.append(share)
        whole = np.concatenate(values, axis=1) if values else np.zeros((len(d), 0))
        return ChannelSum(name, imputed, rows.names, labelled(parts, whole.sum(0)), whole)


def _source_rows(head: Head, view: View, source: Source, cold: bool) -> dict[str, tuple[list[str], Floats]]:
    if source.u is not None:
        blocks = {name: source.u[head.block(name)].astype(np.float64) for name in head.names}
        return {name: ([""], source.weight * b[None]) for name, b in blocks.items() if b.any()}
    if source.q:
        return {
            name: ([""], source.weight * source.weights.of(name).of(cold) * q[None].astype(np.float64))
            for name, q in source.q.items()
        }
    ids = [view.item_ids[p] for p in source.positions]
    return {
        name: (
            ids,
            source.weight * source.weights.of(name).of(cold) / float(np.linalg.norm(rows.sum(0))) * rows,
        )
        for name, rows in source.rows(head, view).items()
    }


def _shares(channel: HeadChannel, d: Floats, inputs: Sequence[PlacedInput]) -> list[Floats]:
    """Return the contributions of the places of each input of `channel` to d's dot products, float64 [rows of d,
    places] each."""
    g = d if channel.projection is None else d @ channel.projection.T.astype(np.float64)
    length = max(float(np.linalg.norm(_units(channel, inputs).sum(0))), 1e-12)
    shares = []
    for placed in inputs:
        z = placed.z.astype(np.float64)
        norm = max(float(np.linalg.norm(_project(channel, placed.v))), 1e-12)
        shares.append(placed.places.sum(g @ (z - channel.mean).T / (len(z) * norm * length)))
    return shares


def _mean_unit(channel: HeadChannel, inputs: Sequence[PlacedInput]) -> Floats:
    total = _units(channel, inputs).sum(0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-12))


def _units(channel: HeadChannel, inputs: Sequence[PlacedInput]) -> Floats:
    e = np.stack([_project(channel, i.v) for i in inputs])
    return np.asarray(e / np.maximum(np.linalg.norm(e, axis=1, keepdims=True), 1e-12))


def _project(channel: HeadChannel, v: Array) -> Floats:
    centred = v.astype(np.float64) - channel.mean
    return (
        centred if channel.projection is None else np.asarray(centred @ channel.projection.astype(np.float64))
    )
