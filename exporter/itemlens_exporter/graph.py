"""torch module -> ONNX file, by optimum, and the passes over the file that every encoder shares."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from onnxruntime.transformers.onnx_model import OnnxModel
from optimum.exporters.onnx import OnnxConfig
from optimum.exporters.onnx.convert import export_pytorch
from optimum.exporters.tasks import TasksManager
from optimum.utils.normalized_config import NormalizedConfig
from torch import nn
from transformers import PreTrainedModel

from itemlens_exporter.errors import ExportError
from itemlens_server.hardware import processor_count

# Reproducible and fused best: with the dynamo exporter (the default from torch 2.9, which optimum turns off),
# or with an opset past 18, onnxruntime's optimizer finds no Attention to fuse.
OPSET = 18

# What one ONNX file may hold (protobuf); a larger graph would need its weights beside it.
MAX_BYTES = 2_000_000_000

Axes = Mapping[str, Mapping[int, str]]


def export_graph(
    module: nn.Module, base: OnnxConfig, example: Mapping[str, torch.Tensor], outputs: Axes, path: Path
) -> None:
    """Trace `module` to `path`. Axis 0 of each input is the batch, axis 1 of a text's inputs its length.

    `base` is optimum's own configuration for the architecture: its patches make the module traceable. Inputs
    and outputs are replaced by ours, since the module is the checkpoint with the pooling on top.
    ExportError: the weights are larger than MAX_BYTES.
    """
    size = sum(weights.numel() * weights.element_size() for weights in module.parameters())
    if size > MAX_BYTES:
        raise ExportError(
            f"the checkpoint's weights take {size / 1e9:.1f} GB, and {MAX_BYTES / 1e9:.0f} GB fit into one "
            "ONNX file: take a smaller checkpoint"
        )
    inputs = {
        name: {0: "batch", 1: "length"} if not value.is_floating_point() else {0: "batch"}
        for name, value in example.items()
    }

    class Pooled(type(base)):  # type: ignore[misc]
        @property
        def inputs(self) -> Axes:
            return inputs

        @property
        def outputs(self) -> Axes:
            return outputs

        def generate_dummy_inputs(self, framework: str = "pt", **_: Any) -> dict[str, torch.Tensor]:
            return dict(example)

    with quiet():
        export_pytorch(module, Pooled(base._config), OPSET, path)


def optimum_config(model: PreTrainedModel) -> OnnxConfig:
    """optimum's configuration for `model`. ExportError if it does not know the architecture."""
    config = model.config
    try:
        constructor = TasksManager.get_exporter_config_constructor(
            "onnx", model_type=config.model_type, task="feature-extraction", library_name="transformers"
        )
    except (KeyError, ValueError) as error:
        raise ExportError(f"optimum cannot export the architecture {config.model_type!r}: {error}") from error
    return constructor(config)


class PlainConfig(OnnxConfig):
    """For a network that is not of transformers, made with an empty PretrainedConfig: traced as it is."""

    NORMALIZED_CONFIG_CLASS = NormalizedConfig

    @property
    def inputs(self) -> Axes:
        return {}


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write `model` without what differs between two runs: doc strings and exporter metadata."""
    model.doc_string = ""
    del model.metadata_props[:]
    model.graph.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    path.write_bytes(model.SerializeToString(deterministic=True))


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """A float16 copy of `model`; inputs and outputs keep their types.

    Depthwise convolutions stay float32: with batch norm folded in, one filter's weights may be a thousand
    times another's. EfficientNet-Lite0's largest distance is 1.2e-4 so, 1.4e-3 without, for 7% of its
    arithmetic.
    """
    half = OnnxModel(onnx.ModelProto.FromString(model.SerializeToString()))
    depthwise = [node.name for node in model.graph.node if node.op_type == "Conv" and _groups(node) > 1]
    half.convert_float_to_float16(keep_io_types=True, node_block_list=depthwise)
    converted: onnx.ModelProto = half.model
    return converted


def _groups(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def session(path: Path) -> onnxruntime.InferenceSession:
    """Open a graph on the CPU for measuring."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = processor_count()
    options.log_severity_level = 3
    # Threads that spin while they wait take the time of whatever else runs on the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back the tracer's warnings and the libraries' chatter: none of it is for who exports."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
