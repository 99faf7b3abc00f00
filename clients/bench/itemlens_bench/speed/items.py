"""Collections and requests for the scenario `recommend`."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from itemlens import Client, Item, Vector
from itemlens.v1 import common_pb2, itemlens_pb2
from itemlens_datasets import bundled
from itemlens_datasets.mapping import Dataset, bundled_mapping

ITEMS = 30_000
HISTORY = 10
K = 10
GROUPS = ("article_type", "category")
"""Attributes that name an item's kind. A user's past items are of few kinds."""
COLOURS = (
    "black", "white", "red", "blue", "green", "grey", "navy", "olive", "sand", "rust", "cream", "teal", "plum", "brass"
)  # fmt: skip
FORMS = (
    "classic", "compact", "large", "light", "folding", "outdoor", "travel", "everyday", "premium", "basic", "spare"
)  # fmt: skip


def made_items(count: int, seed: int) -> Iterator[Item]:
    """Items with titles as in a shop, of the bundled catalogue's kinds."""
    rng = random.Random(seed)
    kinds = [item for item in bundled.items() if item.language == "en"]
    for n in range(count):
        kind = rng.choice(kinds)
        title = f"{rng.choice(COLOURS)} {rng.choice(FORMS)} {kind.title}, no. {n}"
        attributes = {"title": title, "category": str(kind.attributes.get("category", kind.domain))}
        yield Item(f"made-{n}", text=title, attributes=attributes)


def fashion(folder: Path) -> Iterator[Item]:
    """The fashion data set, from the folder of its files."""
    return iter(list(Dataset.read(bundled_mapping("fashion")).read_items(folder)))


def stored(client: Client, collection: str) -> list[Item]:
    """All items of a collection."""
    return [entry.item for entry in client.list_items(page_size=1000, collection=collection)]


def histories(items: Sequence[Item], count: int, seed: int) -> list[list[str]]:
    """Ids of `HISTORY` past items of two kinds, for `count` users."""
    rng = random.Random(seed)
    groups: Mapping[object, list[str]] = defaultdict(list)
    for item in items:
        kind = next((item.attributes[name] for name in GROUPS if name in item.attributes), None)
        groups[kind].append(item.item_id)
    large = [ids for ids in groups.values() if len(ids) >= HISTORY] or [[i.item_id for i in items]]
    return [
        [*rng.sample(rng.choice(large), HISTORY // 2), *rng.sample(rng.choice(large), HISTORY // 2)]
        for _ in range(count)
    ]


def words(items: Sequence[Item], count: int, seed: int) -> list[str]:
    """Two random words of the text of `count` random items."""
    rng = random.Random(seed)
    pairs: list[str] = []
    while len(pairs) < count:
        text = next(iter(rng.choice(items).texts.values()), "")
        if len(split := text.split()) >= 2:
            pairs.append(" ".join(rng.sample(split, 2)))
    return pairs


def by_history(collection: str, past: Sequence[str]) -> itemlens_pb2.RecommendRequest:
    """A request for a user who bought these past items."""
    bought = common_pb2.EVENT_TYPE_PURCHASE
    history = [common_pb2.Interaction(item_id=item_id, type=bought) for item_id in past]
    return itemlens_pb2.RecommendRequest(
        collection=collection, k=K, user=common_pb2.UserSide(history=history)
    )


def by_vector(collection: str, vector: Vector) -> itemlens_pb2.RecommendRequest:
    """A request with a QUERY vector."""
    query = common_pb2.Vector(
        data=vector.values.tobytes(), dimension=len(vector), role=common_pb2.VECTOR_ROLE_QUERY,
        space_id=vector.space_id,
    )  # fmt: skip
    return itemlens_pb2.RecommendRequest(
        collection=collection, k=K, user=common_pb2.UserSide(query_vector=query)
    )
