"""The user side: from a history, content, liked and disliked items to sources of evidence (see `sources`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from itemlens_server.errors import InvalidArgument, Warning, quoted
from itemlens_server.fusion.boosts import AppliedBoost
from itemlens_server.fusion.head import Array, Head
from itemlens_server.fusion.history import Interaction
from itemlens_server.fusion.interests import CLEAR_INTEREST, MAX_INTERESTS, cluster
from itemlens_server.fusion.past import Past
from itemlens_server.fusion.past_source import PastSource
from itemlens_server.fusion.rows import Ints, View
from itemlens_server.fusion.shrinkage import mixed_prior, trust
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.fusion.sources import Interest, Source, interest_of
from itemlens_server.fusion.taken import Taken
from itemlens_server.fusion.weights import (
    ANYONE,
    DISLIKE,
    NEXT,
    SIMILAR,
    ChannelWeights,
    QuestionWeights,
    States,
    search_question,
)
from itemlens_server.fusion.word_source import WordSource, word_weights
from itemlens_server.words import WordForms

CHANNEL = "CHANNEL"
# The newest past items that count in the channels, and that are split into interests; the other terms use more.
CHANNEL_ITEMS = 50
MOST_DISLIKED = 100
# The terms that the caller's `behaviour_weight` multiplies.
BEHAVIOUR_TERMS = ("BEHAVIOUR", "SEQUENCE")


@dataclass(frozen=True)
class ChannelChange:
    """A caller's change to one channel's weights."""

    weight: float | None = None
    threshold: float | None = None
    imputed_threshold: float | None = None


@dataclass(frozen=True)
class Query:
    """The user or query of a request. `content` holds unit e_c by channel; `history` is oldest first.


    taken: the history, if it is summed up already
    of_user: it asks for a user, of whom nothing may be known
    words: those of the content's texts, by channel
    """

    history: Sequence[Interaction] = ()
    content: Mapping[str, Array] = field(default_factory=dict)
    liked: Sequence[str] = ()
    disliked: Sequence[str] = ()
    vector: Array | None = None
    source_weights: Mapping[str, float] = field(default_factory=dict)
    channel_changes: Mapping[str, ChannelChange] = field(default_factory=dict)
    behaviour_weight: float | None = None
    max_interests: int = MAX_INTERESTS
    taken: Taken | None = None
    of_user: bool = False
    words: Mapping[str, tuple[WordForms, ...]] = field(default_factory=dict)

    def weight(self, source: str) -> float:
        """Return the weight of a source: "history", "query", "liked", "disliked" or "query_vector"."""
        return self.source_weights.get(source, 1.0)

    def weights(self, head: Head, question: str) -> QuestionWeights:
        """Return the head's weights of `question`, with the caller's changes."""
        weights = head.weights(question)
        if self.behaviour_weight is not None:
            weights = weights.scaled(BEHAVIOUR_TERMS, self.behaviour_weight)
        return changed_weights(head, weights, self.channel_changes) if self.channel_changes else weights


@dataclass(frozen=True)
class Asking:
    """A query over a snapshot, before terms are bound to it.

    history, liked, rejected: sources of the terms over past items; the rejected are the disliked ones
    prior:       weights of the prior, which counts once
    disliked:    positions of the disliked items that are in the collection
    had:         positions of the items that the user had, ascending
    had_numbers: number of each of these items in the history
    seen:        ids of the items to exclude
    words:       those of the query that items have
    boosts:      what the caller adds to items, which is a part of the prior
    """

    snapshot: Snapshot
    query: Query
    interests: tuple[Interest, ...]
    history: PastSource
    liked: PastSource
    rejected: PastSource
    prior: QuestionWeights
    disliked: Ints
    had: Ints
    had_numbers: Ints
    seen: frozenset[str]
    warnings: tuple[Warning, ...]
    words: WordSource | None = None
    boosts: tuple[AppliedBoost, ...] = ()
    # The terms over past items that were made, by kind and source.
    bound: dict[tuple[str, int], object] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def of_choices(self) -> bool:
        """Whether the scores are log-probabilities of choices that the weights were fitted to: a history is asked
        alone, or a user of whom nothing is known, without weights and boosts of the caller's."""
        query = self.query
        if self.boosts:
            return False
        if query.source_weights or query.channel_changes or query.behaviour_weight is not None:
            return False
        if not self.of_user_alone or len(self.disliked):
            return False
        if len(self.history.past):
            return self.history.weights.choices > 0
        return self.prior.choices > 0 and self.prior.calibration is not None

    @property
    def of_user_alone(self) -> bool:
        """Whether a user or a history is asked for, without words, pictures, vectors or liked items."""
        query = self.query
        return query.of_user and not (query.content or query.liked or query.vector is not None)

    @property
    def given(self) -> list[str]:
        """The sources that the query has something of, whatever their weights."""
        has = {
            "history": len(self.history.past), "query": self.query.content, "liked": len(self.liked.past),
            "disliked": len(self.disliked), "query_vector": self.query.vector is not None,
        }  # fmt: skip
        return [source for source, something in has.items() if something]

    @property
    def boost_nats(self) -> Array:
        """The sum of the boosts of each item, nats, float32 [positions]."""
        none = np.zeros(len(self.snapshot.view.labels), np.float32)
        return sum((boost.nats for boost in self.boosts), none)

    def states(self) -> States:
        """Return what each item is to the user, int8 [positions]."""
        return self.snapshot.states(self.had)


