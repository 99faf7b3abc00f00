"""Loading of Hugging Face checkpoints from a folder or the hub, shared by texts and pictures."""

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

# Weights in the formats of other frameworks, which a checkpoint on the hub often includes.
_NOT_NEEDED = ["*.h5", "*.msgpack", "*.ot", "*.onnx", "onnx/*", "openvino/*", "coreml/*", "*.gguf"]


def fetch(name: str, presets: list[str]) -> Path:
    """Return the folder of checkpoint `name`: a folder, or the id of a checkpoint on the hub ("org/name"), which is
    downloaded."""
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1:
        raise ExportError(
            f"{name!r} is neither a folder nor a preset: give {', '.join(presets)}, a checkpoint's folder, "
            "or a hub id like org/name"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, ignore_patterns=_NOT_NEEDED))
    except Exception as error:
        raise ExportError(
            f"{name!r} is not a local folder and could not be fetched from the hub ({error}): check the name and "
            "the network, or download the checkpoint and give its folder"
        ) from error


def load_config(folder: Path) -> PretrainedConfig:
    """Return config.json of a checkpoint. ExportError if it is missing or cannot be read."""
    said = read_json(folder / "config.json")
    if not said.there:
        raise ExportError(f"{folder} does not contain config.json: give a checkpoint's folder")
    architecture = said.text("model_type")
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder)
    except Exception as error:
        raise ExportError(
            f"{said.path}: transformers {transformers.__version__} cannot read it, architecture "
            f"{architecture!r} ({error}): download it again, or use a checkpoint of another architecture"
        ) from error
    return config


def load_model(folder: Path, config: PretrainedConfig) -> PreTrainedModel:
    """Return the encoder in float32. ExportError if its weights are damaged or incomplete.

    transformers itself fills missing weights with random numbers.
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
            f"the model in {folder} cannot be loaded ({error}): the weights are damaged or incomplete, or do not match "
            "config.json; download both again"
        ) from error
    # Many checkpoints lack the pooler, a layer for sentence pairs. z does not depend on it.
    missing = sorted(key for key in loading_info["missing_keys"] if "pooler" not in key)
    if missing:
        raise ExportError(
            f"{folder} lacks {len(missing)} weights of a {config.model_type} encoder, such as {missing[0]}: "
            "download the checkpoint again, or use one with the complete encoder"
        )
    encoder: PreTrainedModel = model.eval()
    return encoder


def source(name: str, config: PretrainedConfig) -> dict[str, str]:
    """Return the origin of the weights for the manifest, without local paths."""
    label = Path(name).resolve().name if Path(name).is_dir() else name
    return {"checkpoint": label, "architecture": config.model_type}


@dataclass(frozen=True)
class JsonFile:
    """A JSON object of a checkpoint. Each value is read with the type that it must have; null counts as missing.

    there:  whether the file exists; if not, all values are missing
    within: path of a nested object in the file, such as "size."
    """

    path: Path
    content: Mapping[str, Any]
    there: bool = True
    within: str = ""

    def text(self, key: str, default: str = "") -> str:
        """Return a string."""
        return self._value(key, default, str, "a string")

    def flag(self, key: str, default: bool) -> bool:
        """Return a boolean."""
        return self._value(key, default, bool, "true or false")

    def number(self, key: str, default: float) -> float:
        """Return a finite number."""
        value = self.content.get(key)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(key, "a number")
        return float(value)

    def length(self, key: str, default: int | None = None) -> int | None:
        """Return a whole number above 0."""
        value = self.content.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.error(key, "a whole number above 0")
        return value

    def object(self, key: str) -> JsonFile:
        """Return an object, empty if it is missing."""
        content = self._value(key, {}, dict, "an object")
        return JsonFile(self.path, content, within=f"{self.within}{key}.")

    def error(self, key: str, wanted: str) -> ExportError:
        """Return the error for a wrong value of `key`."""
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
    """Return a JSON object, empty if the file does not exist. ExportError if it is damaged or not an object."""
    content = read_json_value(path)
    if content is None:
        return JsonFile(path, {}, there=False)
    if not isinstance(content, dict):
        raise ExportError(f"{path} is not a JSON object: download it again")
    return JsonFile(path, content)


def read_json_value(path: Path) -> Any:
    """Return a JSON value, None if the file does not exist. ExportError if it is damaged."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(f"{path} is damaged ({error}): download it again") from error
