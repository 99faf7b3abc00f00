"""The fusion head as an ONNX graph, from raw vectors to h.

Inputs for channel number i: `v_i` float32 [N, dim], the raw vectors of all inputs of a batch, and `member_i`
float32 [B, N], 1 if vector n belongs to item b. An item may have several pictures or none; presence follows from
`member_i`. Output: `h` float32 [B, dimension].
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from itemlens_server.fusion.head import Head

OPSET = 18


class _Graph:
    """Collects nodes and constants under fresh names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: object, dtype: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def unit(self, x: str) -> str:
        last = self.constant([-1], np.int64)
        square = self.op("ReduceSum", self.op("Mul", x, x), last, keepdims=1)
        return self.op("Div", x, self.op("Sqrt", self.op("Add", square, self.constant(1e-20))))

    def total(self, names: list[str]) -> str:
        return names[0] if len(names) == 1 else self.op("Sum", *names)


def build(head: Head) -> onnx.ModelProto:
    """Return the graph of `head`."""
    g = _Graph()
    inputs, own, has = [], {}, {}
    for i, c in enumerate(head.channels):
        inputs += [
            helper.make_tensor_value_info(f"v_{i}", TensorProto.FLOAT, ["n" + str(i), len(c.mean)]),
            helper.make_tensor_value_info(f"member_{i}", TensorProto.FLOAT, ["items", "n" + str(i)]),
        ]
        e = g.op("Sub", f"v_{i}", g.constant(c.mean))
        if c.projection is not None:
            e = g.op("MatMul", e, g.constant(c.projection))
        own[c.name] = g.unit(g.op("MatMul", f"member_{i}", g.unit(e)))
        count = g.op("ReduceSum", f"member_{i}", g.constant([1], np.int64), keepdims=1)
        has[c.name] = g.op("Min", count, g.constant(1.0))
    blocks = []
    for c in head.channels:
        block, flag = own[c.name], g.op("Mul", has[c.name], g.constant(0.0))
        if c.predictors:
            guess = g.unit(g.total([g.op("MatMul", own[s], g.constant(w)) for s, w in c.predictors.items()]))
            unity = g.constant(1.0)
            some = g.op("Min", g.total([has[s] for s in c.predictors]), unity)
            flag = g.op("Mul", some, g.op("Sub", unity, has[c.name]))
            scaled = g.op("Mul", g.op("Mul", guess, g.constant(c.imputed_scale)), flag)
            block = g.op("Add", block, scaled)
        blocks += [block, has[c.name], flag]
    g.nodes.append(helper.make_node("Concat", blocks, ["h"], axis=1))
    output = helper.make_tensor_value_info("h", TensorProto.FLOAT, ["items", head.dimension])
    graph = helper.make_graph(g.nodes, "fusion_head", inputs, [output], g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def save(head: Head, path: Path) -> None:
    """Write the graph of `head` to `path`."""
    path.write_bytes(build(head).SerializeToString(deterministic=True))
