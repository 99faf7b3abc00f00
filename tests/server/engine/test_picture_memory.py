"""Memory for decoding a picture: the estimate from the header is never below the measured peak."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from itemlens_server.engine.manifest import PicturePreprocessing
from itemlens_server.engine.pictures.file import PictureFile
from itemlens_server.engine.pictures.fitting import working_bytes
from support import picture_files

# One separate process measures the peak of each picture: `5` resets the peak to the resident size.
MEASURE = """
import gc, json, pathlib, re, sys
from itemlens_server.engine.manifest import PicturePreprocessing
from itemlens_server.engine.pictures import read

def status(name):
    text = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(name + r":\\s+(\\d+)", text).group(1)) * 1024

pre = PicturePreprocessing.model_validate_json(sys.argv[1])
for path in sys.argv[2:]:
    data = pathlib.Path(path).read_bytes()
    small = pathlib.Path(path + ".small").read_bytes()
    read(small, pre, 1 << 40)  # loads the libraries of this kind
    gc.collect()
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    read(data, pre, 1 << 40)
    print(json.dumps(status("VmHWM") - before))
"""
NOISE = 3 << 20  # of the resident size, bytes
STRETCH = PicturePreprocessing(
    height=384, width=384, resize="stretch", mean=(0.5,) * 3, std=(0.5,) * 3, grid_height=1, grid_width=1
)
CROP = STRETCH.model_copy(update={"resize": "shorter_side", "resize_to": 420})


def estimate(data: bytes, pre: PicturePreprocessing) -> int:
    file = PictureFile(data, 1 << 40)
    return file.memory_bytes + working_bytes(file.size, pre)


def peaks(
    files: dict[str, bytes], small: dict[str, bytes], pre: PicturePreprocessing, folder: Path
) -> dict[str, int]:
    paths = []
    for number, (name, data) in enumerate(files.items()):
        paths.append(folder / str(number))
        paths[-1].write_bytes(data)
        paths[-1].with_name(f"{number}.small").write_bytes(small[name])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE, pre.model_dump_json(), *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        # Freed memory returns to the system at once, so that the next picture's memory is measured completely.
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"},
    )
    return dict(zip(files, map(json.loads, done.stdout.split()), strict=True))


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="NOT RUN: the peak of memory is read from Linux"
)
class TestEstimate:
    def test_it_bounds_the_measured_peak_of_every_kind(self, tmp_path: Path) -> None:
        """Check the total, and the increase for a larger picture, where the fixed part cannot hide a wrong number of
        bytes per pixel."""
        smallest, medium, large = (
            {name: make() for name, make in picture_files.kinds(*size).items()}
            for size in ((64, 48), (600, 400), (1400, 1200))
        )
        first, second = (peaks(files, smallest, STRETCH, tmp_path) for files in (medium, large))
        for name, data in large.items():
            assert second[name] <= estimate(data, STRETCH), name
            grown = estimate(data, STRETCH) - estimate(medium[name], STRETCH)
            assert second[name] - first[name] <= grown + NOISE, name

    def test_it_bounds_the_peak_of_long_pictures(self, tmp_path: Path) -> None:
        sizes = {"tall": (200, 15_000), "wide": (15_000, 200), "strip": (60, 60_000)}
        files = {n: picture_files.encoded(Image.new("RGBA", size, (9, 9, 9, 9))) for n, size in sizes.items()}
        small = dict.fromkeys(files, picture_files.encoded(Image.new("RGBA", (9, 9))))
        for pre in (STRETCH, CROP):
            for name, peak in peaks(files, small, pre, tmp_path).items():
                assert peak <= estimate(files[name], pre), name


def test_what_is_transparent_or_deep_is_not_copied() -> None:
    side = 6300
    for bytes_per_pixel, depth, colour in ((4, 8, 6), (2, 16, 0)):
        data = picture_files.claiming(side, side, depth, colour)
        assert estimate(data, CROP) < bytes_per_pixel * side * side + (32 << 20)
