"""Made-up catalogues of very different sizes, for servers to hold.

Their vectors are the caller's own, in 200 clusters, so that no time goes into encoders; one catalogue has texts and
pictures, and the encoders of `random_space`. Users take popular items more often (Zipf).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from itemlens import Event, EventType, ExternalVector, Item
from itemlens_bench.speed import random_space
from itemlens_server.engine import fitted
from itemlens_server.engine.manifest import Channel, EncoderSpec, ExternalVectors, Manifest
from itemlens_server.fusion.head import Head
from itemlens_server.fusion.weights import (
    ANYONE,
    DISLIKE,
    NEXT,
    SIMILAR,
    ChannelWeights,
    ColumnWeights,
    QuestionWeights,
    TableRules,
    Transform,
)

VERSION = "made-up"
CLUSTERS = 200
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Catalogue:
    """What a server is to hold. dims: of the caller's own vectors, a channel each; none: texts and pictures instead.

    events are of the first `taken` items, all if it is 0. title: bytes of each item's title. strings, numbers: further
    attributes, by count. fitted: whether the score uses all that events say
    """

    name: str
    items: int
    dims: tuple[int, ...] = ()
    users: int = 0
    events: int = 0
    taken: int = 0
    title: int = 40
    strings: int = 1
    numbers: int = 1
    fitted: bool = False
    seed: int = 7

    def catalogue(self) -> Iterator[Item]:
        """Yield the items."""
        if not self.dims:
            yield from random_space.clustered_items(self.items, self.seed)
            return
        rng = np.random.default_rng(self.seed)
        centres = [rng.normal(size=(CLUSTERS, dim)) for dim in self.dims]
        plain = random.Random(self.seed)
        for n in range(self.items):
            own = {
                f"c{c}": ExternalVector(own[n % CLUSTERS] + rng.normal(scale=0.7, size=own.shape[1]), version=VERSION)
                for c, own in enumerate(centres)
            }
            yield Item(item_id(n), external=own, attributes=self._attributes(n, plain))

    def _attributes(self, n: int, rng: random.Random) -> dict[str, object]:
        title = f"made-up item {n} "
        found: dict[str, object] = {"title": title + "x" * (self.title - len(title))}
        found |= {f"s{k}": f"value {rng.randrange(50)}" for k in range(self.strings)}
        found |= {f"n{k}": rng.random() for k in range(self.numbers)}
        return found

    def history(self, seed: int = 1) -> Iterator[Event]:
        """Yield the events, oldest first, a minute apart."""
        rng = np.random.default_rng(self.seed + seed)
        some = self.taken or self.items
        weights = 1 / np.arange(1, some + 1, dtype=np.float64) ** 0.7
        items = rng.permutation(some)[rng.choice(some, self.events, p=weights / weights.sum())]
        users = rng.integers(0, max(self.users, 1), self.events)
        for n, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True)):
            yield Event(f"user-{user:06}", self.id_of(item), EventType.PURCHASE, BEGIN + timedelta(minutes=n))

    def id_of(self, number: int) -> str:
        """Id of an item."""
        return item_id(number) if self.dims else f"made-{number}"


def item_id(number: int) -> str:
    return f"item-{number:07}"


def write_space(models: Path, of: Catalogue) -> str:
    """Write the space of a catalogue. Return its id."""
    models.mkdir(parents=True, exist_ok=True)
    if not of.dims:
        return random_space.write(models)
    encoders = {
        f"c{n}": EncoderSpec(kind="EXTERNAL", dim=dim, external=ExternalVectors(version=VERSION))
        for n, dim in enumerate(of.dims)
    }
    channels = tuple(Channel(name=name, kind=spec.kind, encoder=name) for name, spec in encoders.items())
    manifest = Manifest(
        space_id="", name="sized", created="2026-01-01T00:00:00+00:00", encoders=encoders, channels=channels
    ).identified()
    folder = models / manifest.space_id
    folder.mkdir()
    manifest.save(folder)
    return manifest.space_id


def write_fitted(models: Path, space_id: str) -> str:
    """Write the space again with weights of everything that events say, as a fit has them. Return its id."""
    manifest = Manifest.load(models / space_id)
    dims = {channel.name: manifest.encoders[channel.encoder].dim for channel in manifest.channels}
    weights = dict.fromkeys(dims, ChannelWeights(5.0, 0.3, 0.1))
    columns = {
        "BEHAVIOUR": ColumnWeights(0.8, 0.3, transform=Transform("log", 0.02), neutral=0.3),
        "SEQUENCE": ColumnWeights(1.5, 0.5, transform=Transform("sqrt"), neutral=0.1),
        "ATTRIBUTE": ColumnWeights(0.9, 0.2, 1.4, neutral=0.1),
        "POPULARITY.all": ColumnWeights(0.3, 0.1, neutral=1.2),
        "POPULARITY.recent": ColumnWeights(0.2, 0.05, neutral=0.7),
    }
    prior = {name: own for name, own in columns.items() if name.startswith("POPULARITY")}
    questions = {
        NEXT: QuestionWeights(weights, columns, {"CHANNEL": 0.9, "BEHAVIOUR": 0.9, "SEQUENCE": 0.6}, choices=500),
        ANYONE: QuestionWeights(columns=prior, choices=500),
        SIMILAR: QuestionWeights(weights),
        DISLIKE: QuestionWeights(weights),
    }
    head = replace(Head.identity(dims), questions=questions, table_rules=TableRules(), fitted=True)
    return fitted.write(models, manifest, head, "sized, fitted").space_id
