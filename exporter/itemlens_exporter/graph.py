"""Conversion of a torch module into an ONNX file by optimum, and the graph passes that all encoders share."""

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

# With an opset above 18, or with the dynamo exporter (the default from torch 2.9, which optimum turns off),
# onnxruntime's optimizer does not find the Attention to fuse.
OPSET = 18

# Size limit of one ONNX file, bytes, set by protobuf. A larger graph would need external weights.
MAX_BYTES = 2_000_000_000

Axes = Mapping[str, Mapping[int, str]]


def export_graph(
    module: nn.Module, base: OnnxConfig, example: Mapping[str, torch.Tensor], outputs: Axes, path: Path
) -> None:
    """Trace `module` to `path`. Axis 0 of each input is the batch, axis 1 of a text's inputs is its length.

    `base` is optimum's configuration for the architecture. Its patches make the module traceable. Its inputs and
    outputs are replaced, since the module is the checkpoint with the pooling on top.
    ExportError: the weights are larger than MAX_BYTES.
    """
    size = sum(weights.numel() * weights.element_size() for weights in module.parameters())
    if size > MAX_BYTES:
        raise ExportError(
            f"the checkpoint's weights take {size / 1e9:.1f} GB, but one ONNX file holds at most "
            f"{MAX_BYTES / 1e9:.0f} GB: use a smaller checkpoint"
        )
    inputs = {
        name: {0: "batch", 1: "length"} if not value.is_floating_point() else {0: "batch"}
        for name, value in example.items()
    }

    kind: Any = type(base)

    class Pooled(kind):
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
    """Return optimum's configuration for `model`. ExportError if optimum does not know the architecture."""
    config = model.config
    try:
        constructor = TasksManager.get_exporter_config_constructor(
            "onnx", model_type=config.model_type, task="feature-extraction", library_name="transformers"
        )
    except (KeyError, ValueError) as error:
        raise ExportError(f"optimum cannot export the architecture {config.model_type!r}: {error}") from error
    return constructor(config)


class PlainConfig(OnnxConfig):
    """Configuration of a network that is not from transformers, made with an empty PretrainedConfig. The network is
    traced unpatched."""

    NORMALIZED_CONFIG_CLASS = NormalizedConfig

    @property
    def inputs(self) -> Axes:
        return {}


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write `model` without doc strings and exporter metadata, which differ between runs."""
    model.doc_string = ""
    del model.metadata_props[:]
    model.graph.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    path.write_bytes(model.SerializeToString(deterministic=True))


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a float16 copy of `model`. Inputs and outputs keep their types.

    Depthwise convolutions stay float32: with batch norm folded in, one filter's weights may be a thousand
    times another's. They are 7% of EfficientNet-Lite0's arithmetic. Its largest distance is 1.2e-4 with them in
    float32 and 1.4e-3 with them in float16.
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
    # Spinning threads take CPU time from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the tracer's warnings and the libraries' logs, which do not concern the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
