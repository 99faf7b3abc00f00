"""Any BERT-family checkpoint with mean pooling becomes a graph that is true to it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_checkpoints import POSITIONS, Folder

from itemlens_exporter import graph, hub_text, presets
from itemlens_exporter.errors import ExportError
from itemlens_exporter.parity import cosine_distance, measure
from itemlens_server.engine.manifest import Precision

CLS = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
FAMILIES = ["Bert", "Roberta", "XLMRoberta", "DistilBert", "MPNet", "Electra"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_graph_is_true_to_the_checkpoint(tiny_text: Folder, tmp_path: Path, family: str) -> None:
    checkpoint = hub_text.load(str(tiny_text(family)), [])
    checkpoint.export(tmp_path / "model.onnx")
    row = measure(tmp_path / "model.onnx", Precision.FP32, checkpoint.samples()).parity
    assert row.passed, row
    assert row.inputs >= 200
    assert checkpoint.max_tokens == POSITIONS


def test_the_checkpoints_v_is_the_mean_that_transformers_gives(tiny_text: Folder) -> None:
    checkpoint = hub_text.load(str(tiny_text()), [])
    ids = checkpoint.tokenise(["hello world"])[0].ids
    torch = pytest.importorskip("torch")
    with torch.inference_mode():
        last = checkpoint.model(input_ids=torch.from_numpy(ids)[None]).last_hidden_state
    np.testing.assert_allclose(checkpoint.reference(ids), last[0].mean(0).numpy(), atol=1e-6)


class TestGraph:
    """The contract of Encoder in the manifest."""

    @pytest.fixture
    def session(self, tiny_text: Folder, tmp_path: Path) -> graph.onnxruntime.InferenceSession:
        hub_text.load(str(tiny_text()), []).export(tmp_path / "model.onnx")
        return graph.session(tmp_path / "model.onnx")

    def feed(self, lengths: tuple[int, ...]) -> dict[str, np.ndarray]:
        ids = np.zeros((len(lengths), max(lengths)), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, length in enumerate(lengths):
            ids[row, :length] = np.arange(5, 5 + length)
            mask[row, :length] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def test_names_and_types(self, session: graph.onnxruntime.InferenceSession) -> None:
        assert [(i.name, i.type) for i in session.get_inputs()] == [
            ("input_ids", "tensor(int64)"),
            ("attention_mask", "tensor(int64)"),
        ]
        assert [(o.name, o.type) for o in session.get_outputs()] == [
            ("v", "tensor(float)"),
            ("z", "tensor(float)"),
        ]

    @pytest.mark.parametrize("lengths", [(3,), (POSITIONS,), (2, 7, 31), (5, 5)])
    def test_v_is_the_mean_of_z_over_the_mask(
        self, session: graph.onnxruntime.InferenceSession, lengths: tuple[int, ...]
    ) -> None:
        v, z = session.run(["v", "z"], self.feed(lengths))
        assert z.shape == (len(lengths), max(lengths), 32)
        for row, length in enumerate(lengths):
            np.testing.assert_allclose(v[row], z[row, :length].mean(0), atol=1e-5)

    def test_neighbours_do_not_matter(self, session: graph.onnxruntime.InferenceSession) -> None:
        (together,) = session.run(["v"], self.feed((4, 30)))
        (alone,) = session.run(["v"], self.feed((4,)))
        assert cosine_distance(together[:1], alone).max() < 1e-10


def test_attention_and_embeddings_are_fused(tiny_text: Folder, tmp_path: Path) -> None:
    hub_text.load(str(tiny_text()), []).export(tmp_path / "model.onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert kinds.count("Attention") == 2
    assert kinds.count("SkipLayerNormalization") == 4
    assert kinds.count("EmbedLayerNormalization") == 1


class TestPooling:
    def test_mean_is_taken(self, tiny_text: Folder) -> None:
        assert hub_text.load(str(tiny_text(pooling=MEAN)), [])

    @pytest.mark.parametrize("pooling", [CLS, {"pooling_mode": "cls"}, {"pooling_mode_max_tokens": True}])
    def test_other_pooling_is_refused(self, tiny_text: Folder, pooling: dict[str, object]) -> None:
        with pytest.raises(ExportError, match="--pooling mean"):
            hub_text.load(str(tiny_text(pooling=pooling)), [])

    def test_unless_it_is_asked_for_as_mean(self, tiny_text: Folder) -> None:
        assert hub_text.load(str(tiny_text(pooling=CLS)), [], mean=True)

    def test_a_dense_layer_is_refused_all_the_same(self, tiny_text: Folder) -> None:
        folder = tiny_text(pooling=MEAN)
        (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Dense"}]))
        with pytest.raises(ExportError, match="dense layer"):
            hub_text.load(str(folder), [], mean=True)


def test_what_sentence_transformers_says_is_followed(tiny_text: Folder) -> None:
    folder = tiny_text()
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 20, "do_lower_case": true}')
    prompts = {"prompts": {"query": "q: ", "document": "d: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    checkpoint = hub_text.load(str(folder), [])
    assert (checkpoint.max_tokens, checkpoint.query_prefix, checkpoint.item_prefix) == (20, "q: ", "d: ")


class TestRefusals:
    def test_damaged_weights(self, tiny_text: Folder) -> None:
        folder = tiny_text()
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        with pytest.raises(ExportError, match="damaged or incomplete"):
            hub_text.load(str(folder), [])

    def test_weights_that_are_not_all_there(self, tiny_text: Folder) -> None:
        from safetensors.torch import load_file, save_file

        folder = tiny_text()
        kept = load_file(folder / "model.safetensors")
        del kept["encoder.layer.1.output.dense.weight"]
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ExportError, match=r"lacks 1 weights .* encoder\.layer\.1\.output\.dense\.weight"):
            hub_text.load(str(folder), [])

    def test_another_kind_of_model(self, tiny_picture: Folder) -> None:
        with pytest.raises(ExportError, match="not of the BERT family"):
            hub_text.load(str(tiny_picture()), [])

    def test_no_config(self, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match=r"config\.json"):
            hub_text.load(str(tmp_path), [])

    def test_no_tokenizer(self, tiny_text: Folder) -> None:
        folder = tiny_text()
        (folder / "tokenizer.json").unlink()
        with pytest.raises(ExportError, match="tokenizer"):
            hub_text.load(str(folder), [])

    def test_an_unknown_name(self) -> None:
        with pytest.raises(ExportError, match="minilm, multilingual"):
            presets.text("minilmm")
