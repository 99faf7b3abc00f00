"""Removal of padding from a fused text graph: a batch may mix texts of all lengths, and padding is not computed.

Everything except attention works on single tokens. In the packed graph the tokens of a batch are contiguous,
[tokens, dim]. Only the core of attention (the products of queries, keys and values) uses [batch, length, dim]; its
output is packed again. The idea is from ByteTransformer (Zhai et al., 2023). onnxruntime has it for CUDA only
(PackedAttention).

Time of a batch as a share of the padded graph's (MiniLM-L6, AMD EPYC, one thread): lengths 10 to 60 mixed 0.51, 8 to
32 mixed 0.70, 20 to 27 mixed 0.89, equal lengths 1.00 to 1.03, a single text 1.03. Packing is not suitable for a GPU:
the host would wait for the device to find the tokens (NonZero), and every batch would have another shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MASK = "attention_mask"
OUTPUT = "z"
PREFIX = "packing/"

# Values that the added nodes share.
TOKENS = PREFIX + "tokens"  # int64 [tokens]: position of each token in the flattened [batch, length]
PLACES = PREFIX + "places"  # int64 [batch, length]: number of the token at a position; arbitrary for padding
LENGTHS = PREFIX + "lengths"  # int32 [batch]
ROWS = PREFIX + "rows"  # the shape [-1, dim]

# Operators that treat each token separately. A product does so if its second factor is a weight.
BY_TOKEN = {
    "Add", "BiasGelu", "Cast", "FastGelu", "Gelu", "LayerNormalization", "MatMul", "SkipLayerNormalization",
}  # fmt: skip


def pack(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """Return a packed copy of a graph that onnxruntime fused, or None if it contains operators that cannot be packed.

    Inputs and outputs do not change. Each row of the mask must be ones followed by zeros.
    """
    packed = onnx.ModelProto.FromString(model.SerializeToString())
    nodes = list(packed.graph.node)
    weights = {weight.name: weight for weight in packed.graph.initializer}
    first = next((node for node in nodes if node.op_type == "Attention"), None)
    if first is None or not _packable(nodes, set(weights), first.input[0]):
        return None
    embedded = first.input[0]
    renamed = {embedded: PREFIX + "embedded", OUTPUT: PREFIX + OUTPUT}
    result: list[onnx.NodeProto] = []
    for node in nodes:
        if node.op_type == "Attention":
            result += _attention(node)
            continue
        result.append(node)
        outputs = set(node.output)
        for at, name in enumerate(node.output):
            node.output[at] = renamed.get(name, name)
        if embedded in outputs:
            result += [*_index(), *_pack(renamed[embedded], embedded)]
        if OUTPUT in outputs:
            result.append(_node("Gather", [renamed[OUTPUT], PLACES], OUTPUT, axis=0))
    packed.graph.initializer.extend(_constants(weights[first.input[1]].dims[0]))
    packed.graph.ClearField("node")
    packed.graph.node.extend(result)
    return packed


def _packable(nodes: list[onnx.NodeProto], weights: set[str], embedded: str) -> bool:
    """Return whether every node between the embeddings and z works by token or is a fused Attention."""
    inside = {embedded}
    for node in nodes:  # in topological order
        read = [name for name in node.input if name in inside]
        if not read:
            continue
        if node.op_type == "Attention":
            # A fifth input would be a position bias, as in MPNet.
            if len(node.input) != 4:
                return False
        elif node.op_type not in BY_TOKEN or (node.op_type == "MatMul" and node.input[1] not in weights):
            return False
        inside |= set(node.output) - {OUTPUT}
    return True


def _attention(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return the nodes for Attention(x, weights, bias, mask) on packed tokens."""
    x, weights, bias, _ = node.input
    out = node.output[0]
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    kept = {name: given[name] for name in ("num_heads", "mask_filter_value", "scale") if name in given}
    parts = [f"{out}/{part}" for part in ("query", "key", "value")]
    core = helper.make_node(
        "MultiHeadAttention", [*parts, bias, LENGTHS], [out + "/core"], name=out + "/core", domain="com.microsoft",
        **kept,
    )  # fmt: skip
    return [
        _node("MatMul", [x, weights], out + "/product"),
        _node("Gather", [out + "/product", PLACES], out + "/rectangle", axis=0),
        helper.make_node("Split", [out + "/rectangle"], parts, name=out + "/split", axis=2, num_outputs=3),
        core,
        *_pack(out + "/core", out),
    ]


def _index() -> list[onnx.NodeProto]:
    """Return the nodes that compute TOKENS, PLACES and LENGTHS from the mask."""
    flat, count = PREFIX + "flat", PREFIX + "count"
    return [
        _node("Reshape", [MASK, PREFIX + "flat_shape"], flat),
        _node("NonZero", [flat], PREFIX + "found"),
        _node("Squeeze", [PREFIX + "found", PREFIX + "first_axis"], TOKENS),
        _node("CumSum", [flat, PREFIX + "zero"], count),
        _node("Sub", [count, PREFIX + "one"], PREFIX + "number"),
        _node("Max", [PREFIX + "number", PREFIX + "zero"], PREFIX + "flat_places"),
        _node("Shape", [MASK], PREFIX + "shape"),
        _node("Reshape", [PREFIX + "flat_places", PREFIX + "shape"], PLACES),
        _node("Cast", [MASK], PREFIX + "mask", to=TensorProto.INT32),
        _node("ReduceSum", [PREFIX + "mask", PREFIX + "second_axis"], LENGTHS, keepdims=0),
    ]


def _pack(rectangle: str, tokens: str) -> list[onnx.NodeProto]:
    rows = rectangle + "/rows"
    return [_node("Reshape", [rectangle, ROWS], rows), _node("Gather", [rows, TOKENS], tokens, axis=0)]


def _constants(dim: int) -> list[onnx.TensorProto]:
    values = {
        ROWS: [-1, dim],
        PREFIX + "flat_shape": [-1],
        PREFIX + "first_axis": [0],
        PREFIX + "second_axis": [1],
        PREFIX + "zero": 0,
        PREFIX + "one": 1,
    }
    return [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in values.items()]


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], name=output, **attributes)
