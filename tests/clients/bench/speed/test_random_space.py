"""Catalogues in clusters with random encoders, which are as real as others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from itemlens_bench.speed import random_space
from itemlens_server.engine.space_list import SpaceList
from support.spaces import open_repository


def test_a_space_of_random_encoders_is_a_space(tmp_path: Path) -> None:
    models = tmp_path / "models"
    space = random_space.write(models)
    found = SpaceList.read(models)
    assert (list(found.spaces), found.damaged) == ([space], {})
    repository = open_repository(models)
    try:
        assert repository.load(space).manifest.space_id == space
    finally:
        repository.close()


def test_items_are_in_clusters_half_without_pictures_and_a_quarter_with_equal_content() -> None:
    made = list(random_space.clustered_items(4000, seed=1))
    assert len({item.item_id for item in made}) == len(made)
    copies = Counter(item.text for item in made)
    equal = sum(count for count in copies.values() if count > 1) / len(made)
    assert abs(equal - random_space.EQUAL) < 0.05
    assert max(copies.values()) > random_space.COPIES / 2
    assert abs(np.mean([item.picture is None for item in made]) - random_space.PICTURED) < 0.1
    assert len({item.attributes["category"] for item in made}) > 0.9 * random_space.KINDS


def test_numbers_are_spread_evenly() -> None:
    made = list(random_space.clustered_items(4000, seed=1))
    for name in (random_space.SPREAD, random_space.LIFT):
        values = [float(item.attributes[name]) for item in made]
        assert np.histogram(values, 4, (0, 1))[0].min() > 900


def test_equal_seeds_make_equal_items() -> None:
    first, second = (list(random_space.clustered_items(50, seed=3)) for _ in range(2))
    assert first == second
