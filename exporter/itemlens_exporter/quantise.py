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

import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static

from itemlens_exporter import graph
from itemlens_exporter.checkpoint import Feed, Int8

# A graph with fused (contrib) operators has no inferred types for them; without this the quantiser gives up.
_FUSED = {"DefaultTensorType": onnx.TensorProto.FLOAT}
_DYNAMIC_NOTE = "one input a run: its scales are taken over the whole batch"


def text(fp32: Path, folder: Path, feeds: Sequence[Feed]) -> Iterator[Iterator[Int8]]:
    """Ladders for a text encoder. Two threads, 236 texts of which most are short, largest distance and time:

                                  MiniLM-L6              multilingual-e5-small
    fp32                          -      0.66 s  90 MB   -      1.7 s  470 MB
    dynamic                       .028   0.30 s  23 MB   .012   0.7 s  118 MB
    dynamic, half of GELU fp32    .020   0.35 s  28 MB   .006   0.9 s  129 MB
    dynamic, GELU fp32            .018   0.40 s  33 MB   .003   1.1 s  139 MB
    static                        .009   0.55 s  66 MB
    """
    yield _dynamic(fp32, folder)
    yield _static_text(fp32, folder, feeds)


def picture(fp32: Path, folder: Path, feeds: Sequence[Feed], transformer: bool) -> Iterator[Iterator[Int8]]:
    """Ladders for a picture encoder: static only. Dynamic convolutions are wrong (EfficientNet-Lite0:
    distance .13 in the mean) and three times slower than fp32. Static is twice as fast; Lite0's is true on
    photos (.035 at most) but not on smooth pictures such as drawings (.43), so that parity drops it."""
    kinds = ["MatMul", "Gemm", "Conv"] if transformer else None
    yield _static_picture(fp32, folder, feeds, kinds)


def _dynamic(fp32: Path, folder: Path) -> Iterator[Int8]:
    # What GELU puts out has rare large values, and one scale for them all loses the rest: of MiniLM's error
    # of .010, the products that read it make .006, those of the first half of the layers most of that.
    after_gelu = _after_gelu(fp32)
    half = len(after_gelu) // 2
    rungs = [
        (0, "all products"),
        (half, "first half of the products after GELU fp32"),
        (len(after_gelu), "products after GELU fp32"),
    ]
    for kept, label in rungs:
        path = folder / f"dynamic-{kept}.onnx"
        with graph.quiet():
            quantize_dynamic(
                str(fp32),
                str(path),
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=after_gelu[:kept],
                extra_options=_FUSED,
            )
        yield Int8(f"dynamic, per channel, reduced range, {label}; {_DYNAMIC_NOTE}", path, one_at_a_time=True)


def _static_text(fp32: Path, folder: Path, feeds: Sequence[Feed]) -> Iterator[Int8]:
    # Fused Attention stays in fp32: its QDQ form is not run in int8 and only adds error.
    after_gelu = _after_gelu(fp32)
    for excluded, label in (
        ([], "all products outside attention"),
        (after_gelu, "projections outside attention and GELU"),
    ):
        path = folder / f"static-{len(excluded)}.onnx"
        _static(fp32, path, feeds, ["MatMul"], excluded)
        yield Int8(f"static QDQ, per channel, reduced range, {label}", path)


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
            str(fp32),
            str(path),
            _Reader(feeds),
            op_types_to_quantize=kinds,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=excluded,
            extra_options=_FUSED,
        )


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
