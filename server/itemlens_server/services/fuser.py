"""Fuse the contents and vectors of items to h, and of queries to u."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import Space
from itemlens_server.errors import InvalidArgument, ItemlensError, Warning
from itemlens_server.fusion.head import Array, unit
from itemlens_server.fusion.query import ChannelChange, changed_weights
from itemlens_server.fusion.weights import search_question
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.encoding import Content, ContentEncoder, EncodedContent, Outcome
from itemlens_server.services.limits import check_length, checked_changes
from itemlens_server.services.vectors import ITEM, QUERY, VectorInput, channel_vector

Presence = Literal["PRESENT", "PREDICTED", "ABSENT"]  # names as in the proto
Raw = dict[str, list[Array]]


@dataclass(frozen=True)
class FuseInput:
    """The contents and vectors of one item or query."""

    contents: Sequence[Content] = ()
    vectors: Sequence[VectorInput] = ()


@dataclass(frozen=True)
class FusedInput:
    """The result of one input: its vector, float32 [dimension], and the presence of each channel; or an error."""

    vector: Array | None = None
    presence: Mapping[str, Presence] | None = None
    error: ItemlensError | None = None
    warnings: tuple[Warning, ...] = ()


@dataclass(frozen=True)
class Fuser:
    """Fuses contents and vectors. Encodes the contents first."""

    catalogue: Catalogue
    encoder: ContentEncoder
    settings: Settings

    def fuse(
        self,
        space_name: str,
        role: str,
        inputs: Sequence[FuseInput],
        changes: Sequence[tuple[str, ChannelChange]],
        call: CallContext,
    ) -> tuple[Space, list[FusedInput]]:
        """ITEM or QUERY vectors of `inputs`. A bad input yields an error in its place.

        Raises:
            InvalidArgument: the whole call is wrong.
        """
        check_length(inputs, self.settings.max_inputs, "inputs")
        if role not in (ITEM, QUERY):
            raise InvalidArgument("`role` must be ITEM or QUERY", "role")
        if changes and role == ITEM:
            raise InvalidArgument(
                "an ITEM vector has no weights; give weights with QUERY only", "channel_weights"
            )
        space = self.catalogue.space(space_name)
        changed = checked_changes(changes)
        outcomes = self._encode(space, role, inputs, call)
        results: list[FusedInput] = []
        raws: dict[int, Raw] = {}
        for n, (given, encoded) in enumerate(zip(inputs, outcomes, strict=True)):
            warnings: list[Warning] = []
            try:
                raws[n], error = _raw(space, given, encoded, warnings), None
            except ItemlensError as failed:
                error = failed
            results.append(FusedInput(error=error, warnings=tuple(warnings)))
        if role == ITEM:
            fused: list[Array | ItemlensError] = [*space.head_runner.fuse(list(raws.values()))]
        else:
            fused = [_query_vector(space, raw, changed) for raw in raws.values()]
        for (n, raw), vector in zip(raws.items(), fused, strict=True):
            if isinstance(vector, ItemlensError):
                results[n] = replace(results[n], error=vector)
            else:
                presence = _presence(space, raw, vector, role)
                results[n] = replace(results[n], vector=vector, presence=presence)
        return space, results

    def _encode(
        self, space: Space, role: str, inputs: Sequence[FuseInput], call: CallContext
    ) -> list[list[Outcome]]:
        """The outcomes of each input's contents. All contents are encoded together."""
        count = sum(len(given.contents) for given in inputs)
        check_length(range(count), 4 * self.settings.max_inputs, "inputs[].contents", 0)
        contents = [content for given in inputs for content in given.contents]
        purpose: Literal["query", "item"] = "query" if role == QUERY else "item"
        outcomes = iter(self.encoder.encode(space, contents, purpose, call))
        return [[next(outcomes) for _ in given.contents] for given in inputs]


def content_units(space: Space, raw: Mapping[str, Sequence[Array]]) -> dict[str, Array]:
    """q_c = e_c of a query's raw vectors, of unit length. Several pictures of a channel are averaged.

    Raises:
        InvalidArgument: a vector has no direction.
    """
    q = {}
    for name, vectors in raw.items():
        e = unit(unit(space.head.channel(name).project(np.stack(vectors))).sum(0))
        if not e.any():
            raise InvalidArgument(
                f"the content of channel {name!r} equals the catalogue's mean and matches no item; give other content"
            )
        q[name] = e
    return q


def _raw(space: Space, given: FuseInput, outcomes: Sequence[Outcome], warnings: list[Warning]) -> Raw:
    """Raw vectors of one input, by channel. Adds to `warnings`."""
    raw: Raw = {}
    for m, (content, outcome) in enumerate(zip(given.contents, outcomes, strict=True)):
        if not isinstance(outcome, EncodedContent):
            raise outcome.within(f"contents[{m}]")
        raw.setdefault(content.channel, []).append(outcome.v)
        warnings += [warning.within(f"contents[{m}]") for warning in outcome.warnings]
    for m, vector in enumerate(given.vectors):
        try:
            v = channel_vector(vector, space)
        except ItemlensError as error:
            raise error.within(f"vectors[{m}]") from None
        raw.setdefault(vector.channel, []).append(v)
    if not raw:
        raise InvalidArgument("the input is empty; give contents or vectors", "contents")
    return raw


def _query_vector(space: Space, raw: Raw, changes: Mapping[str, ChannelChange]) -> Array | ItemlensError:
    """u under the fitted weights with the caller's changes."""
    try:
        weights = space.head.weights(search_question(raw))
        if changes:
            weights = changed_weights(space.head, weights, changes)
        return space.head.query_vector(content_units(space, raw), weights)
    except ItemlensError as error:
        return error


def _presence(space: Space, raw: Raw, vector: Array, role: str) -> dict[str, Presence]:
    presence: dict[str, Presence] = {}
    for name in space.head.names:
        imputed = role == ITEM and bool(space.head.imputed(vector, name))
        presence[name] = "PRESENT" if name in raw else "PREDICTED" if imputed else "ABSENT"
    return presence
