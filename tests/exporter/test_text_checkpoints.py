"""Any BERT-family checkpoint with mean pooling is exported to a graph with the same vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime import InferenceSession

from itemlens_exporter import graph, hub_text, parity_inputs, prefixes, presets
from itemlens_exporter.errors import ExportError
from itemlens_exporter.parity import cosine_distance, measure
from itemlens_server.engine.manifest import Precision
from support.tiny_checkpoints import POSITIONS, Folder

CLS: dict[str, object] = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
MEAN: dict[str, object] = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
FAMILIES = ["Bert", "Roberta", "XLMRoberta", "DistilBert", "MPNet", "Electra"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_graph_is_true_to_the_checkpoint(tiny_text: Folder, tmp_path: Path, family: str) -> None:
    checkpoint = hub_text.load(str(tiny_text(family)), [])
    checkpoint.export(tmp_path / "model.onnx")
    row = measure(tmp_path / "model.onnx", Precision.FP32, checkpoint.samples()).parity
    assert row.passed, row
    assert row.inputs == len(parity_inputs.texts())
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
    def session(self, tiny_text: Folder, tmp_path: Path) -> InferenceSession:
        hub_text.load(str(tiny_text()), []).export(tmp_path / "model.onnx")
        return graph.session(tmp_path / "model.onnx")

    def feed(self, lengths: tuple[int, ...]) -> dict[str, np.ndarray]:
        ids = np.zeros((len(lengths), max(lengths)), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, length in enumerate(lengths):
            ids[row, :length] = np.arange(5, 5 + length)
            mask[row, :length] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def test_names_and_types(self, session: InferenceSession) -> None:
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
        self, session: InferenceSession, lengths: tuple[int, ...]
    ) -> None:
        v, z = session.run(["v", "z"], self.feed(lengths))
        assert z.shape == (len(lengths), max(lengths), 32)
        for row, length in enumerate(lengths):
            np.testing.assert_allclose(v[row], z[row, :length].mean(0), atol=1e-5)

    def test_neighbours_do_not_matter(self, session: InferenceSession) -> None:
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

    def test_no_mode_at_all_is_refused(self, tiny_text: Folder) -> None:
        with pytest.raises(ExportError, match="pool by an unknown method"):
            hub_text.load(str(tiny_text(pooling=dict.fromkeys(CLS, False))), [])


def describe(folder: Path, *kinds: str, pooling: dict[str, object] | None = None, encoder: str = "") -> Path:
    """Write modules.json with the encoder and `kinds`, each in a numbered folder, and the pooling's file."""
    modules = [{"idx": 0, "name": "0", "path": encoder, "type": "sentence_transformers.models.Transformer"}]
    for n, kind in enumerate(kinds, 1):
        modules.append(
            {"idx": n, "name": str(n), "path": f"{n}_{kind}", "type": f"sentence_transformers.models.{kind}"}
        )
        if kind == "Pooling" and pooling is not None:
            (folder / f"{n}_{kind}").mkdir()
            (folder / f"{n}_{kind}" / "config.json").write_text(json.dumps(pooling))
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


