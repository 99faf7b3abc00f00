"""int8 graphs for the CPU by several methods. The parity check decides which one is kept.

A *ladder* is one method of quantisation, ordered from the fastest graph to the most precise. The first graph that
passes is the candidate of its ladder. `reduce_range` (7-bit weights) is always on: without it, processors that lack
VNNI saturate, and a graph must run on any processor. It costs little (MiniLM-L6, dynamic: largest distance 0.018 with,
0.014 without; the same speed).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static

from itemlens_exporter import graph
from itemlens_exporter.checkpoint import Feed, Int8

# ONNX infers no types for fused (contrib) operators; without a default type the quantiser fails.
_FUSED = {"DefaultTensorType": onnx.TensorProto.FLOAT}
# A product's output stays in fp32, as in a dynamic graph. Otherwise MiniLM-L6's largest distance is 0.22.
_FLOAT_OUTPUTS = {"OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"]}
# Number of values that share a scale in a product quantised by rows.
BLOCK = 128


def text(fp32: Path, folder: Path, feeds: Sequence[Feed]) -> Iterator[Iterator[Int8]]:
    """Yield the ladders for a text encoder.

    Largest distance, time as a share of fp32's in the same run, and size (AMD EPYC with VNNI, two threads, 236 texts
    one at a time; the two models on different days):

                                        MiniLM-L6               multilingual-e5-small
    fp32                                -      1      90 MB     -      1      470 MB
    dynamic                             0.028  0.51   23 MB     0.012  0.42   118 MB
    dynamic, half of GELU by rows       0.020  0.55   23 MB
    dynamic, GELU by rows               0.017  0.57   23 MB
    dynamic, half of GELU in fp32       0.020  0.61   28 MB     0.006  0.49   129 MB
    dynamic, GELU in fp32               0.018  0.68   33 MB     0.003  0.62   139 MB
    static                              0.035  0.67   66 MB     0.026  0.55   422 MB
    static, half of GELU in fp32        0.032  0.73   72 MB     0.011  0.66   433 MB
    static, GELU in fp32                0.027  0.80   77 MB     0.010  0.8    444 MB
    """
    yield _dynamic(fp32, folder, by_rows=True)
    yield _dynamic(fp32, folder, by_rows=False)
    yield _static_text(fp32, folder, feeds)


def picture(fp32: Path, folder: Path, feeds: Sequence[Feed], transformer: bool) -> Iterator[Iterator[Int8]]:
    """Yield the ladders for a picture encoder, static only.

    Dynamic convolutions are inexact (EfficientNet-Lite0: mean distance 0.13) and three times slower than fp32. Static
    quantisation is twice as fast as fp32. Lite0's static graph is close on photos (0.035 at most) but not on smooth
    pictures such as drawings (0.43), so it fails the parity check."""
    kinds = ["MatMul", "Gemm", "Conv"] if transformer else None
    yield _static_picture(fp32, folder, feeds, kinds)


def _rungs(fp32: Path, rest: str) -> Iterator[tuple[list[str], str]]:
    """Yield the products to exclude and a label for the manifest. `rest` describes what happens to them.

    GELU's output has rare large values, and one scale for all values loses the small ones. The products that read it
    cause 0.006 of a dynamic MiniLM-L6's mean error of 0.011, most of it in the first layers.
    """
    after_gelu = _after_gelu(fp32)
    yield [], "all products"
    yield after_gelu[: len(after_gelu) // 2], f"first half of the products after GELU {rest}"
    yield after_gelu, f"products after GELU {rest}"


def _dynamic(fp32: Path, folder: Path, by_rows: bool) -> Iterator[Int8]:
    rungs = _rungs(fp32, "in int8 by rows" if by_rows else "in fp32")
    if not by_rows:
        next(rungs)  # the first rung excludes nothing: the same graph as by rows
    for excluded, label in rungs:
        path = folder / f"dynamic-{'rows' if by_rows else 'fp32'}-{len(excluded)}.onnx"
        with graph.quiet():
            quantize_dynamic(
                str(fp32),
                str(path),
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=excluded,
                extra_options=_FUSED,
            )
        if by_rows:
            graph.save(_by_rows(onnx.load(str(path)), excluded), path)
        yield Int8(f"dynamic, per channel, reduced range, {label}", path, singly=True)


def _by_rows(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Turn the products `names` into 8-bit MatMulNBits that compute in int8. Each block of a token's values has its own
    scale, so that a large value reduces the precision of its block only."""
    body = model.graph
    weights = {weight.name: weight for weight in body.initializer}
    for node in body.node:
        if node.name not in names:
            continue
        matrix = numpy_helper.to_array(weights[node.input[1]])  # [inputs, outputs]
        inputs, outputs = matrix.shape
        blocks = np.pad(matrix.T, [(0, 0), (0, -inputs % BLOCK)]).reshape(outputs, -1, BLOCK)
        scales = np.maximum(np.abs(blocks).max(axis=2), np.finfo(np.float32).tiny) / 127
        levels = np.round(blocks / scales[..., None]) + 128  # unsigned, 128 for 0
        body.initializer.remove(weights[node.input[1]])
        added = {f"{node.name}/levels": levels.astype(np.uint8), f"{node.name}/scales": scales.reshape(-1)}
        body.initializer.extend(numpy_helper.from_array(value, name) for name, value in added.items())
        attributes = {"K": inputs, "N": outputs, "bits": 8, "block_size": BLOCK, "accuracy_level": 4}
        node.CopyFrom(
            onnx.helper.make_node(
                "MatMulNBits",
                [node.input[0], *added],
                list(node.output),
                name=node.name,
                domain="com.microsoft",
                **attributes,
            )
        )
    return model


