"""Random collections without encoders and a store, and random questions about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itemlens_server.config import Settings
from itemlens_server.fusion.boosts import AppliedBoost
from itemlens_server.fusion.head import Array, Head, HeadChannel, unit
from itemlens_server.fusion.history import Interaction
from itemlens_server.fusion.parts import Part, PlacedInput, Places
from itemlens_server.fusion.query import ChannelChange, Query
from itemlens_server.fusion.rows import Rows
from itemlens_server.fusion.snapshot import Snapshot
from itemlens_server.words import Indexed, question_words
from support.heads import random_head
from support.tables import random_tables

# The last one is asked for, and no item has it.
COLOURS = ("red", "green", "blue", "black", "white", "violet")
TYPE_WEIGHTS: Mapping[int, float] = Settings().type_weights()
Attributes = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class World:
    """A snapshot, and what its items are made of: their inputs, attributes and words, by id."""

    snapshot: Snapshot
    inputs: Mapping[str, Sequence[PlacedInput]]
    attributes: Mapping[str, Attributes]
    words: Mapping[str, Sequence[str]]

    @property
    def head(self) -> Head:
        return self.snapshot.head

    @property
    def item_ids(self) -> list[str]:
        view = self.snapshot.view
        return [view.item_ids[p] for p in np.flatnonzero(view.alive)]

    def h(self, item_id: str) -> Array:
        h: Array = self.snapshot.view.h[self.position(item_id)]
        return h

    def position(self, item_id: str) -> int:
        position = self.snapshot.view.position(item_id)
        assert position is not None
        return position


def random_world(rng: np.random.Generator, items: int = 25, *, events: bool = True) -> World:
    """Items with any mix of channels and attributes; some were replaced, two thirds have events, some events are on
    items that are gone."""
    head = random_head(rng)
    rows = Rows(head.dimension, indexed=Indexed())
    ids = [f"i{n}" for n in range(items)]
    inputs, attributes, words = {}, {}, {}
    for label, item_id in enumerate([*ids, *ids[:3]], 1):
        inputs[item_id], attributes[item_id] = random_inputs(rng, head), random_attributes(rng)
        h = fused(head, inputs[item_id])[None]
        words[item_id] = [COLOURS[label % 5], COLOURS[label % 3], "shoe"] if label % 4 else []
        texts = {"text": " ".join(words[item_id])}
        rows.append(np.asarray([label]), [item_id], h, [attributes[item_id]], [texts])
    view = rows.view()
    tables = random_tables(rng, [*rng.permutation(ids)[: 2 * items // 3], "gone"]) if events else None
    table_rows = [-1 if tables is None else tables.rows.get(i, -1) for i in view.item_ids]
    snapshot = Snapshot("c", head, view, tables, np.asarray(table_rows, np.int64))
    return World(snapshot, inputs, attributes, words)


def random_attributes(rng: np.random.Generator) -> Attributes:
    brand, tags = f"b{rng.integers(4)}", [f"t{n}" for n in rng.permutation(6)[: rng.integers(0, 4)]]
    return {"brand": brand, "tags": tags} if rng.random() < 0.8 else {}


def random_inputs(rng: np.random.Generator, head: Head) -> list[PlacedInput]:
    """Up to two inputs in each channel, of one to four places of one or two rows of z each; at least one input."""
    # Two inputs of width 1 may be each other's opposite, and have no mean direction.
    counts = {c.name: int(rng.integers(0, 3 if c.width > 1 else 2)) for c in head.channels}
    if not any(counts.values()):
        counts[head.names[0]] = 1
    inputs = []
    for name, count in counts.items():
        for _ in range(count):
            places = int(rng.integers(1, 5))
            owners = np.sort(np.concatenate([np.arange(places), rng.integers(0, places, rng.integers(0, 3))]))
            z = random_z(rng, head.channel(name), len(owners))
            parts = tuple(Part("TOKEN", text=f"w{n}") for n in range(places))
            inputs.append(PlacedInput(name, z.mean(0), z, Places(parts, owners)))
    return inputs


def random_z(rng: np.random.Generator, channel: HeadChannel, rows: int) -> Array:
    """Rows of z whose mean differs from mu, since next to mu rounding is all that there is."""
    while True:
        z: Array = rng.normal(size=(rows, len(channel.mean))).astype(np.float32)
        if np.linalg.norm(channel.project(z.mean(0))) > 0.1:
            return z


def fused(head: Head, inputs: Sequence[PlacedInput]) -> Array:
    """h of an item, as the formulas of the module `head` say."""
    h = np.zeros(head.dimension, np.float32)
    e = {
        c.name: unit(unit(c.project(np.stack([i.v for i in inputs if i.channel == c.name]))).sum(0))
        for c in head.channels
        if any(i.channel == c.name for i in inputs)
    }
    for c in head.channels:
        block, sources = head.block(c.name), [s for s in c.predictors if s in e]
        if c.name in e:
            h[block], h[block.stop] = e[c.name], 1
        elif sources:
            h[block] = c.imputed_scale * unit(np.sum([e[s] @ c.predictors[s] for s in sources], axis=0))
            h[block.stop + 1] = 1
    return h


def random_boosts(rng: np.random.Generator, world: World) -> tuple[AppliedBoost, ...]:
    """Up to three boosts of up to 20 nats, some of them of 0."""
    count = len(world.snapshot.view.labels)
    return tuple(
        AppliedBoost(
            f"boost {n}", (rng.uniform(-20, 20, count) * rng.integers(0, 2, count)).astype(np.float32)
        )
        for n in range(rng.integers(0, 4))
    )


def random_query(rng: np.random.Generator, world: World) -> Query:
    """Any mix of sources with any weights; a history has repeats, times, and items that are not there."""
    head, ids = world.head, [*world.item_ids, "gone", "unknown"]

    def some(most: int) -> list[str]:
        return list(dict.fromkeys(rng.choice(ids, rng.integers(0, most + 1)).tolist()))

    def weight() -> float:
        return float(rng.choice([0.0, 0.5, 1.0, 2.0]))

    history = [
        Interaction(i, int(rng.integers(1, 8)), int(rng.integers(0, 4)) if rng.random() < 0.7 else None)
        for i in rng.choice(ids, rng.integers(0, 12)).tolist()
    ]
    asked = [c for c in head.channels if rng.random() < 0.4]
    query = Query(
        history,
        {c.name: unit(rng.normal(size=c.width).astype(np.float32)) for c in asked},
        some(3),
        some(3),
        rng.normal(size=head.dimension).astype(np.float32) if rng.random() < 0.3 else None,
        max_interests=int(rng.integers(1, 6)),
        words={c.name: question_words([f"{COLOURS[len(history) % 6]} shoee"]) for c in asked[:1]},
    )
    if rng.random() < 0.5:
        names = ("history", "query", "liked", "disliked", "query_vector")
        query = replace(query, source_weights={n: weight() for n in names if rng.random() < 0.5})
    if rng.random() < 0.3:
        change = ChannelChange(*([None, 0.0, 0.7, 3.0][n] for n in rng.integers(0, 4, 3)))
        query = replace(query, channel_changes={head.names[-1]: change})
    return replace(query, behaviour_weight=weight()) if rng.random() < 0.3 else query
