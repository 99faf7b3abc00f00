"""Hugging Face checkpoints, from a folder or from the hub: what texts and pictures have in common."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import transformers
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from itemlens_exporter.errors import ExportError
from itemlens_exporter.graph import quiet

Value = TypeVar("Value")

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
    said = read_json(folder / "config.json")
    if not said.there:
        raise ExportError(f"{folder} holds no config.json: is it a checkpoint's folder?")
    architecture = said.text("model_type")
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder)
    except Exception as error:
        raise ExportError(
            f"{said.path}: transformers {transformers.__version__} cannot read it, architecture "
            f"{architecture!r} ({error}): get it again, or take a checkpoint of another architecture"
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
            f"no model can be made of config.json and the weights in {folder} ({error}): the weights are damaged or "
            "incomplete, or of another model; get both again"
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


@dataclass(frozen=True)
class JsonFile:
    """A JSON object of a checkpoint. Each value is read with the type that it must have; null counts as missing.

    there:  whether there is such a file; if not, everything is missing
    within: where in the file an object is that is part of another, as "size."
    """

    path: Path
    content: Mapping[str, Any]
    there: bool = True
    within: str = ""

    def text(self, key: str, default: str = "") -> str:
        """A string."""
        return self._value(key, default, str, "a string")

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        return self._value(key, default, bool, "true or false")

    def number(self, key: str, default: float) -> float:
        """A finite number."""
        value = self.content.get(key)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(key, "a number")
        return float(value)

    def length(self, key: str, default: int | None = None) -> int | None:
        """A whole number above 0."""
        value = self.content.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.error(key, "a whole number above 0")
        return value

    def object(self, key: str) -> JsonFile:
        """An object; empty where it is missing."""
        content = self._value(key, {}, dict, "an object")
        return JsonFile(self.path, content, within=f"{self.within}{key}.")

    def error(self, key: str, wanted: str) -> ExportError:
        """What to raise where the value of `key` is not what it must be."""
        name = f"{self.within}{key}"
        return ExportError(
            f"{self.path}: {name} is {self.content.get(key)!r}, not {wanted}: correct the file"
        )

    def _value(self, key: str, default: Value, kind: type[Value], wanted: str) -> Value:
        value = self.content.get(key)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise self.error(key, wanted)
        return value


def read_json(path: Path) -> JsonFile:
    """A JSON object; empty where there is no such file. ExportError if it is damaged, or something else."""
    content = read_json_value(path)
    if content is None:
        return JsonFile(path, {}, there=False)
    if not isinstance(content, dict):
        raise ExportError(f"{path} holds no JSON object: get it again")
    return JsonFile(path, content)


def read_json_value(path: Path) -> Any:
    """A JSON value; None where there is no such file. ExportError if it is damaged."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(f"{path} is damaged ({error}): get it again") from error