def _static_text(fp32: Path, folder: Path, feeds: Sequence[Feed]) -> Iterator[Int8]:
    # Fused Attention stays in fp32: its QDQ form does not run in int8 and only adds error.
    for excluded, label in _rungs(fp32, "in fp32"):
        path = folder / f"static-{len(excluded)}.onnx"
        _static(fp32, path, feeds, ["MatMul"], excluded)
        yield Int8(f"static QDQ outside attention, per channel, reduced range, {label}", path)


def _static_picture(
    fp32: Path, folder: Path, feeds: Sequence[Feed], kinds: list[str] | None
) -> Iterator[Int8]:
    path = folder / "static.onnx"
    _static(fp32, path, feeds, kinds, [])
    yield Int8("static QDQ, per channel, reduced range", path)


def _static(
    fp32: Path, path: Path, feeds: Sequence[Feed], kinds: list[str] | None, excluded: list[str]
) -> None:
    onnxruntime.set_default_logger_severity(3)
    with graph.quiet():
        quantize_static(
            _typed(fp32, kinds),
            str(path),
            _Reader(feeds),
            op_types_to_quantize=kinds,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=excluded,
            extra_options=_FUSED | _FLOAT_OUTPUTS,
        )


def _typed(fp32: Path, kinds: list[str] | None) -> onnx.ModelProto:
    """Return the graph with the types of the inputs and outputs of the nodes of `kinds`. ONNX infers no types after a
    fused operator, and static quantisation silently skips values without a type, even with `_FUSED`."""
    model = onnx.load(str(fp32))
    body = model.graph
    known = {value.name for value in (*body.value_info, *body.input, *body.output)}
    known |= {weights.name for weights in body.initializer}
    nodes = [node for node in body.node if node.op_type in (kinds or ())]
    for name in dict.fromkeys(name for node in nodes for name in (*node.input, *node.output)):
        if name not in known:
            body.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return model


def _after_gelu(fp32: Path) -> list[str]:
    """Return the names of the products that read the output of a GELU, in the order of the layers."""
    nodes = onnx.load(str(fp32), load_external_data=False).graph.node
    made_by = {output: node.op_type for node in nodes for output in node.output}
    return [
        node.name for node in nodes if node.op_type == "MatMul" and "Gelu" in made_by.get(node.input[0], "")
    ]


class _Reader(CalibrationDataReader):
    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)
