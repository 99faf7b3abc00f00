"""Packed graphs give the same vectors with padding in attention only. Other graphs are not changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from itemlens_exporter import graph, hub_text, packing
from support.tiny_checkpoints import Folder

LENGTHS = (3, 14, 1, 9)


@pytest.fixture
def fused(tiny_text: Folder, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "fused.onnx"
    hub_text.load(str(tiny_text(getattr(request, "param", "Bert"))), []).export(path)
    return path


def feed(lengths: tuple[int, ...]) -> dict[str, np.ndarray]:
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    ids = np.random.default_rng(0).integers(5, 90, mask.shape)  # also where there is padding
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("fused", ["Bert", "Electra", "Roberta", "XLMRoberta"], indirect=True)
def test_v_and_z_are_those_of_the_padded_graph(fused: Path, tmp_path: Path) -> None:
    packed = packing.pack(onnx.load(fused))
    assert packed is not None
    graph.save(packed, tmp_path / "packed.onnx")
    inputs = feed(LENGTHS)
    (v, z), (packed_v, packed_z) = (
        graph.session(path).run(["v", "z"], inputs) for path in (fused, tmp_path / "packed.onnx")
    )
    np.testing.assert_allclose(packed_v, v, atol=2e-6)
    there = inputs["attention_mask"] == 1
    np.testing.assert_allclose(packed_z[there], z[there], atol=1e-5)
    assert packed_z.shape == z.shape


def test_no_product_sees_padding(fused: Path, tmp_path: Path) -> None:
    packed = packing.pack(onnx.load(fused))
    assert packed is not None
    products = [node.output[0] for node in packed.graph.node if node.op_type == "MatMul"]
    packed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in products)
    graph.save(packed, tmp_path / "packed.onnx")
    rows = {len(product) for product in graph.session(tmp_path / "packed.onnx").run(products, feed(LENGTHS))}
    assert (
        len(products) == 2 * 4
    )  # queries, keys and values in one; attention's output; two of the feed-forward layer
    assert rows == {sum(LENGTHS)}


@pytest.mark.parametrize("fused", ["MPNet"], indirect=True)
def test_attention_with_a_bias_by_position_is_not_packed(fused: Path) -> None:
    assert packing.pack(onnx.load(fused)) is None


def test_a_graph_whose_attention_did_not_fuse_is_not_packed(fused: Path) -> None:
    model = onnx.load(fused)
    second = [node for node in model.graph.node if node.op_type == "Attention"][1]
    second.op_type = "Softmax"
    assert packing.pack(model) is None
