"""Vision checkpoints of transformers become graphs whose picture vector is the mean over cells."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoints import Folder

from itemlens_exporter import graph, hub_picture, parity_inputs, presets
from itemlens_exporter.errors import ExportError
from itemlens_exporter.parity import measure
from itemlens_server.engine import pictures
from itemlens_server.engine.manifest import PicturePreprocessing, Precision


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
    assert row.inputs >= 200

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
    assert np.unravel_index(int(difference.argmax()), (4, 4)) == (1, 3)


class TestPreprocessing:
    """preprocessor_config.json is followed: the pixels are those of transformers' own processor."""

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
        transformers = pytest.importorskip("transformers")
        normal = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
        processor = getattr(transformers, kind)(**said, **normal)
        processor.save_pretrained(tmp_path)
        pre = PicturePreprocessing(**hub_picture.read_preprocessing(tmp_path), grid_height=1, grid_width=1)
        for data in parity_inputs.pictures()[:6]:
            image = pictures.decode(data, 1_000_000)
            expected = processor(image, return_tensors="np")["pixel_values"][0]
            np.testing.assert_allclose(pictures.pixels(image, pre), expected, atol=1e-5)

    @pytest.mark.parametrize(
        "said",
        [
            {"do_rescale": False},
            {"rescale_factor": 1.0},
            {"resample": 0},
            {"size": {"longest_edge": 64}},
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
        with pytest.raises(ExportError, match="how its pictures are prepared"):
            hub_picture.load(str(folder), [])

    def test_damaged_is_refused(self, tiny_picture: Folder) -> None:
        folder = tiny_picture("ViT")
        (folder / "preprocessor_config.json").write_text("{")
        with pytest.raises(ExportError, match="damaged"):
            hub_picture.load(str(folder), [])

    def test_a_size_the_model_does_not_take(self, tiny_picture: Folder) -> None:
        folder = tiny_picture("ViT", size={"height": 32, "width": 32})
        with pytest.raises(ExportError, match="does not take"):
            hub_picture.load(str(folder), [])


def test_a_text_checkpoint_is_refused(tiny_text: Folder) -> None:
    with pytest.raises(ExportError, match="pictures need one of"):
        hub_picture.load(str(tiny_text()), [])


def test_an_unknown_name() -> None:
    with pytest.raises(ExportError, match="lite0"):
        presets.image("lite1")


def test_the_manifest_names_the_checkpoint_without_its_place(tiny_picture: Folder) -> None:
    source = hub_picture.load(str(tiny_picture("ViT")), []).source
    assert json.dumps(source) == '{"checkpoint": "vit", "architecture": "vit"}'