class TestModules:
    """modules.json of sentence-transformers. The parity check uses the same reading of the file, so it cannot detect a
    wrong one."""

    @pytest.mark.parametrize(
        "kinds",
        [
            ("Pooling", "LayerNorm"),
            ("WeightedLayerPooling", "Pooling"),
            ("CNN", "Pooling"),
            ("LSTM", "Pooling"),
            ("Pooling", "Dense"),
            ("Pooling", "Dense", "Normalize"),
            ("Router",),
            ("Asym",),
            ("StaticEmbedding",),
            ("Pooling", "SomethingNew"),
        ],
    )
    def test_one_that_changes_the_vector_is_refused_with_its_file(
        self, tiny_text: Folder, kinds: tuple[str, ...]
    ) -> None:
        folder = describe(tiny_text(), *kinds, pooling=MEAN)
        strange = next(k for k in kinds if k not in ("Pooling", "Normalize"))
        with pytest.raises(
            ExportError, match=rf"modules\.json: module \d in \d_{strange} is of type .*{strange}"
        ):
            hub_text.load(str(folder), [], mean=True)

    @pytest.mark.parametrize(
        "kinds", [("Pooling",), ("Pooling", "Normalize"), ("Dropout", "Pooling", "Dropout", "Normalize")]
    )
    def test_those_that_leave_the_mean_are_taken(self, tiny_text: Folder, kinds: tuple[str, ...]) -> None:
        assert hub_text.load(str(describe(tiny_text(), *kinds, pooling=MEAN)), [])

    @pytest.mark.parametrize(
        "kinds", [(), ("Normalize", "Pooling"), ("Pooling", "Pooling"), ("Transformer", "Pooling")]
    )
    def test_in_another_order_they_are_refused(self, tiny_text: Folder, kinds: tuple[str, ...]) -> None:
        with pytest.raises(ExportError, match="in this order"):
            hub_text.load(str(describe(tiny_text(), *kinds, pooling=MEAN)), [])

    def test_the_poolings_folder_is_the_one_that_they_name(self, tiny_text: Folder) -> None:
        folder = describe(tiny_text(pooling=MEAN), "Dropout", "Pooling", pooling=CLS)
        with pytest.raises(ExportError, match=r"2_Pooling/config\.json.*by cls_token"):
            hub_text.load(str(folder), [])

    def test_a_pooling_without_its_file_is_refused(self, tiny_text: Folder) -> None:
        with pytest.raises(ExportError, match=r"1_Pooling/config\.json is missing"):
            hub_text.load(str(describe(tiny_text(), "Pooling")), [])

    def test_the_encoder_may_be_in_a_separate_folder(self, tiny_text: Folder, tmp_path: Path) -> None:
        folder = tmp_path / "old"
        folder.mkdir()
        tiny_text().rename(folder / "0_BERT")
        (folder / "0_BERT" / "sentence_bert_config.json").write_text('{"max_seq_length": 20}')
        describe(folder, "Pooling", pooling=MEAN, encoder="0_BERT")
        assert hub_text.load(str(folder), []).max_tokens == 20

    @pytest.mark.parametrize("content", ["{}", "[1]", "[", '[{"type": 5}]', '[{"path": ""}]', "[]"])
    def test_a_damaged_list_is_named(self, tiny_text: Folder, content: str) -> None:
        folder = tiny_text(pooling=MEAN)
        (folder / "modules.json").write_text(content)
        with pytest.raises(ExportError, match=r"modules\.json"):
            hub_text.load(str(folder), [])

    def test_a_prompt_outside_the_mean_is_refused(self, tiny_text: Folder) -> None:
        folder = describe(tiny_text(), "Pooling", pooling=MEAN | {"include_prompt": False})
        assert hub_text.load(str(folder), [])  # it has no prompt
        say_prompts(folder, {"prompts": {"query": "q: "}})
        with pytest.raises(ExportError, match=r"1_Pooling/config\.json: include_prompt is false"):
            hub_text.load(str(folder), [])
        assert hub_text.load(str(folder), [], query_prefix="", item_prefix="").query_prefix == ""
        assert hub_text.load(str(folder), [], mean=True).query_prefix == "q: "


def say_prompts(folder: Path, said: object) -> None:
    (folder / "config_sentence_transformers.json").write_text(json.dumps(said))