def ask(snapshot: Snapshot, query: Query, type_weights: Mapping[int, float]) -> Asking:
    """Return the sources of `query`; one interest without sources if none of its items is in the collection."""
    return ask_with(snapshot, query, query.taken or Taken.of(query.history, type_weights))


def ask_with(snapshot: Snapshot, query: Query, taken: Taken) -> Asking:
    """Return the sources of `query` with `taken` as what the user did."""
    head = snapshot.head
    # What the user rejects is nothing that they took.
    past = taken.past.without(frozenset(query.disliked)) if query.disliked else taken.past
    weights = query.weights(head, NEXT)
    history = PastSource(query.weight("history"), weights, past).looked_up(snapshot)
    similar = query.weights(head, SIMILAR)
    liked = PastSource(query.weight("liked"), similar, Past.equal(query.liked)).looked_up(snapshot)
    dislike = query.weights(head, DISLIKE).times(query.weight("disliked"))
    told = Past.told(taken.disliked[-MOST_DISLIKED:], tuple(query.disliked)[-MOST_DISLIKED:])
    rejected = PastSource(1.0, dislike, told).looked_up(snapshot)
    fields = {"history": history, "liked_item_ids": liked, "disliked_item_ids": rejected}
    unknown = tuple(w for field, source in fields.items() for w in _unknown(snapshot, source, field))
    if not history.known:  # says nothing, not even that what it has in common with an item is little
        history = PastSource(history.weight, weights, Past.equal(())).looked_up(snapshot)
    common = _common_sources(head, query, liked)
    share = trust(history.strength, weights.shrinkage)
    if share < 1:
        history = replace(history, weights=weights.times(share))
    prior = _prior(query, head, history.weights, share, common)
    here = np.flatnonzero(history.positions >= 0)
    order = np.argsort(history.positions[here])
    return Asking(
        snapshot,
        query,
        _interests(snapshot, query, history, here, prior, common),
        history,
        liked,
        rejected,
        prior,
        rejected.positions[rejected.positions >= 0],
        history.positions[here][order],
        here[order],
        taken.seen.union(query.liked, query.disliked),
        unknown,
        _words(snapshot, query),
    )


def _interests(
    snapshot: Snapshot,
    query: Query,
    history: PastSource,
    here: Ints,
    prior: QuestionWeights,
    common: Sequence[Source],
) -> tuple[Interest, ...]:
    """Return the interests with their shares of the list, the largest first.

    here: numbers of the past items that are in the collection, newest first. common: the sources that all interests
    share.
    """
    head, view, item_ids = snapshot.head, snapshot.view, history.past.item_ids
    newest = here[:CHANNEL_ITEMS]
    groups = [newest[:0]]
    if len(newest) and history.weight:
        found = _groups(head, view, history.positions[newest], history.weights, query.max_interests)
        groups = [newest[group] for group in found]
    amounts = history.past.amounts(history.weights.decay(CHANNEL))
    interests = []
    for group in groups:
        sources, mass = list(common), 1.0
        if len(group):
            sources.insert(
                0, Source(history.weight, history.weights, history.positions[group], amounts[group])
            )
            mass = sum(amounts[group].tolist())
        ids = [item_ids[n] for n in group.tolist()]
        interests.append(interest_of(mass, sources, ids, prior, head, view))
    interests.sort(key=lambda i: -i.weight)
    scale = sum(i.weight for i in interests)
    return tuple(replace(i, weight=i.weight / scale) for i in interests)


