"""Picture checkpoints of transformers. The cells of a vision transformer are its patches; those of a convolutional
network are the positions of its feature map."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from PIL import Image
from torch import nn
from transformers import PreTrainedModel
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

from itemlens_exporter import hub
from itemlens_exporter.errors import ExportError
from itemlens_exporter.graph import optimum_config, quiet
from itemlens_exporter.picture import PictureCheckpoint
from itemlens_server.engine.manifest import PicturePreprocessing

PATCHES = ("vit", "deit", "dinov2", "vit_msn")
MAPS = ("convnext", "convnextv2", "resnet", "regnet")
# The other processors ignore do_center_crop.
_CROPPING = ("DeiTImageProcessor", "BitImageProcessor", "CLIPImageProcessor")
PROCESSORS = ("ViTImageProcessor", "ConvNextImageProcessor", *_CROPPING)
_RESAMPLE: dict[int, Literal["bilinear", "bicubic", "lanczos"]] = {
    Image.Resampling.BILINEAR: "bilinear",
    Image.Resampling.BICUBIC: "bicubic",
    Image.Resampling.LANCZOS: "lanczos",
}
# From this size on, ConvNeXt's processor stretches the picture to the square instead of cropping it.
_CONVNEXT_WHOLE = 384


class Cells(nn.Module):
    """pixels float32 [B, 3, H, W] -> the last layer as a grid [B, grid_h, grid_w, dim]."""

    def __init__(self, model: PreTrainedModel, height: int, width: int) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self._map = model.config.model_type in MAPS
        patch = 1 if self._map else model.config.patch_size
        self.grid = (height // patch, width // patch)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        last: torch.Tensor = self.model(pixel_values=pixels).last_hidden_state
        if self._map:
            return last.permute(0, 2, 3, 1)
        rows, columns = self.grid
        # Class, distillation and register tokens come before the patches.
        return last[:, last.shape[1] - rows * columns :].reshape(-1, rows, columns, last.shape[2])


def load(name: str, presets: list[str]) -> PictureCheckpoint:
    """Load a checkpoint from a folder or the hub. ExportError: it is not one of PATCHES or MAPS, it is damaged, or the
    manifest cannot express its preprocessing."""
    folder = hub.fetch(name, presets)
    config = hub.load_config(folder)
    if config.model_type not in PATCHES + MAPS:
        raise ExportError(
            f"{name} has type {config.model_type!r}: pictures need one of {', '.join(PATCHES + MAPS)}"
        )
    geometry = read_preprocessing(folder, config.model_type)
    patch = getattr(config, "patch_size", 1)
    if config.model_type in PATCHES and (not isinstance(patch, int) or patch < 1):
        raise ExportError(
            f"{folder / 'config.json'}: patch_size is {patch!r}: only a whole number (square patches) is supported"
        )
    model = hub.load_model(folder, config)
    cells = Cells(model, geometry["height"], geometry["width"]).eval()
    try:
        with torch.inference_mode():
            _, rows, columns, dim = cells(torch.zeros(1, 3, geometry["height"], geometry["width"])).shape
    except (RuntimeError, ValueError, TypeError) as error:
        raise ExportError(
            f"{name} does not take the pictures that its preprocessor_config.json produces: {error}"
        ) from error
    return PictureCheckpoint(
        cells=cells,
        preprocessing=PicturePreprocessing(**geometry, grid_height=rows, grid_width=columns),
        dim=dim,
        source=hub.source(name, config),
        onnx_config=optimum_config(model),
        transformer=config.model_type in PATCHES,
    )


def read_preprocessing(folder: Path, architecture: str = "") -> dict[str, Any]:
    """Return preprocessor_config.json as the fields of PicturePreprocessing, without the grid.

    Missing values take the defaults of the processor's class, or of the `architecture`'s class. The mean and the
    standard deviation have no default, because they belong to the weights.
    """
    path = folder / "preprocessor_config.json"
    written = hub.read_json(path)
    if not written.there:
        raise ExportError(
            f"{path} is missing: it defines how pictures are prepared; download the checkpoint again"
        )
    processor = _processor(written, architecture)
    for key in ("size", "crop_size"):
        if not isinstance(written.content.get(key), int | dict | None):
            raise written.error(key, "a number or an object")
    try:
        with quiet():
            understood = getattr(transformers, processor).from_pretrained(folder).to_dict()
    except Exception as error:
        raise ExportError(f"{path}: {processor} cannot read it ({error}): correct the file") from error
    said = hub.JsonFile(path, understood)
    if not said.flag("do_resize", False):
        raise ExportError(
            f"{path}: do_resize false is not supported: pictures of any size must be resized to that of the graph"
        )
    rescaled = said.flag("do_rescale", False) and said.number("rescale_factor", 1 / 255)
    if abs(rescaled * 255 - 1) > 1e-3:
        raise ExportError(
            f"{path}: do_rescale and rescale_factor are not supported unless they rescale by 1/255"
        )
    resample = said.content.get("resample")
    if resample not in list(_RESAMPLE):
        raise ExportError(
            f"{path}: resample {resample!r} is not supported: only 1 (lanczos), 2 (bilinear) and 3 (bicubic) are"
        )
    normalised = said.flag("do_normalize", False)
    return {
        **_geometry(said, processor),
        "resample": _RESAMPLE[resample],
        "mean": _by_colour(written, "image_mean") if normalised else (0.0, 0.0, 0.0),
        "std": _by_colour(written, "image_std") if normalised else (1.0, 1.0, 1.0),
    }


def _processor(written: hub.JsonFile, architecture: str) -> str:
    """Return the name of the processor's class."""
    named = written.text("image_processor_type") or written.text("feature_extractor_type")
    processor: str = re.sub("(ImageProcessor|FeatureExtractor)(Fast)?$", "ImageProcessor", named)
    if not named and architecture in IMAGE_PROCESSOR_MAPPING_NAMES:
        processor = IMAGE_PROCESSOR_MAPPING_NAMES[architecture][0] or ""
    if processor not in PROCESSORS:
        raise ExportError(
            f"{written.path}: image_processor_type {named or 'missing'} is not supported: use {', '.join(PROCESSORS)}"
        )
    return processor


