"""int8 graphs for the CPU, in the ways worth trying. Parity decides which is kept.

A *ladder* is one way to quantise, from the boldest graph (the fastest) to the most careful; the first that
passes is the one to keep of it. `reduce_range` (7-bit weights) is on throughout: without it, processors that
lack VNNI saturate, and a graph is not made for one processor. It costs little (MiniLM-L6, dynamic: largest
distance .018 with, .014 without; the same speed).
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

# A graph with fused (contrib) operators has no inferred types for them; without this the quantiser gives up.
_FUSED = {"DefaultTensorType": onnx.TensorProto.FLOAT}
# A product's output stays in fp32, as in a dynamic graph; MiniLM-L6's largest distance is .22 otherwise.
_FLOAT_OUTPUTS = {"OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"]}
# Values that share a scale where a product is quantised by rows.
BLOCK = 128


def text(fp32: Path, folder: Path, feeds: Sequence[Feed]) -> Iterator[Iterator[Int8]]:
    """Ladders for a text encoder. Largest distance, time as a share of fp32's in the same run (AMD EPYC with
    VNNI, two threads, 236 texts one at a time; the two models on different days), and size:

                                        MiniLM-L6             multilingual-e5-small
    fp32                                -     1     90 MB     -     1     470 MB
    dynamic                             .028  .51   23 MB     .012  .42   118 MB
    dynamic, half of GELU by rows       .020  .55   23 MB
    dynamic, GELU by rows               .017  .57   23 MB
    dynamic, half of GELU in fp32       .020  .61   28 MB     .006  .49   129 MB
    dynamic, GELU in fp32               .018  .68   33 MB     .003  .62   139 MB
    static                              .035  .67   66 MB     .026  .55   422 MB
    static, half of GELU in fp32        .032  .73   72 MB     .011  .66   433 MB
    static, GELU in fp32                .027  .80   77 MB     .010  .8    444 MB
    """
    yield _dynamic(fp32, folder, by_rows=True)
    yield _dynamic(fp32, folder, by_rows=False)
    yield _static_text(fp32, folder, feeds)


def picture(fp32: Path, folder: Path, feeds: Sequence[Feed], transformer: bool) -> Iterator[Iterator[Int8]]:
    """Ladders for a picture encoder: static only. Dynamic convolutions are wrong (EfficientNet-Lite0:
    distance .13 in the mean) and three times slower than fp32. Static is twice as fast; Lite0's is true on
    photos (.035 at most) but not on smooth pictures such as drawings (.43), so that parity drops it."""
    kinds = ["MatMul", "Gemm", "Conv"] if transformer else None
    yield _static_picture(fp32, folder, feeds, kinds)


def _rungs(fp32: Path, rest: str) -> Iterator[tuple[list[str], str]]:
    """Products to leave out, with words for the manifest, which call what becomes of them `rest`.

    What GELU puts out has rare large values, and one scale for them all loses the others: of the error of a
    dynamic MiniLM-L6, .011 in the mean, the products that read it make .006, the first layers' most of that.
    """
    after_gelu = _after_gelu(fp32)
    yield [], "all products"
    yield after_gelu[: len(after_gelu) // 2], f"first half of the products after GELU {rest}"
    yield after_gelu, f"products after GELU {rest}"


def _dynamic(fp32: Path, folder: Path, by_rows: bool) -> Iterator[Int8]:
    rungs = _rungs(fp32, "in int8 by rows" if by_rows else "in fp32")
    if not by_rows:
        next(rungs)  # nothing is left out there: the same graph as by rows
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
    """Turn the products `names` into MatMulNBits of 8 bits that computes in int8: a scale for each block of a token's
    values instead of one for all tokens, so that one large value costs its neighbours in the block alone."""
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
        told = {"K": inputs, "N": outputs, "bits": 8, "block_size": BLOCK, "accuracy_level": 4}
        node.CopyFrom(
            onnx.helper.make_node(
                "MatMulNBits",
                [node.input[0], *added],
                list(node.output),
                name=node.name,
                domain="com.microsoft",
                **told,
            )
        )
    return model


def _static_text(fp32: Path, folder: Path, feeds: Sequence[Feed]) -> Iterator[Int8]:
    # Fused Attention stays in fp32: its QDQ form is not run in int8 and only adds error.
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
    """The graph with the types of what the nodes of `kinds` read and write. ONNX infers none behind a fused
    operator, and static quantisation silently leaves out what it knows no type of, `_FUSED` or not."""
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
    """Names of the products that read the output of a GELU, in the order of the layers."""
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