class TestPrefixes:
    @pytest.mark.parametrize(
        ("said", "query", "item"),
        [
            ({"prompts": {"query": "q: ", "document": "d: "}}, "q: ", "d: "),
            ({"prompts": {"query": "q: ", "passage": "p: "}}, "q: ", "p: "),
            ({"prompts": {"search_query": "sq: ", "search_document": "sd: "}}, "sq: ", "sd: "),
            ({"prompts": {"web": "w: "}, "default_prompt_name": "web"}, "w: ", "w: "),
            ({"prompts": {"query": "q: ", "web": "w: "}, "default_prompt_name": "web"}, "q: ", "w: "),
            ({"prompts": {"query": "q: "}, "default_prompt_name": None}, "q: ", ""),
        ],
    )
    def test_are_the_prompts_of_its_files(
        self, tiny_text: Folder, said: object, query: str, item: str
    ) -> None:
        folder = tiny_text()
        say_prompts(folder, said)
        checkpoint = hub_text.load(str(folder), [])
        assert (checkpoint.query_prefix, checkpoint.item_prefix) == (query, item)
        assert checkpoint.prefixes_from == "config_sentence_transformers.json"

    @pytest.mark.parametrize(
        ("name", "query", "item"),
        [
            ("intfloat/e5-base-v2", "query: ", "passage: "),
            ("multilingual-e5-large", "query: ", "passage: "),
            ("BAAI/bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
            ("bge-base-zh", "为这个句子生成表示以用于检索相关文章：", ""),
            ("nomic-ai/nomic-embed-text-v1", "search_query: ", "search_document: "),
            ("sentence-transformers/all-MiniLM-L6-v2", "", ""),
        ],
    )
    def test_or_those_known_for_its_name(self, tmp_path: Path, name: str, query: str, item: str) -> None:
        found = prefixes.read(tmp_path, name)
        assert found == prefixes.Prefixes(query, item, "the checkpoint's name")
        say_prompts(
            tmp_path, {"prompts": {"query": "", "document": ""}}
        )  # as sentence-transformers writes it
        assert prefixes.read(tmp_path, name) == found

    @pytest.mark.parametrize("name", ["my-model", "multilingual-e5-large-instruct", "te5-base"])
    def test_of_another_name_nothing_is_known(self, tmp_path: Path, name: str) -> None:
        assert prefixes.read(tmp_path, name) == prefixes.Prefixes("", "", "")

    def test_what_is_given_wins(self, tiny_text: Folder) -> None:
        folder = tiny_text()
        say_prompts(folder, {"prompts": {"query": "q: ", "document": "d: "}})
        one = presets.text(str(folder), query_prefix="ask: ")
        assert (one.query_prefix, one.item_prefix) == ("ask: ", "d: ")
        assert one.prefixes_from == "--query-prefix and config_sentence_transformers.json"
        none = presets.text(str(folder), query_prefix="", item_prefix="")
        assert (none.query_prefix, none.item_prefix) == ("", "")

    def test_one_longer_than_the_model_reads_is_refused(self, tiny_text: Folder) -> None:
        folder = tiny_text()
        say_prompts(folder, {"prompts": {"query": "the " * 70}})
        with pytest.raises(ExportError, match="no room for a text after 'the the"):
            hub_text.load(str(folder), [])

    @pytest.mark.parametrize(
        ("said", "key"),
        [
            ({"prompts": ["query: "]}, "prompts"),
            ({"prompts": {"query": 5}}, r"prompts\.query"),
            ({"prompts": {"web": "w: "}, "default_prompt_name": "nope"}, "default_prompt_name"),
            ({"default_prompt_name": 1}, "default_prompt_name"),
            ([], "not a JSON object"),
        ],
    )
    def test_a_file_that_says_something_else_is_named(
        self, tiny_text: Folder, said: object, key: str
    ) -> None:
        folder = tiny_text()
        say_prompts(folder, said)
        with pytest.raises(ExportError, match=rf"config_sentence_transformers\.json.*{key}"):
            hub_text.load(str(folder), [])

    def test_null_says_nothing(self, tiny_text: Folder) -> None:
        folder = tiny_text()
        say_prompts(folder, {"prompts": None, "default_prompt_name": None})
        assert hub_text.load(str(folder), []).prefixes_from == ""


@pytest.mark.parametrize("file", ["sentence_bert_config.json", "sentence_roberta_config.json"])
def test_the_settings_of_sentence_transformers_are_followed(tiny_text: Folder, file: str) -> None:
    folder = tiny_text()
    (folder / file).write_text('{"max_seq_length": 20, "do_lower_case": true}')
    checkpoint = hub_text.load(str(folder), [])
    assert checkpoint.max_tokens == 20
    assert checkpoint.tokenizer.normalizer.normalize_str("ÀB") == "ab"


class TestDamagedFiles:
    """An error names the file and the key of an impossible value, whatever a library does with it."""

    @pytest.mark.parametrize(
        ("file", "change", "says"),
        [
            ("sentence_bert_config.json", {"max_seq_length": "long"}, "max_seq_length is 'long'"),
            ("sentence_bert_config.json", {"max_seq_length": 0}, "max_seq_length is 0"),
            ("sentence_bert_config.json", {"do_lower_case": "yes"}, "do_lower_case is 'yes'"),
            ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "transformer_task"),
            ("config.json", {"max_position_embeddings": None}, "max_position_embeddings is None"),
            ("config.json", {"max_position_embeddings": 0}, "max_position_embeddings is 0"),
            ("config.json", {"model_type": "nomic_bert"}, "architecture 'nomic_bert'"),
            ("config.json", {"model_type": 5}, "model_type is 5"),
            ("config.json", {"hidden_size": "wide"}, "cannot be loaded .*do not match config.json"),
            ("tokenizer_config.json", {"model_max_length": "all"}, "model_max_length"),
        ],
    )
    def test_of_a_text_checkpoint(
        self, tiny_text: Folder, file: str, change: dict[str, object], says: str
    ) -> None:
        folder = tiny_text()
        before = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
        (folder / file).write_text(json.dumps(before | change))
        with pytest.raises(ExportError, match=says) as error:
            hub_text.load(str(folder), [])
        assert str(folder) in error.value.message

    @pytest.mark.parametrize("file", ["config.json", "modules.json", "1_Pooling/config.json"])
    @pytest.mark.parametrize("content", [b"\xff\xfe{", b"", b"[" * 100_000])
    def test_no_json_at_all(self, tiny_text: Folder, file: str, content: bytes) -> None:
        folder = tiny_text(pooling=MEAN)
        (folder / file).write_bytes(content)
        with pytest.raises(ExportError, match=f"{file} is damaged"):
            hub_text.load(str(folder), [])


class TestRefusals:
    def test_damaged_weights(self, tiny_text: Folder) -> None:
        folder = tiny_text()
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        with pytest.raises(ExportError, match="damaged or incomplete"):
            hub_text.load(str(folder), [])

    def test_incomplete_weights(self, tiny_text: Folder) -> None:
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
