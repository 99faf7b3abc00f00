"""Vision checkpoints of transformers are exported to graphs whose picture vector is the mean over the cells."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from itemlens_exporter import graph, hub_picture, parity_inputs, presets
from itemlens_exporter.errors import ExportError
from itemlens_exporter.parity import measure
from itemlens_server.engine import pictures
from itemlens_server.engine.manifest import PicturePreprocessing, Precision
from itemlens_server.engine.pictures.file import PictureFile
from itemlens_server.engine.pictures.fitting import normalise
from itemlens_server.engine.pictures.strips import Strips
from support.tiny_checkpoints import Folder


@pytest.mark.parametrize(
    ("family", "grid", "dim"),
    [("ViT", 4, 32), ("DeiT", 4, 32), ("Dinov2", 4, 32), ("ConvNext", 2, 24), ("ResNet", 2, 24)],
)
def test_the_graph_is_true_to_the_checkpoint(
    tiny_picture: Folder, tmp_path: Path, family: str, grid: int, dim: int
) -> None:
    checkpoint = hub_picture.load(str(tiny_picture(family)), [])
    pre = checkpoint.preprocessing
    assert (pre.grid_height, pre.grid_width, checkpoint.dim) == (grid, grid, dim)
    checkpoint.export(tmp_path / "model.onnx")
    row = measure(tmp_path / "model.onnx", Precision.FP32, checkpoint.samples()).parity
    assert row.passed, row
    assert row.inputs == len(parity_inputs.pictures())

    session = graph.session(tmp_path / "model.onnx")
    v, z = session.run(["v", "z"], {"pixels": checkpoint.prepare(parity_inputs.pictures()[:3])})
    assert z.shape == (3, grid, grid, dim)
    assert v.dtype == z.dtype == np.float32
    np.testing.assert_allclose(v, z.mean((1, 2)), atol=1e-4)


def test_a_cell_stands_for_its_place(tiny_picture: Folder) -> None:
    checkpoint = hub_picture.load(str(tiny_picture("ViT")), [])
    torch = pytest.importorskip("torch")
    changed = torch.zeros(2, 3, 64, 64)
    changed[1, :, 16:32, 48:64] = 3  # row 1, column 3
    with torch.inference_mode():
        z = checkpoint.cells(changed)
    difference = (z[1] - z[0]).square().sum(-1)
    assert divmod(int(difference.argmax()), 4) == (1, 3)


@cache
def some_pictures() -> list[bytes]:
    return parity_inputs.pictures()[:6]


class TestPreprocessing:
    """preprocessor_config.json is followed: the pixels equal those of transformers' processor."""

    CASES = (
        ("ViTImageProcessor", {"size": {"height": 64, "width": 64}, "resample": 2}),
        ("ViTImageProcessor", {"size": {"height": 64, "width": 64}, "resample": 3}),
        (
            "BitImageProcessor",
            {
                "size": {"shortest_edge": 72},
                "do_center_crop": True,
                "crop_size": {"height": 64, "width": 64},
                "resample": 3,
            },
        ),
        ("ConvNextImageProcessor", {"size": {"shortest_edge": 64}, "crop_pct": 0.875, "resample": 3}),
        ("ConvNextImageProcessor", {"size": {"shortest_edge": 384}, "crop_pct": 0.875, "resample": 3}),
    )

    @pytest.mark.parametrize(("kind", "said"), CASES)
    def test_like_transformers(self, tmp_path: Path, kind: str, said: dict[str, object]) -> None:
        normal = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
        getattr(transformers, kind)(**said, **normal).save_pretrained(tmp_path)
        self.check(tmp_path, kind, hub_picture.read_preprocessing(tmp_path))

    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("BitImageProcessor", {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}),
            ("BitImageProcessor", {"size": 72, "crop_size": 64, "resample": 2}),
            ("ViTImageProcessor", {"size": 64}),
            (
                "ViTImageProcessor",
                {"image_mean": 0.5, "image_std": 0.25, "do_center_crop": True, "crop_size": 32},
            ),
            ("ViTImageProcessor", {"do_normalize": False}),
            ("ConvNextImageProcessor", {"size": 64, "crop_pct": 0.8}),
            ("ConvNextImageProcessor", {"size": 64, "crop_pct": None}),
        ],
    )
    def test_as_it_is_written_by_hand(self, tmp_path: Path, kind: str, said: dict[str, object]) -> None:
        """Missing keys, null, and a number for a size are read as transformers reads them."""
        normal = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
        written = {"image_processor_type": kind, **normal, **said}
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(written))
        self.check(tmp_path, kind, hub_picture.read_preprocessing(tmp_path))

    @pytest.mark.parametrize(
        ("named", "architecture", "resample"),
        [
            ({"feature_extractor_type": "ViTFeatureExtractor"}, "", "bilinear"),
            ({"image_processor_type": "BitImageProcessorFast", "do_center_crop": False}, "vit", "bicubic"),
            ({}, "vit", "bilinear"),
            ({"do_center_crop": False}, "dinov2", "bicubic"),
        ],
    )
    def test_the_class_gives_what_is_left_out(
        self, tmp_path: Path, named: dict[str, object], architecture: str, resample: str
    ) -> None:
        said = {"size": {"height": 64, "width": 64}, "image_mean": 0.5, "image_std": 0.5, **named}
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
        assert hub_picture.read_preprocessing(tmp_path, architecture)["resample"] == resample

    def check(self, folder: Path, kind: str, read: dict[str, Any]) -> None:
        """The pixels equal those of transformers' processor."""
        processor = getattr(transformers, kind).from_pretrained(folder)
        pre = PicturePreprocessing(**read, grid_height=1, grid_width=1)
        for data in some_pictures():
            image = Strips(PictureFile(data, 1_000_000).load()).whole((255, 255, 255))
            expected = processor(image, return_tensors="np")["pixel_values"][0]
            pixels = normalise(pictures.read(data, pre, 1_000_000).image, pre)
            np.testing.assert_allclose(pixels, expected, atol=1e-5)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("image_mean", None),
            ("image_mean", "grey"),
            ("image_mean", [0.5, 0.5]),
            ("image_mean", [0.5, 0.5, True]),
            ("image_std", [0.5, 0, 0.5]),
            ("image_std", {"red": 1}),
            ("resample", None),
            ("resample", [3]),
            ("resample", "bicubic"),
            ("rescale_factor", "1/255"),
            ("do_rescale", "yes"),
            ("do_normalize", 1),
            ("do_resize", False),
            ("do_resize", None),
            ("size", "224"),
            ("size", [64]),
            ("size", {"height": 64}),
            ("size", {"height": -1, "width": 64}),
            ("size", {"height": "64", "width": "64"}),
            ("image_processor_type", "PixtralImageProcessor"),
            ("image_processor_type", 5),
        ],
    )
    def test_an_invalid_value_is_named(self, tmp_path: Path, key: str, value: object) -> None:
        said = {
            "image_processor_type": "ViTImageProcessor", "size": {"height": 64, "width": 64}, "resample": 3,
            "image_mean": 0.5, "image_std": 0.5, key: value,
        }  # fmt: skip
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
        with pytest.raises(ExportError, match=rf"preprocessor_config\.json: .*{key}"):
            hub_picture.read_preprocessing(tmp_path)

    @pytest.mark.parametrize("said", [{"crop_pct": 0}, {"crop_pct": "7/8"}, {"crop_pct": -1}])
    def test_an_impossible_share_is_refused(self, tmp_path: Path, said: dict[str, object]) -> None:
        written = {
            "image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 64},
            "image_mean": 0.5, "image_std": 0.5, **said,
        }  # fmt: skip
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(written))
        with pytest.raises(ExportError, match="crop_pct"):
            hub_picture.read_preprocessing(tmp_path)

    @pytest.mark.parametrize(
        "said",
        [
            {"do_rescale": False},
            {"rescale_factor": 1.0},
            {"resample": 0},
            {"size": {"longest_edge": 64}},
            {"image_processor_type": "BitImageProcessor", "size": 64, "do_center_crop": None},
            {"image_processor_type": "DeiTImageProcessor", "size": 72, "crop_size": 64},
            {"size": {"shortest_edge": 64}, "do_center_crop": True, "crop_size": 80},
        ],
    )
    def test_what_the_manifest_cannot_say_is_refused(
        self, tiny_picture: Folder, said: dict[str, object]
    ) -> None:
        with pytest.raises(ExportError, match="supported"):
            hub_picture.load(str(tiny_picture("ViT", **said)), [])

    def test_none_at_all_is_refused(self, tiny_picture: Folder) -> None:
        folder = tiny_picture("ViT")
        (folder / "preprocessor_config.json").unlink()
        with pytest.raises(ExportError, match="how pictures are prepared"):
            hub_picture.load(str(folder), [])

    def test_damaged_is_refused(self, tiny_picture: Folder) -> None:
        folder = tiny_picture("ViT")
        (folder / "preprocessor_config.json").write_text("{")
        with pytest.raises(ExportError, match="damaged"):
            hub_picture.load(str(folder), [])

    def test_patches_that_are_not_square_are_refused(self, tiny_picture: Folder) -> None:
        folder = tiny_picture("ViT")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"patch_size": [16, 8]}))
        with pytest.raises(ExportError, match=r"config\.json: patch_size is \[16, 8\]"):
            hub_picture.load(str(folder), [])

    def test_a_size_the_model_does_not_take(self, tiny_picture: Folder) -> None:
        folder = tiny_picture("ViT", size={"height": 32, "width": 32})
        with pytest.raises(ExportError, match="does not take"):
            hub_picture.load(str(folder), [])


def test_the_ground_of_transparent_pictures_is_chosen(tiny_picture: Folder) -> None:
    folder = str(tiny_picture("ViT"))
    assert presets.image(folder).preprocessing.alpha_background == (255, 255, 255)
    black = presets.image(folder, ground=(0, 0, 0))
    assert black.preprocessing.alpha_background == (0, 0, 0)


def test_a_text_checkpoint_is_refused(tiny_text: Folder) -> None:
    with pytest.raises(ExportError, match="pictures need one of"):
        hub_picture.load(str(tiny_text()), [])


def test_an_unknown_name() -> None:
    with pytest.raises(ExportError, match="lite0"):
        presets.image("lite1")


def test_the_manifest_names_the_checkpoint_without_its_path(tiny_picture: Folder) -> None:
    source = hub_picture.load(str(tiny_picture("ViT")), []).source
    assert json.dumps(source) == '{"checkpoint": "vit", "architecture": "vit"}'
