"""The operations of a text and the operations per second of the machine, for the utilisation."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from itemlens_server.engine.manifest import Precision
from itemlens_server.engine.session import Provider

# Square matrices, large enough that everything but the product is negligible.
SIDE = {"CPUExecutionProvider": 1024, "CUDAExecutionProvider": 8192}
RUNS = 10


def operations(graph: Path, tokens: int) -> float | None:
    """Floating point operations of a text of `tokens` tokens: the products with weights, and those of attention.

    None for a graph without such products, or with integer products.
    """
    model = onnx.load(str(graph))
    weights = {weight.name: weight.dims for weight in model.graph.initializer}
    by_token, by_pair = 0, 0
    for node in model.graph.node:
        if node.op_type in ("DynamicQuantizeLinear", "QuantizeLinear", "MatMulNBits"):
            return None
        if node.op_type in ("MatMul", "Gemm", "Attention") and len(weights.get(node.input[1], ())) == 2:
            rows, columns = weights[node.input[1]]
            by_token += 2 * rows * columns
        # Queries by keys, then their weights by values: 2 x 2 x width for each pair of tokens.
        if node.op_type == "Attention":
            by_pair += 4 * weights[node.input[1]][1] // 3
        elif node.op_type == "MultiHeadAttention":
            by_pair += 4 * weights[node.input[3]][0] // 3  # by the bias of queries, keys and values
    return float(by_token * tokens + by_pair * tokens**2) if by_token else None


def most_a_second(precision: Precision, provider: Provider, threads: int) -> float:
    """Floating point operations per second of one large product in ONNX Runtime: the best of RUNS runs."""
    side = SIDE[provider]
    kind, array = (
        (TensorProto.FLOAT16, np.float16) if precision is Precision.FP16 else (TensorProto.FLOAT, np.float32)
    )
    values = np.random.default_rng(0).standard_normal((side, side)).astype(array)
    # The factor is a constant on the device, and only a maximum leaves it, so no transfer is measured.
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["a", "x"], ["scaled"]),
            helper.make_node("MatMul", ["scaled", "a"], ["product"]),
            helper.make_node("ReduceMax", ["product"], ["y"], keepdims=0),
        ],
        "product",
        [helper.make_tensor_value_info("x", kind, [])],
        [helper.make_tensor_value_info("y", kind, [])],
        [numpy_helper.from_array(values, "a")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.SerializeToString(), options, providers=[provider])
    fed = {"x": np.ones((), array)}
    session.run(["y"], fed)
    best = np.inf
    for _ in range(RUNS):
        began = time.monotonic()
        session.run(["y"], fed)
        best = min(best, time.monotonic() - began)
    return 2.0 * side**3 / best
