"""Channels of the caller's own vectors: stored, searched, fused, explained, fitted and kept like texts and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import itemlens
from itemlens import (
    ChannelKind,
    ChannelWeight,
    Content,
    ExternalVector,
    FuseInput,
    Item,
    PartKind,
)
from support import spaces
from support.fitting import fit
from support.serving import Server, sample_items

DIMENSION, ITEMS = 16, 90
THEMES = list(spaces.THEMES)


def vector(values: Any, version: str = "1") -> ExternalVector:
    return ExternalVector(np.asarray(values, np.float32), version)


def tower(theme: str, seed: int) -> ExternalVector:
    """A vector near those of the other items of a theme."""
    centre = np.random.default_rng(THEMES.index(theme)).normal(size=DIMENSION)
    return vector(centre + 0.5 * np.random.default_rng(1000 + seed).normal(size=DIMENSION))


def catalogue() -> list[Item]:
    """The sample catalogue. Every third item has no vector, and every fourth has nothing but one."""
    items = []
    for n, (item, about) in enumerate(zip(sample_items(ITEMS), spaces.sample_items(ITEMS), strict=True)):
        own = {} if n % 3 == 0 else {"tower": tower(about.theme, n)}
        bare = Item(item.item_id, attributes=item.attributes) if own and n % 4 == 1 else item
        items.append(replace(bare, external=own))
    return items


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("external") / "models"
    folder.mkdir()
    spaces.build(folder, external={"tower": spaces.external(DIMENSION)})
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Server]:
    with Server(models, models.parent / "data") as running:
        yield running


@pytest.fixture(scope="module")
def shop(server: Server) -> Iterator[itemlens.Client]:
    with server.client(collection="shop") as client:
        client.create_collection("shop")
        client.upsert(catalogue()).raise_for_errors()
        yield client


def nearest(v: ExternalVector, k: int) -> list[str]:
    """Ids of the items with the largest cosines, by numpy."""
    own = {item.item_id: item.external["tower"] for item in catalogue() if item.external}
    matrix = np.stack([np.asarray(e.values) for e in own.values()])
    cosines = matrix @ np.asarray(v.values) / np.linalg.norm(matrix, axis=1)
    return [list(own)[n] for n in np.argsort(-cosines)[:k]]


def test_the_space_says_what_the_channel_takes(shop: itemlens.Client) -> None:
    space = shop.space()
    channel = next(c for c in space.channels if c.name == "tower")
    assert (channel.kind, channel.dimension, channel.version) == (ChannelKind.EXTERNAL, DIMENSION, "1")
    assert (channel.provider, space.first(ChannelKind.EXTERNAL)) == ("", "tower")
    [counted] = [e for e in shop.statistics().encoders if e.channel == "tower"]
    assert counted.inputs > 0 and counted.batches == 0


def test_a_vector_is_returned_as_it_was_sent(shop: itemlens.Client) -> None:
    sent = {item.item_id: item.external for item in catalogue()}
    for found in shop.get_items(list(sent), pictures=True):
        expected = sent[found.item.item_id]
        assert found.item.external.keys() == expected.keys()
        for name, own in expected.items():
            assert found.item.external[name].version == "1"
            np.testing.assert_array_equal(found.item.external[name].values, own.values)
    assert not next(iter(shop.get_items(["item-0001"]))).item.external


def test_a_query_finds_the_nearest(shop: itemlens.Client) -> None:
    asked = tower("kettle", 5000)
    answer = shop.recommend(external={"tower": asked}, k=10)
    assert [item.item_id for item in answer] == nearest(asked, 10)


def test_a_history_says_what_is_alike_by_the_vectors(shop: itemlens.Client) -> None:
    """Of items with nothing else, only the vectors can tell the theme."""
    bare = {i.item_id for i in catalogue() if i.external and i.text is None}
    themes = {i.item_id: i.theme for i in spaces.sample_items(ITEMS)}
    past = next(i for i in bare if themes[i] == "dress")
    best = [i.item_id for i in shop.recommend(liked=[past], k=ITEMS) if i.item_id in bare][:3]
    assert {themes[i] for i in best} == {"dress"}


def test_the_vector_is_one_exact_part(shop: itemlens.Client) -> None:
    asked: dict[str, Any] = {
        "external": {"tower": tower("shoe", 5001)}, "text": "red shoe", "liked": ["item-0001"],
    }  # fmt: skip
    ids = [item.item_id for item in shop.recommend(k=20, **asked)]
    for why in shop.explain(ids, sums=True, **asked):
        assert why.error is None and abs(why.residual) < 1e-4
        places = [p for p in why.by_place if p.kind is PartKind.VECTOR]
        whole = [p for p in why.by_channel if p.kind is PartKind.CHANNEL and p.channel == "tower"]
        own = [p for p in places if p.channel == "tower"]
        assert sum(p.value for p in own) == pytest.approx(
            sum(p.value for p in whole if not p.predicted), abs=1e-4
        )
        assert len(own) <= 1


def test_a_channel_weight_of_0_leaves_it_out(shop: itemlens.Client) -> None:
    asked: dict[str, Any] = {"external": {"tower": tower("shoe", 5001)}, "text": "red shoe"}
    without = shop.recommend(
        k=10,
        channel_weights={"tower": ChannelWeight(weight=0, threshold=0, predicted_threshold=0)},
        **asked,
    )
    words = shop.recommend(k=10, text="red shoe")
    assert [i.item_id for i in without] == [i.item_id for i in words]


def test_encode_and_fuse_take_it(shop: itemlens.Client) -> None:
    own = tower("tour", 1)
    [encoded] = shop.encode(contents=[Content("tower", vector=own)])
    assert encoded.vector is not None
    unit = np.asarray(own) / np.linalg.norm(np.asarray(own))
    np.testing.assert_allclose(encoded.vector.values, unit, atol=1e-6)
    by_content, by_vector = shop.fuse(
        [Item("x", external={"tower": own}), FuseInput(vectors=[encoded.vector])]
    )
    np.testing.assert_array_equal(np.asarray(by_content.vector), np.asarray(by_vector.vector))


@pytest.mark.parametrize("length", [1e-42, 1e-15, 100.0, 1e38])
def test_only_the_direction_counts(shop: itemlens.Client, length: float) -> None:
    asked = np.asarray(tower("kettle", 5003))
    scaled = vector(asked / np.abs(asked).max() * length)
    first, second = (shop.recommend(external={"tower": v}, k=10) for v in (vector(asked), scaled))
    # A float32 of 1e-42 has few digits.
    digits = 1e-2 if length < 1e-38 else 1e-5
    np.testing.assert_allclose([i.score for i in first], [i.score for i in second], atol=digits)


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        (vector([1.0] * DIMENSION, "2"), "version", "is of version '2', the channel takes version '1'"),
        (vector([1.0] * DIMENSION, ""), "version", "is of version ''"),
        (vector([1.0] * DIMENSION, "1\0"), "version", "channel takes version '1'"),
        (vector([1.0] * (DIMENSION - 1), "1\0abc"), "version", "channel takes version '1'"),
        (vector([1.0] * (DIMENSION - 1)), "data", f"60 bytes, the channel takes {DIMENSION} numbers"),
        (vector([]), "data", "0 bytes"),
        (vector([np.nan] * DIMENSION), "data", "NaN"),
        (vector([np.inf] + [0.0] * (DIMENSION - 1)), "data", "infinity"),
        (vector([0.0] * DIMENSION), "data", "no direction"),
    ],
    ids=str,
)
def test_a_bad_vector_is_refused_with_its_field(
    shop: itemlens.Client, given: ExternalVector, field: str, said: str
) -> None:
    with pytest.raises(itemlens.InvalidArgument) as query:
        shop.recommend(external={"tower": given})
    assert query.value.violations[0].field.startswith("user.query[0].")
    bad, good = shop.upsert([Item("bad", text="x", external={"tower": given}), Item("good", text="x")])
    assert good.error is None and isinstance(bad.error, itemlens.InvalidArgument)
    for error in (query.value, bad.error):
        assert said in error.message and error.violations[0].field.endswith(f"vector.{field}")
    assert isinstance(next(iter(shop.get_items(["bad"]))).error, itemlens.NotFound)
    shop.delete_items(["good"])


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ([Content("tower", text="red")], "channel 'tower' takes vectors; give `vector`"),
        ([Content("text", vector=vector([1.0]))], "channel 'text' takes texts; give `text`"),
        ([Content("nope", vector=vector([1.0]))], "no channel 'nope'"),
    ],
)
def test_a_content_of_another_kind_is_refused(
    shop: itemlens.Client, contents: list[Content], said: str
) -> None:
    [found] = shop.encode(contents=contents)
    assert isinstance(found.error, itemlens.InvalidArgument) and said in found.error.message


def test_a_merge_replaces_the_vector_and_nothing_else(shop: itemlens.Client) -> None:
    shop.upsert([Item("m", text="red shoe", external={"tower": vector(range(DIMENSION))})]).raise_for_errors()
    new = vector(range(1, DIMENSION + 1))
    shop.upsert([Item("m", external={"tower": new})], merge=True).raise_for_errors()
    [found] = shop.get_items(["m"], pictures=True)
    np.testing.assert_array_equal(found.item.external["tower"].values, new.values)
    assert found.item.texts == {"text": "red shoe"}
    shop.delete_items(["m"])


def test_what_was_acknowledged_is_there_after_a_crash(models: Path, tmp_path: Path) -> None:
    asked = tower("fund", 5002)
    with Server(models, tmp_path / "data") as server, server.client() as client:
        client.upsert(catalogue()).raise_for_errors()
        before = [(i.item_id, i.score) for i in client.recommend(external={"tower": asked}, k=20)]
        server.kill()
    with Server(models, tmp_path / "data") as server, server.client() as client:
        assert [(i.item_id, i.score) for i in client.recommend(external={"tower": asked}, k=20)] == before


def test_the_fit_weighs_it_by_what_users_choose(models: Path, tmp_path: Path) -> None:
    """Users take what is near by the vectors, of which texts and pictures say nothing."""
    rng = np.random.default_rng(3)
    numbers = range(400)
    groups = rng.integers(0, 8, len(numbers))
    centres = rng.normal(size=(8, DIMENSION))
    items = [
        Item(
            f"i{n}",
            text=f"a {'red' if n % 2 else 'blue'} thing {n}",
            external={
                "tower": vector(
                    10.0 ** rng.uniform(-1, 2) * (centres[groups[n]] + 0.4 * rng.normal(size=DIMENSION))
                )
            },
        )
        for n in numbers
    ]
    events = [
        itemlens.Event(f"u{u}", f"i{n}", "purchase", event_id=f"{u}-{n}")
        for u in range(120)
        for n in rng.permutation(np.flatnonzero(groups == u % 8))[:8].tolist()
    ]
    folder = tmp_path / "models"
    folder.mkdir()
    spaces.build(folder, external={"tower": spaces.external(DIMENSION)})
    with Server(folder, tmp_path / "data") as server, server.client() as client:
        client.upload(items).raise_for_errors()
        client.record_events(events).raise_for_errors()
        asked, past = vector(centres[5]), [f"i{n}" for n in np.flatnonzero(groups == 0)[:3]]
        plain = client.get_collection().space_id
        done = fit(folder, server.data, "--target", server.address, "--force")
        assert done.returncode == 0, done.stdout + done.stderr
        assert client.get_collection().space_id != plain
        answer = client.recommend(history=past, k=300, parts=True)
        assert sum(groups[int(i.item_id[1:])] == 0 for i in answer[:10]) >= 8
        # By default, what each channel says has the same spread over items.
        spread = {
            name: np.std([sum(p.value for p in i.parts if p.channel == name) for i in answer])
            for name in ("text", "tower")
        }
        assert spread["tower"] > 1.5 * spread["text"]
        [why] = client.explain([answer[0].item_id], history=past)
        assert abs(why.residual) < 1e-4
        found = client.recommend(external={"tower": asked}, k=10)
        assert sum(groups[int(i.item_id[1:])] == 5 for i in found) >= 9
        longer = client.recommend(external={"tower": vector(10 * np.asarray(asked))}, k=10)
        assert [i.item_id for i in longer] == [i.item_id for i in found]