def changed_weights(
    head: Head, weights: QuestionWeights, changes: Mapping[str, ChannelChange]
) -> QuestionWeights:
    """Return `weights` with the caller's changes.

    Raises:
        InvalidArgument: a changed channel does not exist.
    """
    channels = {name: weights.of(name) for name in head.names}
    for name, change in changes.items():
        if name not in channels:
            raise InvalidArgument(
                f"no channel {quoted(name)}; there are {', '.join(head.names)}", "channel_weights"
            )
        old = channels[name]
        channels[name] = ChannelWeights(
            old.weight if change.weight is None else change.weight,
            old.threshold if change.threshold is None else change.threshold,
            old.imputed_threshold if change.imputed_threshold is None else change.imputed_threshold,
            old.cold if change.weight is None else None,
        )
    return replace(weights, channels=channels)


def _prior(
    query: Query, head: Head, scaled: QuestionWeights, share: float, common: Sequence[Source]
) -> QuestionWeights:
    """Return the weights of the prior for a user whose history counts by `share`. One that was not fitted says nothing
    beside words or liked items, whose weights it was not weighed against. scaled: those of "next", times the share"""
    if share == 1.0:
        return scaled
    anyone = query.weights(head, ANYONE)
    anyone = replace(anyone, columns={}) if common and not anyone.choices else anyone
    return mixed_prior(scaled, anyone, share) if share else anyone


def _common_sources(head: Head, query: Query, liked: PastSource) -> list[Source]:
    """Return the sources that all interests share."""
    sources = []
    if query.content and (weight := query.weight("query")):
        sources.append(Source(weight, query.weights(head, search_question(query.content)), q=query.content))
    there = liked.positions[liked.positions >= 0]
    if len(there) and liked.weight:
        sources.append(Source(liked.weight, liked.weights, there, np.full(len(there), 1.0 / len(there))))
    if query.vector is not None and (weight := query.weight("query_vector")):
        sources.append(Source(weight, QuestionWeights(), u=query.vector))
    return sources


def _words(snapshot: Snapshot, query: Query) -> WordSource | None:
    """Return what the words of the query find; None if they do not count."""
    factor = query.weight("query")
    if not (query.words and factor):
        return None
    # Those of the head: a caller who changes a channel's weight does not mean the words.
    weights = word_weights(snapshot.head.weights(search_question(query.content)), query.words).times(factor)
    asked = dict.fromkeys(word for words in query.words.values() for word in words)
    return WordSource(snapshot.view.words.matches(list(asked)), weights) if weights.used else None


def _unknown(snapshot: Snapshot, source: PastSource, field: str) -> Iterator[Warning]:
    """Yield warnings of the items of a source that are not in the collection."""
    for n in np.flatnonzero(source.positions < 0).tolist():
        message = (
            f"item {source.past.item_ids[n]!r} is not in collection {snapshot.collection!r}; it is ignored"
        )
        yield Warning("UNKNOWN_ITEM", message, f"user.{field}")


def _groups(head: Head, view: View, positions: Ints, weights: QuestionWeights, most: int) -> list[list[int]]:
    """Return the numbers of the past items at `positions` by interest: clusters by what the items say of each other in
    the channels that both have. Items that share no channel say nothing of each other. It is one interest if channels
    say little at all."""
    everything = list(range(len(positions)))
    if sum(own.weight * (1 - own.threshold) for own in map(weights.of, head.names)) < CLEAR_INTEREST:
        return [everything]
    h = view.h[positions]
    evidence = np.zeros((len(positions), len(positions)))
    for name in head.names:
        own, has = weights.of(name), head.present(h, name).astype(np.float64)
        e = h[:, head.block(name)].astype(np.float64) * has[:, None]
        evidence += own.weight * (e @ e.T - own.threshold * np.outer(has, has))
    return cluster(evidence, most)
