"""Made-up catalogues of very different sizes, for servers to hold.

Their vectors are the caller's own, in 200 clusters, so that no time goes into encoders; one catalogue has texts and
pictures, and the encoders of `random_space`. Users take popular items more often (Zipf).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np

from itemlens import Event, EventType, ExternalVector, Item
from itemlens_bench.speed import random_space
from itemlens_server.sizing import Channel, Shop

VERSION = "made-up"
# Events that are ahead of the time would be held back.
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
CLUSTERS, SPREAD, ZIPF = 200, 0.7, 0.7
# Items of which the size of a document is taken.
SAMPLE = 100


@dataclass(frozen=True)
class Catalogue:
    """What a server is to hold.

    dims:    of the caller's own vectors, a channel each; none: texts and pictures instead
    taken:   items with events; 0: all
    title:   bytes of each item's title. strings, numbers: how many other attributes it has
    fitted:  whether the collection moves to a fitted space, whose score uses all that events say
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

    @property
    def has_texts(self) -> bool:
        """Whether the items have texts and pictures, not vectors of the caller's own."""
        return not self.dims

    def catalogue(self) -> Iterator[Item]:
        """Yield the items."""
        if self.has_texts:
            yield from random_space.clustered_items(self.items, self.seed)
            return
        rng, plain = np.random.default_rng(self.seed), random.Random(self.seed)
        centres = [rng.normal(size=(CLUSTERS, dim)) for dim in self.dims]
        for n in range(self.items):
            vectors = [own[n % CLUSTERS] + rng.normal(scale=SPREAD, size=own.shape[1]) for own in centres]
            external = {f"c{c}": ExternalVector(vector, version=VERSION) for c, vector in enumerate(vectors)}
            yield Item(self.item_id(n), external=external, attributes=self._attributes(n, plain))

    def _attributes(self, n: int, rng: random.Random) -> dict[str, object]:
        found: dict[str, object] = {"title": f"made-up item {n} ".ljust(self.title, "x")}
        found |= {f"s{k}": f"value {rng.randrange(50)}" for k in range(self.strings)}
        return found | {f"n{k}": rng.random() for k in range(self.numbers)}

    def history(self) -> Iterator[Event]:
        """Yield the events, oldest first, a minute apart."""
        rng, some = np.random.default_rng(self.seed + 1), self.taken or self.items
        weights = np.arange(1, some + 1, dtype=np.float64) ** -ZIPF
        items = rng.permutation(some)[rng.choice(some, self.events, p=weights / weights.sum())]
        users = rng.integers(0, max(self.users, 1), self.events)
        for n, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True)):
            time = BEGIN + timedelta(minutes=n)
            yield Event(self.user_id(user), self.item_id(item), EventType.PURCHASE, time)

    def item_id(self, number: int) -> str:
        """Id of an item."""
        return f"made-{number}" if self.has_texts else f"item-{number:07}"

    def user_id(self, number: int) -> str:
        """Id of a user."""
        return f"user-{number:06}"

    def shop(self, space: Path) -> Shop:
        """Return what `sizing` is told of the catalogue. space: folder of its space"""
        documents = [
            json.dumps({"texts": {"text": item.text}, "attributes": item.attributes}, separators=(",", ":"))
            for item in islice(self.catalogue(), SAMPLE)
        ]
        models = sum(path.stat().st_size for path in space.glob("*.onnx"))
        vocabulary = sum(path.stat().st_size for path in space.glob("tokenizer.json"))
        return Shop(
            self.items,
            self._channels(),
            self.users,
            self.events,
            self.taken or None,
            attributes=4 if self.has_texts else self.strings + self.numbers,
            title_bytes=self.title,
            document=sum(map(len, documents)) // len(documents),
            words=8 if self.has_texts else 0,
            models=models,
            vocabulary=vocabulary,
            fitted=self.fitted,
        )

    def _channels(self) -> tuple[Channel, ...]:
        if not self.has_texts:
            # The store keeps the vectors as they were given, too, with their version.
            return tuple(Channel(dim, stored=4 * dim + 4 + len(VERSION)) for dim in self.dims)
        whole = 1 - random_space.EQUAL + random_space.EQUAL / random_space.COPIES
        pictures = Channel(random_space.IMAGE_DIM, whole * random_space.PICTURED, stored=120)
        return Channel(random_space.TEXT_DIM, whole), pictures


CATALOGUES = (
    Catalogue("small", 5_000, (384,)),
    Catalogue("large", 100_000, (384,)),
    Catalogue("wide", 20_000, (64, 128, 256, 384), users=2_000, events=20_000, strings=20, numbers=10),
    Catalogue("dense", 3_000, (64,), users=5_000, events=300_000, fitted=True),
    Catalogue("shop", 30_000, users=20_000, events=500_000, fitted=True),
    # Not looked at before the sums were as they are.
    Catalogue(
        "held out",
        50_000,
        (256, 96),
        users=10_000,
        events=400_000,
        taken=9_000,
        strings=5,
        numbers=4,
        fitted=True,
    ),
)
