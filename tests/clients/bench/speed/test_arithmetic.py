"""Operations of graphs and of the machine."""

from __future__ import annotations

import math
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from itemlens_bench.speed.arithmetic import most_a_second, operations
from itemlens_server.engine.manifest import Precision


def graph(nodes: list[onnx.NodeProto], weights: dict[str, tuple[int, ...]], path: Path) -> Path:
    tensors = [
        helper.make_tensor(name, TensorProto.FLOAT, shape, b"\0" * 4 * math.prod(shape), raw=True)
        for name, shape in weights.items()
    ]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], [], tensors)), path)
    return path


def test_a_product_with_weights_costs_two_operations_per_weight_and_token(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("MatMul", ["y", "y"], ["z"])]
    assert operations(graph(nodes, {"w": (4, 6)}, tmp_path / "g.onnx"), tokens=10) == 2 * 4 * 6 * 10


def test_attention_also_costs_operations_per_pair_packed_or_not(tmp_path: Path) -> None:
    width, tokens = 4, 10
    weights = {"w": (width, 3 * width), "b": (3 * width,)}
    fused = [helper.make_node("Attention", ["x", "w", "b", "m"], ["y"])]
    packed = [
        helper.make_node("MatMul", ["x", "w"], ["qkv"]),
        helper.make_node("MultiHeadAttention", ["q", "k", "v", "b", "n"], ["y"]),
    ]
    expected = 2 * 3 * width**2 * tokens + 4 * width * tokens**2
    assert operations(graph(fused, weights, tmp_path / "f.onnx"), tokens) == expected
    assert operations(graph(packed, weights, tmp_path / "p.onnx"), tokens) == expected


def test_integer_products_are_not_counted(tmp_path: Path) -> None:
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])]
    assert operations(graph(nodes, {"w": (4, 6)}, tmp_path / "g.onnx"), tokens=10) is None


def test_the_machine_has_some_operations_per_second(tmp_path: Path) -> None:
    assert most_a_second(Precision.FP32, "CPUExecutionProvider", threads=1) > 1e8
