"""Picture checkpoints of transformers: vision transformers by their patches, convolutional networks by their
map."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import nn
from transformers import PreTrainedModel

from itemlens_exporter import hub
from itemlens_exporter.errors import ExportError
from itemlens_exporter.graph import optimum_config
from itemlens_exporter.picture import PictureCheckpoint
from itemlens_server.engine.manifest import PicturePreprocessing

PATCHES = ("vit", "deit", "dinov2", "vit_msn")
MAPS = ("convnext", "convnextv2", "resnet", "regnet")
_RESAMPLE: dict[int, Literal["bilinear", "bicubic", "lanczos"]] = {
    Image.Resampling.BILINEAR: "bilinear",
    Image.Resampling.BICUBIC: "bicubic",
    Image.Resampling.LANCZOS: "lanczos",
}
# From this size on, ConvNeXt's processor squeezes the picture into the square and crops nothing.
_CONVNEXT_WHOLE = 384


class Cells(nn.Module):
    """pixels float32 [B, 3, H, W] -> the last layer as a grid [B, grid_h, grid_w, dim]."""

    def __init__(self, model: PreTrainedModel, height: int, width: int) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self._map = model.config.model_type in MAPS
        patch = 1 if self._map else int(model.config.patch_size)
        self.grid = (height // patch, width // patch)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        last: torch.Tensor = self.model(pixel_values=pixels).last_hidden_state
        if self._map:
            return last.permute(0, 2, 3, 1)
        rows, columns = self.grid
        # Class, distillation and register tokens stand before the patches.
        return last[:, last.shape[1] - rows * columns :].reshape(-1, rows, columns, last.shape[2])


def load(name: str, presets: list[str]) -> PictureCheckpoint:
    """Load a checkpoint from a folder or the hub. ExportError: not one of PATCHES or MAPS, damaged, or
    prepared in a way that the manifest cannot say."""
    folder = hub.fetch(name, presets)
    config = hub.load_config(folder)
    if config.model_type not in PATCHES + MAPS:
        raise ExportError(
            f"{name} is of type {config.model_type!r}: pictures need one of {', '.join(PATCHES + MAPS)}"
        )
    geometry = read_preprocessing(folder)
    model = hub.load_model(folder, config)
    cells = Cells(model, geometry["height"], geometry["width"]).eval()
    try:
        with torch.inference_mode():
            _, rows, columns, dim = cells(torch.zeros(1, 3, geometry["height"], geometry["width"])).shape
    except (RuntimeError, ValueError) as error:
        raise ExportError(
            f"{name} does not take the pictures its preprocessor_config.json makes: {error}"
        ) from error
    return PictureCheckpoint(
        cells=cells,
        preprocessing=PicturePreprocessing(**geometry, grid_height=rows, grid_width=columns),
        dim=dim,
        source=hub.source(name, config),
        onnx_config=optimum_config(model),
        transformer=config.model_type in PATCHES,
    )


def read_preprocessing(folder: Path) -> dict[str, Any]:
    """preprocessor_config.json as the fields of PicturePreprocessing, without the grid."""
    said = hub.read_json(folder / "preprocessor_config.json")
    if not said:
        raise ExportError(
            f"{folder} has no preprocessor_config.json: how its pictures are prepared is not known"
        )
    if not said.get("do_rescale", True) or abs(said.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-3:
        raise ExportError(f"{folder}: pictures that are not scaled by 1/255 are not supported")
    resample = _RESAMPLE.get(said.get("resample", Image.Resampling.BILINEAR))
    if resample is None:
        raise ExportError(
            f"{folder}: resample {said['resample']} is not supported: bilinear, bicubic or lanczos is"
        )
    normalised = said.get("do_normalize", True)
    return {
        **_geometry(folder, said),
        "resample": resample,
        "mean": tuple(said["image_mean"]) if normalised else (0.0, 0.0, 0.0),
        "std": tuple(said["image_std"]) if normalised else (1.0, 1.0, 1.0),
    }


def _geometry(folder: Path, said: dict[str, Any]) -> dict[str, Any]:
    crop = _sides(said.get("crop_size")) if said.get("do_center_crop") else None
    size = said.get("size", {})
    shorter = size.get("shortest_edge") if isinstance(size, dict) else (size if crop else None)
    if shorter is None:
        sides = _sides(size)
        if sides and crop in (None, sides):
            return {"height": sides[0], "width": sides[1], "resize": "stretch"}
    elif crop:
        if shorter >= max(crop):
            return {"height": crop[0], "width": crop[1], "resize": "shorter_side", "resize_to": shorter}
    elif "ConvNext" in said.get("image_processor_type", said.get("feature_extractor_type", "")):
        if shorter >= _CONVNEXT_WHOLE:
            return {"height": shorter, "width": shorter, "resize": "stretch"}
        resize_to = int(shorter / said.get("crop_pct", 224 / 256))
        return {"height": shorter, "width": shorter, "resize": "shorter_side", "resize_to": resize_to}
    raise ExportError(
        f"{folder}: size {size} with crop {crop} is not supported: a fixed height and width is, or a "
        "shorter side and a crop from the centre within it"
    )


def _sides(said: Any) -> tuple[int, int] | None:
    """Height and width from the two ways they are written."""
    if isinstance(said, int):
        return said, said
    if isinstance(said, dict) and "height" in said:
        return int(said["height"]), int(said["width"])
    return None
