"""Hugging Face checkpoints, from a folder or from the hub: what texts and pictures have in common."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from itemlens_exporter.errors import ExportError
from itemlens_exporter.graph import quiet

# Weights in the formats of other frameworks, which a checkpoint on the hub often carries beside its own.
_NOT_NEEDED = ["*.h5", "*.msgpack", "*.ot", "*.onnx", "onnx/*", "openvino/*", "coreml/*", "*.gguf"]


def fetch(name: str, presets: list[str]) -> Path:
    """The folder of checkpoint `name`: a folder, or else the id of one on the hub ("org/name"),
    downloaded."""
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1:
        raise ExportError(
            f"{name!r} is no folder and no preset: give {', '.join(presets)}, a checkpoint's folder, "
            "or a hub id like org/name"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, ignore_patterns=_NOT_NEEDED))
    except Exception as error:
        raise ExportError(
            f"{name!r} is no folder here and could not be fetched from the hub ({error}): check the name and "
            "the network, or download the checkpoint and give its folder"
        ) from error


def load_config(folder: Path) -> PretrainedConfig:
    """config.json of a checkpoint."""
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder)
    except Exception as error:
        raise ExportError(
            f"{folder} holds no readable config.json ({error}): is it a checkpoint's folder?"
        ) from error
    return config


def load_model(folder: Path, config: PretrainedConfig) -> PreTrainedModel:
    """The encoder in float32. ExportError where its weights are damaged or incomplete.

    transformers itself fills weights that are missing with random numbers and goes on.
    """
    try:
        with quiet():
            model, loading_info = AutoModel.from_pretrained(
                folder,
                config=config,
                attn_implementation="eager",
                dtype=torch.float32,
                output_loading_info=True,
            )
    except Exception as error:
        raise ExportError(
            f"the weights in {folder} cannot be read ({error}): they are damaged or incomplete, "
            "get them again"
        ) from error
    # The pooler is a layer for sentence pairs, off the path to z, which many checkpoints lack.
    missing = sorted(key for key in loading_info["missing_keys"] if "pooler" not in key)
    if missing:
        raise ExportError(
            f"{folder} lacks {len(missing)} weights of a {config.model_type} encoder, {missing[0]} for one: "
            "get the checkpoint again, or another that holds the whole encoder"
        )
    encoder: PreTrainedModel = model.eval()
    return encoder


def source(name: str, config: PretrainedConfig) -> dict[str, str]:
    """For the manifest: where the weights come from, without the paths of this machine."""
    label = Path(name).resolve().name if Path(name).is_dir() else name
    return {"checkpoint": label, "architecture": config.model_type}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no such file. ExportError if it is damaged."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExportError(f"{path} is damaged ({error}): get it again") from error
    return content if isinstance(content, dict) else {"modules": content}