def _by_colour(said: hub.JsonFile, key: str) -> tuple[float, float, float]:
    """Return the numbers for red, green and blue. One number stands for all three."""
    value = said.content.get(key)
    values = value if isinstance(value, list) else [value] * 3
    if len(values) != 3 or not all(_is_number(v) for v in values) or (key == "image_std" and 0 in values):
        raise said.error(key, "a number, or one for each of red, green and blue")
    red, green, blue = map(float, values)
    return red, green, blue


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _geometry(said: hub.JsonFile, processor: str) -> dict[str, Any]:
    size, crop = said.object("size"), None
    if processor in _CROPPING and said.flag("do_center_crop", False):
        crop = _sides(said.object("crop_size"))
    shorter = size.length("shortest_edge")
    if shorter is None:
        sides = _sides(size)
        if sides and crop in (None, sides):
            return {"height": sides[0], "width": sides[1], "resize": "stretch"}
    elif crop:
        if shorter >= max(crop):
            return {"height": crop[0], "width": crop[1], "resize": "shorter_side", "resize_to": shorter}
    elif processor == "ConvNextImageProcessor":
        if shorter >= _CONVNEXT_WHOLE:
            return {"height": shorter, "width": shorter, "resize": "stretch"}
        share = said.number("crop_pct", 224 / 256)
        if not 0 < share <= 1:
            raise said.error("crop_pct", "a share above 0, at most 1")
        resize_to = int(shorter / share)
        return {"height": shorter, "width": shorter, "resize": "shorter_side", "resize_to": resize_to}
    raise ExportError(
        f"{said.path}: size {size.content} with crop {crop} is not supported: only a fixed height and width, or a "
        "shorter side with a smaller crop from the centre, are"
    )


def _sides(said: hub.JsonFile) -> tuple[int, int] | None:
    height, width = said.length("height"), said.length("width")
    return (height, width) if height and width else None
