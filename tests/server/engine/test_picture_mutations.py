"""Mutated files of all formats: each is read or refused, in bounded time and memory."""

from __future__ import annotations

import resource
import time

import numpy as np
import pytest

from itemlens_server.engine.manifest import PicturePreprocessing
from itemlens_server.engine.pictures import read
from itemlens_server.engine.pictures.errors import PictureError
from support import picture_files
from support.sizes import size

COUNT = size(150, 800)
SECONDS = 10  # CPU time for one file
MAX_PIXELS = 4_000_000
MEMORY = 256 << 20  # increase for all files

PRE = PicturePreprocessing(
    height=32, width=32, resize="shorter_side", resize_to=36, mean=(0.5,) * 3, std=(0.5,) * 3, grid_height=1,
    grid_width=1,
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_each_is_a_picture_or_refused() -> None:
    kinds = list(picture_files.kinds(96, 72).items())
    originals = [(name, make()) for name, make in kinds]
    for _, data in originals:
        read(data, PRE, MAX_PIXELS)
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    outcomes = {"read": 0, "refused": 0}
    for number in range(COUNT):
        name, original = originals[number % len(originals)]
        data = picture_files.mutated(np.random.default_rng(number), original)
        began = time.thread_time()
        try:
            picture = read(data, PRE, MAX_PIXELS)
        except PictureError:
            outcomes["refused"] += 1
        except Exception as error:
            pytest.fail(f"{name}, mutation {number}: {error!r}")
        else:
            assert (picture.image.mode, picture.image.size) == ("RGB", (32, 32))
            outcomes["read"] += 1
        assert time.thread_time() - began < SECONDS, f"{name}, mutation {number}"
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - start < MEMORY
    assert min(outcomes.values()) > COUNT // 10, outcomes
